"""How long calls take, now and on the days before: four histograms each, as plain numbers and for what there was to do.

A call that reads or writes more takes longer, and is no slower for it. So each duration is kept twice: as it was, and
divided by the call's *work*. Work is in tokens of output; reading is some hundred times as fast as writing, and every
call has an overhead. For whole calls it is

    32 + output + fresh input / 128

and for the time to the first token (4,096 + fresh input) / 128. The constants are those of hosted models of today (30
to 100 tokens written a second, several thousand read, a few tenths of a second before anything) and need only be right
to a factor: they decide what counts as longer, never whether it is slow.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from tokensense_otel.core.call import Call
from tokensense_otel.dataflow.rules.builtin.surges.baseline import HOUR_NS, median
from tokensense_otel.dataflow.rules.evaluation.histogram import bucket_of, middle
from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS, MONEY, CallSeries, Ring
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling

MEASURES: Final = ("duration", "duration_for_work", "first_token", "first_token_for_work")
PIECES: Final = 8
"""A window is kept in so many pieces."""
KEPT_DAYS: Final = 15
_ABSENT: Final = -2
_READ: Final = 128
_OVERHEAD: Final = 32

Counts = dict[int, int]
_Cell = tuple[Counts, Counts, Counts, Counts]


class Measured(NamedTuple):
    """The buckets of one call, see `MEASURES`; `_ABSENT` where nobody told."""

    duration: int
    duration_for_work: int
    first_token: int
    first_token_for_work: int


def measured(call: Call) -> Measured:
    """What a call's durations fall into: microseconds, and microseconds for a unit of work."""
    tokens = call.tokens
    fresh = max(0, (tokens.input or 0) - (tokens.cache_read or 0))
    duration = duration_for_work = first = first_for_work = _ABSENT
    took = (call.end_ns - call.start_ns) // 1_000
    if took > 0 and tokens.output:
        duration = bucket_of(took)
        duration_for_work = bucket_of(took * _READ // ((_OVERHEAD + tokens.output) * _READ + fresh))
    if call.first_token_ns is not None and call.first_token_ns > 0 and tokens.input is not None:
        until = call.first_token_ns // 1_000
        first = bucket_of(until)
        first_for_work = bucket_of(until * _READ // (_OVERHEAD * _READ + fresh))
    return Measured(duration, duration_for_work, first, first_for_work)


class Latencies:
    """Histograms of the last `width_ns`, and of each of the last fifteen days."""

    __slots__ = ("_days", "_pieces", "_size", "head", "now")

    def __init__(self, width_ns: int) -> None:
        self._size = width_ns // PIECES
        self._pieces: dict[int, _Cell] = {}
        self._days: dict[int, _Cell] = {}
        self.now: _Cell = _cell()
        """All of the window. Read only."""
        self.head: int | None = None
        """Number of the newest piece."""

    @property
    def shape(self) -> list[int]:
        return [self._size, PIECES, KEPT_DAYS, len(MEASURES)]

    @property
    def empty(self) -> bool:
        return not (self._pieces or self._days)

    def add(self, time_ns: int, values: Measured, sign: int) -> None:
        """Count one call, or take it back; what is older than all of this is left alone."""
        piece = time_ns // self._size
        if self.head is None or piece > self.head:
            self._move(piece)
        head = piece if self.head is None else self.head
        day = time_ns // DAY_NS
        cells: list[_Cell] = []
        if day > head * self._size // DAY_NS - KEPT_DAYS:
            cells.append(self._days.setdefault(day, _cell()))
        if piece > head - PIECES:
            cells += [self.now, self._pieces.setdefault(piece, _cell())]
        for cell in cells:
            for counts, bucket in zip(cell, values, strict=True):
                if bucket != _ABSENT:
                    counts[bucket] = counts.get(bucket, 0) + sign

    def advance(self, time_ns: int) -> bool:
        """Move on to `time_ns` and drop what is too long ago. Whether anything was."""
        piece = time_ns // self._size
        return self._move(piece) if self.head is not None and piece > self.head else False

    def _move(self, head: int) -> bool:
        self.head = head
        pieces = [piece for piece in self._pieces if piece <= head - PIECES]
        for piece in pieces:
            for total, counts in zip(self.now, self._pieces.pop(piece), strict=True):
                for bucket, times in counts.items():
                    total[bucket] = total.get(bucket, 0) - times
                    if not total[bucket]:
                        del total[bucket]
        days = [day for day in self._days if day <= head * self._size // DAY_NS - KEPT_DAYS]
        for day in days:
            del self._days[day]
        return bool(pieces or days)

    def p95s(self, measure: int, first: int, last: int, least: int) -> list[int]:
        """Bucket of the 95th percentile on each of these days that has at least so many calls."""
        found = [
            p95(cell[measure])
            for day, cell in self._days.items()
            if first <= day <= last and sum(cell[measure].values()) >= least
        ]
        return [bucket for bucket in found if bucket is not None]

    def snapshot(self) -> list[Any]:
        """Plain data for `restore`."""
        stored = [
            [[at, [list(counts.items()) for counts in cell]] for at, cell in kept.items()]
            for kept in (self._pieces, self._days)
        ]
        return [self.head, *stored]

    def restore(self, state: list[Any]) -> None:
        """Take over a snapshot of the same shape."""
        self.head, pieces, days = state
        self._pieces, self._days = ({at: _loaded(cell) for at, cell in kept} for kept in (pieces, days))
        self.now = _cell()
        for cell in self._pieces.values():
            for total, counts in zip(self.now, cell, strict=True):
                for bucket, times in counts.items():
                    total[bucket] = total.get(bucket, 0) + times


Usual = tuple[int | None, ...]
"""The usual 95th percentiles (buckets) by measure; `None` where there are too few days."""
UNKNOWN: Final[Usual] = (None,) * len(MEASURES)


class LatencySeries(CallSeries):
    """A key's durations, what is usual for them (`usual`), and the measure that was found to be slow last (`found`).

    `slow` says whether the newest call is beyond what is usual: other calls cannot make anything true.
    """

    __slots__ = ("_asked", "found", "latencies", "slow", "usual")

    def __init__(self, width_ns: int, fields: int) -> None:
        super().__init__(Rolling.over(width_ns, fields + MONEY))
        self.latencies = Latencies(width_ns)
        self.slow = False
        self.found = ""
        self.usual = UNKNOWN
        self._asked: tuple[int, ...] = ()

    def measure(self, time_ns: int, values: Measured, sign: int) -> None:
        self.latencies.add(time_ns, values, sign)
        if self._asked and time_ns // DAY_NS < self._asked[0]:
            self._asked = ()
        self.slow = (
            not self._asked
            or self._asked[0] != (time_ns - HOUR_NS) // DAY_NS
            or any(usual is not None and value > usual for value, usual in zip(values, self.usual, strict=True))
        )

    def usually(self, days: int, least_days: int, least_calls: int) -> Usual:
        """What was usual on so many days: the median of their 95th percentiles, which minds no bad day.

        In the first hour of a day the day before is left out: it still gets calls.
        """
        day = (self.now_ns - HOUR_NS) // DAY_NS
        asked = (day, days, least_days, least_calls)
        if self._asked != asked:
            self._asked = asked
            each = [self.latencies.p95s(at, day - days, day - 1, least_calls) for at in range(len(MEASURES))]
            self.usual = tuple(median(some) if len(some) >= least_days else None for some in each)
        return self.usual

    def state(self) -> list[Any]:
        return [*super().state(), self.found, self.slow, self.usual, self._asked]

    def load(self, state: list[Any]) -> bool:
        *rest, self.found, self.slow, usual, asked = state
        self.usual, self._asked = tuple(usual), tuple(asked)
        return super().load(rest)

    def _rings(self) -> Iterator[Ring]:
        yield from super()._rings()
        yield self.latencies


def p95(counts: Counts) -> int | None:
    """Bucket of the 95th percentile; `None` of nothing."""
    left = -(-95 * sum(counts.values()) // 100)
    if left <= 0:
        return None
    for bucket in sorted(counts):
        left -= counts[bucket]
        if left <= 0:
            return bucket
    return None


def above(counts: Counts, bucket: int) -> int:
    """How many are in higher buckets."""
    return sum(times for each, times in counts.items() if each > bucket)


def milliseconds(bucket: int | None) -> int | None:
    """What a bucket of microseconds stands for."""
    return None if bucket is None else round(middle(bucket) / 1_000)


def _cell() -> _Cell:
    return {}, {}, {}, {}


def _loaded(cell: list[Any]) -> _Cell:
    one, two, three, four = (dict(counts) for counts in cell)
    return one, two, three, four
