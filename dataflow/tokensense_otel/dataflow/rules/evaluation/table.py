"""The keys of one rule in one shard, in bounded memory, without ever making a finding up.

Counts are exact for as long as a key is kept. Beyond `max_keys` the least used of the longest untouched keys is given
up; if it comes back it starts from zero, so it can be found late but never falsely. What a forgotten key knew that
forbids firing (cached tokens were seen) is kept in a Bloom filter, which errs on the side of silence.
"""

import hashlib
from collections import OrderedDict
from itertools import islice
from typing import Any, Final

from tokensense_otel.dataflow.rules.evaluation.series import Series
from tokensense_otel.dataflow.rules.rule import Rule

Key = tuple[str, ...]
"""(tenant, project, …the rule's own parts)."""

_LOOK: Final = 8
"""Keys that are compared when one has to go."""


class Table:
    def __init__(self, rule: Rule[Any, Any], max_keys: int) -> None:
        self.rule = rule
        self.max_keys = max_keys
        self.evicted = 0
        """Keys given up or not taken since this was last read; the engine reports and resets it."""
        self.doubts = Doubts()
        # Oldest use first.
        self._series: OrderedDict[Key, Any] = OrderedDict()
        self._active: dict[Key, int | None] = {}
        """Keys whose episode is open or pending, and when each has to be looked at although nothing comes."""

    def __len__(self) -> int:
        return len(self._series)

    def find(self, key: Key) -> Any | None:
        """The series of a key, which counts as a use of it."""
        series = self._series.get(key)
        if series is not None:
            self._series.move_to_end(key)
        return series

    def add(self, key: Key, series: Series, time_ns: int) -> bool:
        """Begin to follow a key. `False` where every key that could go has an open finding."""
        if len(self._series) >= self.max_keys and not self._evict(time_ns):
            self.evicted += 1
            return False
        self._series[key] = series
        if self.doubts.holds(key):
            self.rule.mark_unfit(series, time_ns)
        return True

    def put(self, key: Key, series: Series) -> None:
        """Take over a stored series. Where its episode is active, `track` it as well."""
        self._series[key] = series

    def track(self, key: Key, due_ns: int | None) -> None:
        """Note a key whose episode is active, and when it is due by time alone."""
        self._active[key] = due_ns

    def rest(self, key: Key) -> None:
        """Forget that a key's episode was active."""
        self._active.pop(key, None)

    def drop(self, key: Key) -> None:
        self._series.pop(key, None)
        self._active.pop(key, None)

    def items(self) -> list[tuple[Key, Any]]:
        return list(self._series.items())

    def active(self) -> list[tuple[Key, Any]]:
        return [(key, self._series[key]) for key in self._active]

    def due(self, after_ns: int) -> int | None:
        """The first moment after `after_ns` at which a key is due."""
        return min((due for due in self._active.values() if due is not None and due > after_ns), default=None)

    def _evict(self, time_ns: int) -> bool:
        rounds = len(self._series) // _LOOK + 1 if self._active else 1
        for _ in range(rounds):
            oldest = list(islice(self._series, _LOOK))
            idle = [key for key in oldest if key not in self._active]
            gone = min(idle, key=lambda key: self._series[key].weight, default=None)
            for key in oldest:
                self._series.move_to_end(key)
            if gone is not None:
                if self.rule.unfit(self._series.pop(gone)):
                    self.doubts.add(gone, time_ns)
                self.evicted += 1
                return True
        return False


class Doubts:
    """A Bloom filter in two halves that take turns: it remembers for at least `SPAN_NS`, in bounded memory.

    A false positive silences a key for one window; there are no false negatives within the span.
    """

    SPAN_NS = 7 * 86_400_000_000_000
    """As long as the longest window of a rule."""
    BITS = 1 << 18

    def __init__(self) -> None:
        self._halves: list[bytearray] = []
        self._turned_ns = 0

    def add(self, key: Key, time_ns: int) -> None:
        if not self._halves or time_ns - self._turned_ns >= self.SPAN_NS:
            self._halves = [bytearray(self.BITS // 8), *self._halves[:1]]
            self._turned_ns = time_ns
        newest = self._halves[0]
        for bit in _bits(key, self.BITS):
            newest[bit >> 3] |= 1 << (bit & 7)

    def holds(self, key: Key) -> bool:
        if not self._halves:
            return False
        bits = _bits(key, self.BITS)
        return any(all(half[bit >> 3] >> (bit & 7) & 1 for bit in bits) for half in self._halves)

    def state(self) -> list[Any]:
        return [self._turned_ns, [bytes(half) for half in self._halves]]

    def load(self, state: list[Any]) -> None:
        self._turned_ns, halves = state
        self._halves = [bytearray(half) for half in halves]


def _bits(key: Key, size: int) -> list[int]:
    digest = hashlib.blake2b("\x1f".join(key).encode(), digest_size=16).digest()
    return [int.from_bytes(digest[at : at + 4], "little") % size for at in (0, 4, 8, 12)]
