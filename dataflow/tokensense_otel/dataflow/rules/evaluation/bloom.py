"""What was seen lately, in a fixed number of bytes: a Bloom filter in two halves that take turns.

It never forgets within its reach; now and then it takes a key for seen that was not.
"""

import hashlib
from struct import Struct
from typing import Any, Final

_numbers: Final = Struct("<4I").unpack


def digest(key: tuple[str, ...]) -> bytes:
    """Sixteen bytes that stand for a key."""
    return hashlib.blake2b("\x1f".join(key).encode(), digest_size=16).digest()


class Rotating:
    """Keys by their `digest`. The older half is dropped when the newer one is `span_ns` old or holds `most` keys; with
    eight bits for each key about one stranger in forty is taken for seen, with twelve one in 150."""

    __slots__ = ("_bits", "_halves", "_held", "_most", "_span_ns", "_turned_ns")

    def __init__(self, bits: int, *, span_ns: int, most: int) -> None:
        self._bits = bits
        self._span_ns = span_ns
        self._most = most
        self._halves: list[bytearray] = []
        self._turned_ns = 0
        self._held = 0

    def add(self, key: bytes, time_ns: int) -> None:
        if not self._halves or time_ns - self._turned_ns >= self._span_ns or self._held >= self._most:
            self._halves = [bytearray(self._bits // 8), *self._halves[:1]]
            self._turned_ns, self._held = time_ns, 0
        newest = self._halves[0]
        for bit in self._places(key):
            newest[bit >> 3] |= 1 << (bit & 7)
        self._held += 1

    def holds(self, key: bytes) -> bool:
        if not self._halves:
            return False
        bits = self._places(key)
        return any(all(half[bit >> 3] >> (bit & 7) & 1 for bit in bits) for half in self._halves)

    def state(self) -> list[Any]:
        return [self._turned_ns, self._held, [bytes(half) for half in self._halves]]

    def load(self, state: list[Any]) -> None:
        self._turned_ns, self._held, halves = state
        self._halves = [bytearray(half) for half in halves]

    def _places(self, key: bytes) -> tuple[int, int, int, int]:
        bits = self._bits
        one, two, three, four = _numbers(key)
        return one % bits, two % bits, three % bits, four % bits
