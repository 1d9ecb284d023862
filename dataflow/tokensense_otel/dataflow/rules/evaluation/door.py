"""The door of a rule whose keys are unbounded: most prompts and traces come once, and are worth a few bytes only.

A key's first call waits at the door, encoded, and is counted when a second one of that key comes. Beyond `CAPACITY` the
one that waited longest is given up; a Bloom filter still knows that it came, so that the key's next call opens a series
at once. What such a key then counts is a lower bound: a finding may come a call late, and never falsely.
"""

from struct import Struct
from typing import Any, Final

import msgspec

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.dataflow.rules.evaluation.bloom import Rotating

CAPACITY: Final = 1_000
"""First calls that wait, in each shard."""
REACH: Final = 262_144
"""Given up keys that are still known, at least; their filter is there only where any were given up."""
_BITS: Final = 12
"""Bits for each of them: fewer than one stranger in a hundred is taken for known."""
LINGER_NS: Final = 30 * 86_400 * 1_000_000_000
"""No window reaches further back."""

_head: Final = Struct(">QQI?")
"""Event time, nano-dollars, calls, and whether it forbids that its key ever fires; the encoded call follows."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Call).decode


class GivenUp(msgspec.Struct, frozen=True, gc=False):
    """A first call that was not kept: its key, what it counted, and whether it forbids that its key ever fires."""

    key: bytes
    calls: int
    nanos: int
    forbids: bool


class Door:
    __slots__ = ("_first", "_known", "given_up")

    def __init__(self) -> None:
        # By digest, oldest first.
        self._first: dict[bytes, bytes] = {}
        self._known = Rotating(_BITS * REACH, span_ns=LINGER_NS, most=REACH)
        self.given_up: GivenUp | None = None
        """What the last `wait` had to give up."""

    def __len__(self) -> int:
        return len(self._first)

    def wait(self, key: bytes, call: Call, time_ns: int, *, forbids: bool) -> bool:
        """Whether the call stays at the door: the key was not seen before. Else it may enter, after `take`."""
        if key in self._first or self._known.holds(key):
            return False
        cost = call.cost
        nanos = 0 if cost.kind is CostKind.UNKNOWN else max(0, cost.low)
        self._first[key] = _head.pack(max(0, time_ns), nanos, call.count, forbids) + _encode(call)
        self.given_up = None
        if len(self._first) > CAPACITY:
            oldest = next(iter(self._first))
            then_ns, nanos, calls, forbade = _head.unpack_from(self._first.pop(oldest))
            self._known.add(oldest, max(then_ns, time_ns))
            self.given_up = GivenUp(oldest, calls, nanos, forbade)
        return True

    def take(self, key: bytes) -> tuple[int, Call] | None:
        """(event time, call) that waited for this key; `None` where it was given up."""
        waited = self._first.pop(key, None)
        if waited is None:
            return None
        return _head.unpack_from(waited)[0], _decode(waited[_head.size :])

    def take_back(self, key: bytes, call: Call) -> None:
        """A reversal: the call that waits was none after all."""
        waited = self._first.get(key)
        if waited is not None and waited[_head.size :] == _encode(call):
            del self._first[key]

    def advance(self, now_ns: int) -> None:
        """Forget what waited for longer than any window."""
        limit = now_ns - LINGER_NS
        while self._first:
            oldest = next(iter(self._first))
            if _head.unpack_from(self._first[oldest])[0] > limit:
                break
            del self._first[oldest]

    def state(self) -> list[Any]:
        return [list(self._first.items()), self._known.state()]

    def load(self, state: list[Any]) -> None:
        first, known = state
        self._first = dict(first)
        self._known.load(known)
