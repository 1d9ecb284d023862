"""State of one source: its calls by the hour for five weeks, when it spoke last, and how long it is used to be still.

A gap is measured in calls that were usual during it, not in minutes: a night without calls is no gap for a service that
never calls at night, and an hour is a long one for a service that calls each second.
"""

from statistics import median_low
from typing import Any, Final

from tokensense_otel.dataflow.rules.evaluation.durations import SECOND_NS
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling

HOUR_NS: Final = 3_600 * SECOND_NS
_DAY: Final = 24
_WEEK: Final = 7 * _DAY
_KEPT: Final = 5 * _WEEK
_MONDAY: Final = 4 * _DAY
"""Hours from the beginning of Unix time, a Thursday, to the first Monday."""
_WEEKS: Final = 4
_DAYS: Final = 3
"""Weeks, and days of the same kind, with which an hour is compared."""
_GAP_DAYS: Final = 14
"""Days of which the longest gap is remembered."""
_SHORT_NS: Final = 60 * SECOND_NS
"""Gaps below it are not measured."""
_LOOK_BACK: Final = 48
_PACE_CALLS: Final = 60
"""Calls that were usual, over which the pace of late is measured; at most two days back."""
BLIND_NS: Final = 900 * SECOND_NS
"""If nobody looked for so long, this system was not there to hear anything."""


class SilenceSeries(CallSeries):
    """`calls` are those of each hour of Unix time; a reversal takes a call out, but not that the source spoke."""

    __slots__ = ("_first", "_gaps", "_known", "_newest", "_watched_ns", "calls", "since_ns")

    def __init__(self) -> None:
        super().__init__(Rolling.over(HOUR_NS, 1))
        self.calls: dict[int, int] = {}
        self.since_ns = 0
        """From when on it is silent: its newest call, or when this system was there again to hear it."""
        self._gaps: dict[int, int] = {}
        """Day → thousandths of calls that were usual in its longest gap."""
        self._watched_ns = 0
        self._first = 0
        """The oldest of the hours."""
        self._known: dict[int, int] = {}
        """What `_usual` is for hours that were asked for; it depends on hours a day and more before each."""
        self._newest = 0
        """The newest of them."""

    @property
    def empty(self) -> bool:
        return self.now_ns - self.last_ns > _KEPT * HOUR_NS

    @property
    def silent(self) -> bool:
        return False  # that is what it is about

    def expires_ns(self) -> int | None:
        return None

    @property
    def weight(self) -> int:
        return sum(self.calls.values())

    def bounds(self) -> tuple[int, int]:
        return self.since_ns, self.now_ns

    def hear(self, time_ns: int, count: int, *, usual: bool) -> None:
        """Calls ended. A gap that ends here is one that the source is used to, if it was `usual`."""
        hour = time_ns // HOUR_NS
        before_ns = self.since_ns
        if time_ns > before_ns:
            if before_ns and usual and time_ns - before_ns >= _SHORT_NS:
                day = hour // _DAY
                self._gaps[day] = max(self._gaps.get(day, 0), self.missed_milli(time_ns))
            self.since_ns = time_ns
        if hour in self.calls:
            self.calls[hour] += count
        else:
            self.calls[hour] = count
            self._forget(hour)
        self._changed(hour)

    def take_out(self, time_ns: int, count: int) -> None:
        """Calls were none after all."""
        hour = time_ns // HOUR_NS
        if hour in self.calls:
            self.calls[hour] = max(0, self.calls[hour] - count)
            self._changed(hour)

    def advance(self, now_ns: int) -> bool:
        if self._watched_ns and now_ns - self._watched_ns > BLIND_NS:
            self.since_ns = max(self.since_ns, now_ns)
        self._watched_ns = max(self._watched_ns, now_ns)
        self._forget(now_ns // HOUR_NS)
        return True

    @property
    def history_ns(self) -> int:
        """How far back its calls are known."""
        return self.now_ns - self._first * HOUR_NS

    def usual(self, hour: int) -> int:
        """Calls that are usual in this hour, at the least.

        That is the lower median of the same hour of the week in the weeks before, or of the day on days of the same
        kind, whichever is less, and of the hour itself, the one before or the one after: daylight saving moves them.
        """
        known = self._known
        for each in (hour - 1, hour, hour + 1):
            if each not in known:
                known[each] = self._usual(each)
                self._newest = max(self._newest, each)
        return min(known[hour - 1], known[hour], known[hour + 1])

    def missed_milli(self, until_ns: int) -> int:
        """Thousandths of calls that were usual from `since_ns` to `until_ns`."""
        return self._expected(self.since_ns, until_ns)

    def pace_milli(self) -> int:
        """Thousandths of what was usual that really came of late, before the silence; at most a thousand."""
        last_hour = self.last_ns // HOUR_NS
        expected, came = self._expected(last_hour * HOUR_NS, self.last_ns), self.calls.get(last_hour, 0)
        for hour in range(last_hour - 1, last_hour - _LOOK_BACK, -1):
            if expected >= _PACE_CALLS * 1_000:
                break
            usual = self.usual(hour)
            if usual:
                expected += usual * 1_000
                came += self.calls.get(hour, 0)
        return min(1_000, came * 1_000_000 // expected) if expected else 1_000

    def longest_gap_milli(self) -> int:
        """Thousandths of calls that were usual in the longest gap of the last two weeks."""
        return max(self._gaps.values(), default=0)

    def state(self) -> list[Any]:
        gaps = list(self._gaps.items())
        return [list(self.calls.items()), self.since_ns, gaps, self._watched_ns, self.samples]

    def load(self, state: list[Any]) -> bool:
        calls, self.since_ns, gaps, self._watched_ns, samples = state
        self.calls, self._gaps = dict(calls), dict(gaps)
        self._first = min(self.calls, default=0)
        self.samples = [(time_ns, trace_id) for time_ns, trace_id in samples]
        return True

    def _expected(self, from_ns: int, until_ns: int) -> int:
        total = 0
        for hour in range(from_ns // HOUR_NS, until_ns // HOUR_NS + 1):
            part_ns = min(until_ns, (hour + 1) * HOUR_NS) - max(from_ns, hour * HOUR_NS)
            if part_ns > 0 and (usual := self.usual(hour)):
                total += usual * part_ns // (HOUR_NS // 1_000)
        return total

    def _usual(self, hour: int) -> int:
        first, calls = self._first, self.calls
        weeks = [calls.get(each, 0) for each in range(hour - _WEEK, max(first, hour - _WEEKS * _WEEK) - 1, -_WEEK)]
        days = [
            calls.get(each, 0)
            for each in range(hour - _DAY, max(first, hour - _WEEK) - 1, -_DAY)
            if _weekend(each) == _weekend(hour)
        ][:_DAYS]
        known = [median_low(some) for some, least in ((weeks, 1), (days, 2)) if len(some) >= least]
        return min(known, default=0)

    def _changed(self, hour: int) -> None:
        if self._newest >= hour + _DAY or len(self._known) > _WEEK:
            self._known, self._newest = {}, 0

    def _forget(self, hour: int) -> None:
        for old in [each for each in self.calls if each <= hour - _KEPT]:
            del self.calls[old]
        self._first = min(self.calls, default=0)
        for day in [each for each in self._gaps if each <= hour // _DAY - _GAP_DAYS]:
            del self._gaps[day]


def _weekend(hour: int) -> bool:
    return (hour - _MONDAY) % _WEEK >= 5 * _DAY
