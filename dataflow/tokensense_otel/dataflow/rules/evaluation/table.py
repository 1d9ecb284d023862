"""The keys of one rule in one shard, in bounded memory, without ever making a finding up.

Counts are exact for as long as a key is kept. Beyond `max_keys` the least used of the longest untouched keys is given
up; if it comes back it starts from zero, so it can be found late but never falsely. What a forgotten key knew that
forbids firing (cached tokens were seen) is kept in a Bloom filter, which errs on the side of silence. Keys of an
unbounded rule come in by a `Door`. What is not followed is added up under `other`.

A key that is quiet lives as bytes, as the snapshot has it, and is made into objects again when it is touched.
"""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.dataflow.rules.evaluation.bloom import Rotating, digest
from tokensense_otel.dataflow.rules.evaluation.door import Door
from tokensense_otel.dataflow.rules.evaluation.series import Series, decode_key, restore
from tokensense_otel.dataflow.rules.rule import Rule

Key = tuple[str, ...]
"""(tenant, project, …the rule's own parts)."""

HOT: Final = 256
"""Keys that stay objects although they are quiet: a small install never pays for thawing."""
_LOOK: Final = 8
"""Keys that are compared when one has to go."""
_MONTH_NS: Final = 30 * 86_400 * 1_000_000_000


class Other(msgspec.Struct, array_like=True):
    """What is not followed: keys that were given up, the calls that they had counted, and their nano-dollars."""

    keys: int = 0
    calls: int = 0
    nanos: int = 0

    def add(self, calls: int, nanos: int) -> None:
        self.keys += 1
        self.calls += calls
        self.nanos += nanos


class Sizes(msgspec.Struct, frozen=True):
    """Keys with a series, those of them that are kept as bytes, calls that wait at the door, and what is not
    followed."""

    keys: int
    cold: int
    waiting: int
    other: Other


class Cold:
    """A quiet key: its encoding, until when nothing leaves its windows, and what would be lost with it."""

    __slots__ = ("blob", "spent", "unfit", "until_ns", "weight")

    def __init__(self, series: Series, blob: bytes, *, unfit: bool) -> None:
        self.blob = blob
        self.unfit = unfit
        self.until_ns = series.idle_until_ns()
        self.weight = series.weight
        self.spent = series.spent


class Table:
    def __init__(self, rule: Rule[Any, Any], max_keys: int) -> None:
        self.rule = rule
        self.max_keys = max_keys
        self.beaten_ns = 0
        """Log time of the last beat."""
        self.door = Door()
        self.other = Other()
        # As long as the longest window of a rule. A false positive silences a key for as long.
        self._doubts = Rotating(1 << 18, span_ns=_MONTH_NS, most=1 << 18)
        # Oldest use first.
        self._series: OrderedDict[Key, Series | Cold] = OrderedDict()
        self._active: dict[Key, int | None] = {}
        """Keys whose episode is open or pending, and when each has to be looked at although nothing comes."""
        self._cold = 0

    def __len__(self) -> int:
        return len(self._series) + len(self.door)

    def sizes(self) -> Sizes:
        return Sizes(len(self._series), self._cold, len(self.door), self.other)

    def find(self, key: Key, config: Any) -> Any | None:
        """The series of a key, which counts as a use of it. `config` is the one in force for it."""
        series = self._series.get(key)
        if series is None:
            return None
        self._series.move_to_end(key)
        found: Any = self._thaw(key, series, config) if type(series) is Cold else series
        if found.beaten_ns < self.beaten_ns:
            # A beat left it alone, as nothing would have left its windows: they only have to be moved.
            found.advance(self.beaten_ns)
            found.beaten_ns = self.beaten_ns
        return found

    def add(self, key: Key, series: Series, time_ns: int) -> bool:
        """Begin to follow a key. `False` where every key that could go has an open finding."""
        if len(self._series) >= self.max_keys and not self._evict(time_ns):
            return False
        series.beaten_ns = self.beaten_ns
        self._series[key] = series
        if self._doubts.holds(digest(key)):
            self.rule.mark_unfit(series, time_ns)
        return True

    def give_up(self, call: Call) -> None:
        """Add a call that is not followed to the others."""
        self.other.add(call.count, 0 if call.cost.kind is CostKind.UNKNOWN else call.cost.low)

    def doubt(self, key: bytes, time_ns: int) -> None:
        """Remember of a key by its `digest` that it must not fire if it comes back."""
        self._doubts.add(key, time_ns)

    def track(self, key: Key, due_ns: int | None) -> None:
        """Note a key whose episode is active, and when it is due by time alone."""
        self._active[key] = due_ns

    def rest(self, key: Key) -> None:
        """Forget that a key's episode was active."""
        self._active.pop(key, None)

    def drop(self, key: Key) -> None:
        if type(self._series.pop(key, None)) is Cold:
            self._cold -= 1
        self._active.pop(key, None)

    def keys(self) -> list[Key]:
        return list(self._series)

    def items(self) -> list[tuple[Key, Any]]:
        """Every key with its series, or what it is kept as while it is quiet."""
        return list(self._series.items())

    def quiet(self, key: Key, now_ns: int) -> bool:
        """Whether letting time pass until `now_ns` changes nothing for a key."""
        return now_ns < self._series[key].until_ns and key not in self._active

    def active(self) -> list[Key]:
        return list(self._active)

    def peek(self, key: Key, config: Any) -> Any:
        """As `find` for a key that is there, without counting as a use of it."""
        series = self._series[key]
        return self._thaw(key, series, config) if type(series) is Cold else series

    def due(self, after_ns: int) -> int | None:
        """The first moment after `after_ns` at which a key is due."""
        return min((due for due in self._active.values() if due is not None and due > after_ns), default=None)

    def state(self) -> list[Any]:
        """Everything, for `load`. Only keys that changed since the last time are encoded anew; others grow cold."""
        blobs = []
        may_cool = len(self._series) - self._cold - HOT
        for key, series in self._series.items():
            if type(series) is Cold:
                blobs.append(series.blob)
                continue
            assert isinstance(series, Series)  # noqa: S101 - there is nothing else
            quiet = series.blob is not None
            blob = series.encoded(key)
            blobs.append(blob)
            if quiet and may_cool > 0 and key not in self._active:
                self._series[key] = Cold(series, blob, unfit=self.rule.unfit(series))
                self._cold += 1
                may_cool -= 1
        return [blobs, self._doubts.state(), self.door.state(), self.other, self.beaten_ns]

    def load(self, state: list[Any]) -> Iterator[tuple[Key, list[Any], bytes]]:
        """Take over all but the keys, which come one by one for `put`: (key, state for `restore`, encoding)."""
        blobs, doubts, door, other, self.beaten_ns = state
        self._doubts.load(doubts)
        self.door.load(door)
        self.other = msgspec.convert(other, Other)
        for blob in blobs:
            yield *decode_key(blob), blob

    def put(self, key: Key, series: Series) -> None:
        """Take over a stored series. Where its episode is active, `track` it as well."""
        blob = series.blob
        if blob is None or series.episode.active or len(self._series) < HOT:
            self._series[key] = series
        else:
            self._series[key] = Cold(series, blob, unfit=self.rule.unfit(series))
            self._cold += 1

    def _thaw(self, key: Key, cold: Cold, config: Any) -> Any:
        _, stored = decode_key(cold.blob)
        series = self.rule.new_series(config)
        if not restore(series, stored, cold.blob):
            raise AssertionError("a key that is kept fits its rule")
        self._series[key] = series
        self._cold -= 1
        return series

    def _evict(self, time_ns: int) -> bool:
        rounds = len(self._series) // _LOOK + 1 if self._active else 1
        for _ in range(rounds):
            oldest = list(islice(self._series, _LOOK))
            idle = [key for key in oldest if key not in self._active]
            gone = min(idle, key=lambda key: self._series[key].weight, default=None)
            for key in oldest:
                self._series.move_to_end(key)
            if gone is not None:
                self._forget(gone, time_ns)
                return True
        return False

    def _forget(self, key: Key, time_ns: int) -> None:
        series = self._series.pop(key)
        self.other.add(series.weight, series.spent)
        if type(series) is Cold:
            self._cold -= 1
        if series.unfit if isinstance(series, Cold) else self.rule.unfit(series):
            self.doubt(digest(key), time_ns)
