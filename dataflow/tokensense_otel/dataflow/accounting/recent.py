"""Ids of spans that were accounted and forgotten, so that hours later a resend of them still counts as a duplicate.

Eight bytes an id. The youngest generation is a set; full or old ones are sealed into sorted arrays, which take exactly
that and are written to a snapshot as they are. Whole generations are forgotten, by age and by count.
"""

import hashlib
import sys
from array import array
from bisect import bisect_left
from typing import Final

import msgspec

_GENERATIONS: Final = 8


class RecentState(msgspec.Struct, array_like=True):
    """`young` and each of `sealed` (sealed at, ids) are 8-byte integers in the order of bytes that `little` names."""

    began_ns: int
    young: bytes
    sealed: list[tuple[int, bytes]]
    little: bool


def recent_id(*parts: bytes) -> bytes:
    """An id of 8 bytes for ids of any kind; two of a million collide once in 37 million years of trying daily."""
    return hashlib.blake2b(b"\x1f".join(parts), digest_size=8).digest()


def recent_key(*parts: bytes) -> int:
    """The same as `RecentIds` has it."""
    return int.from_bytes(recent_id(*parts), "little")


class _Sealed:
    """Ids in their order. A bit is set for each in at least eight times as many, at the place `id & mask`, so that most
    ids that are not here need not be searched for."""

    __slots__ = ("bits", "ids", "mask", "sealed_ns")

    def __init__(self, sealed_ns: int, ids: "array[int]") -> None:
        self.sealed_ns = sealed_ns
        self.ids = ids
        places = max(8, 1 << (8 * len(ids)).bit_length())
        self.mask = places - 1
        self.bits = bytearray(places // 8)
        for key in ids:
            place = key & self.mask
            self.bits[place >> 3] |= 1 << (place & 7)

    def search(self, key: int) -> bool:
        at = bisect_left(self.ids, key)
        return at < len(self.ids) and self.ids[at] == key


class RecentIds:
    """`window_ns` is how long an id is remembered at least, `capacity` how many are at most."""

    def __init__(self, window_ns: int, capacity: int) -> None:
        self._lifetime_ns = max(window_ns // (_GENERATIONS - 1), 1)
        self._window_ns = window_ns
        self._size = max(capacity // _GENERATIONS, 1)
        self._young: set[int] = set()
        self._began_ns = 0
        self._sealed: list[_Sealed] = []

    def add(self, key: int, now_ns: int) -> None:
        if not self._young:
            self._began_ns = now_ns
        self._young.add(key)
        if len(self._young) >= self._size:
            self._seal(now_ns)

    def add_all(self, ids: bytes, now_ns: int) -> None:
        """Add what `recent_id` made, one after the other."""
        for at in range(0, len(ids), 8):
            self.add(int.from_bytes(ids[at : at + 8], "little"), now_ns)

    def __contains__(self, key: int) -> bool:
        if key in self._young:
            return True
        for sealed in self._sealed:
            place = key & sealed.mask
            if sealed.bits[place >> 3] >> (place & 7) & 1 and sealed.search(key):
                return True
        return False

    def __len__(self) -> int:
        return len(self._young) + sum(len(sealed.ids) for sealed in self._sealed)

    def __bool__(self) -> bool:
        return bool(self._young or self._sealed)

    def expire(self, now_ns: int) -> None:
        """Forget the generations that are older than the window."""
        if self._young and now_ns - self._began_ns >= self._lifetime_ns:
            self._seal(now_ns)
        while self._sealed and now_ns - self._sealed[0].sealed_ns >= self._window_ns:
            del self._sealed[0]

    def _seal(self, now_ns: int) -> None:
        self._sealed.append(_Sealed(now_ns, array("Q", sorted(self._young))))
        self._young = set()
        if len(self._sealed) >= _GENERATIONS:
            del self._sealed[0]

    def state(self) -> RecentState:
        return RecentState(
            self._began_ns,
            array("Q", self._young).tobytes(),
            [(sealed.sealed_ns, sealed.ids.tobytes()) for sealed in self._sealed],
            sys.byteorder == "little",
        )

    def load(self, state: RecentState) -> None:
        """Take over what `state` remembers."""
        swap = state.little != (sys.byteorder == "little")
        self._began_ns = state.began_ns
        self._young = set(_array(state.young, swap=swap))
        self._sealed = [_Sealed(sealed_ns, _array(ids, swap=swap)) for sealed_ns, ids in state.sealed]


def _array(data: bytes, *, swap: bool) -> "array[int]":
    ids = array("Q")
    ids.frombytes(data)
    if swap:
        ids.byteswap()
    return ids
