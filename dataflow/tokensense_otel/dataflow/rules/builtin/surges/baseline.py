"""What is usual at an hour of the week, for traffic that grows, rests at weekends and has had incidents before.

From the sums of the hours of the last weeks, for a stretch of hours (one, six, or a day):

- `expected` is the larger of two medians over the days before today: of the same weekday (of an even number the lower
  one in the middle), and of all days of the same kind (Monday to Friday, or Saturday and Sunday). A median does not
  mind an incident among the days.
- Each of those days is first lifted by how much more there was in the seven days before today than in the seven days
  before it, so a team that grows steadily stays as expected. Days are never lowered: after a holiday the usual Monday
  is not a surprise.
- `high` is the ninetieth percentile of the same days with the stretch an hour earlier and later too, so that a job
  which starts late, or a clock that changes, is no surprise.
- `spread` is the median distance from the median × 1.4826, which is the standard deviation of normal noise.

Everything is whole numbers and rounded up, in favour of silence.
"""

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, NamedTuple

HOUR_NS: Final = 3_600_000_000_000
DAY_HOURS: Final = 24
WEEK_DAYS: Final = 7
MEMORY_DAYS: Final = 36
"""Today and five weeks."""
MEMORY_HOURS: Final = MEMORY_DAYS * DAY_HOURS
SAMPLE_DAYS: Final = 28
SEASON_DAYS: Final = 14
"""Full days of history from which on there is a season: each sample has a week before it."""
MOST_GROWTH: Final = 4
"""A day is lifted by this factor at most."""


class Hours:
    """Sums of each hour of the last 36 days, in seven kilobytes."""

    __slots__ = ("_sums", "head")

    def __init__(self) -> None:
        self._sums = array("q", bytes(8 * MEMORY_HOURS))
        self.head: int | None = None
        """Number of the newest hour since 1970; `None` before anything happened."""

    @property
    def shape(self) -> list[int]:
        return [MEMORY_HOURS]

    @property
    def empty(self) -> bool:
        return not any(self._sums)

    def add(self, time_ns: int, value: int, sign: int = 1) -> bool:
        """Add `value` × `sign` to the hour of `time_ns`. `False`, and nothing changed, where that is too long ago."""
        hour = time_ns // HOUR_NS
        if self.head is None or hour > self.head:
            self._move(hour)
        elif hour <= self.head - MEMORY_HOURS:
            return False
        self._sums[hour % MEMORY_HOURS] += sign * value
        return True

    def advance(self, time_ns: int) -> bool:
        """Move on to `time_ns` and drop what is too long ago. Whether anything was."""
        hour = time_ns // HOUR_NS
        return self._move(hour) if self.head is not None and hour > self.head else False

    def _move(self, head: int) -> bool:
        before, self.head = self.head, head
        changed = False
        if before is not None:
            for hour in range(before + 1, min(head, before + MEMORY_HOURS) + 1):
                at = hour % MEMORY_HOURS
                changed |= self._sums[at] != 0
                self._sums[at] = 0
        return changed

    def between(self, first: int, last: int) -> int:
        """Sum of the hours from `first` to `last`, both of which have to be remembered."""
        start, end = first % MEMORY_HOURS, last % MEMORY_HOURS
        if start <= end:
            return sum(self._sums[start : end + 1])
        return sum(self._sums[start:]) + sum(self._sums[: end + 1])

    def before(self, day: int) -> list[int]:
        """The hours of the full days before `day`, oldest first, from the first day on in which there was anything."""
        if self.head is None:
            return []
        last = day * DAY_HOURS - 1
        sums = self._sums
        hours = [sums[hour % MEMORY_HOURS] for hour in range(self.head - MEMORY_HOURS + 1, last + 1)]
        hours = hours[len(hours) % DAY_HOURS :]
        first = next((at for at, value in enumerate(hours) if value), len(hours))
        return hours[first - first % DAY_HOURS :]

    def snapshot(self) -> list[Any]:
        """Plain data for `restore`."""
        if self.head is None:
            return [None, []]
        oldest = (self.head + 1) % MEMORY_HOURS
        hours = list(self._sums[oldest:] + self._sums[:oldest])
        return [self.head, hours[next((at for at, value in enumerate(hours) if value), MEMORY_HOURS) :]]

    def restore(self, state: list[Any]) -> None:
        """Take over a snapshot."""
        head, hours = state
        self.head = head
        self._sums = array("q", bytes(8 * MEMORY_HOURS))
        for back, value in enumerate(reversed(hours)):
            self._sums[(head - back) % MEMORY_HOURS] = value


class Usual(NamedTuple):
    """What a stretch of hours usually sums up to; see the module."""

    expected: int
    high: int
    spread: int


class Baseline:
    """What is usual on one day, from the hours of the full days before it (oldest first).

    `gap` is how many days directly before it are left out, because calls of theirs may still come in.
    """

    def __init__(self, day: int, hours: Sequence[int], gap: int = 0) -> None:
        self._day = day
        self._gap = gap
        self._sums = [0, *accumulate(hours)]
        self.days = len(hours) // DAY_HOURS
        """Full days of history."""
        self._level = self._week_before(gap)
        self._usual: dict[tuple[int, int], Usual] = {}

    @property
    def seasonal(self) -> bool:
        """Whether there is enough history to know an hour of the week."""
        return self.days >= SEASON_DAYS

    def usual(self, last_hour: int, length: int) -> Usual:
        """What is usual for `length` hours ending with hour `last_hour` of the day (0…23, negative for the day before).

        To be asked only where `seasonal`.
        """
        key = (last_hour, length)
        if key not in self._usual:
            self._usual[key] = self._find(last_hour, length)
        return self._usual[key]

    def whole_day(self) -> Usual:
        return self.usual(DAY_HOURS - 1, DAY_HOURS)

    def _find(self, last_hour: int, length: int) -> Usual:
        weekday: list[int] = []
        kind: list[int] = []
        near: list[int] = []
        shifts = (0,) if length >= DAY_HOURS else (-1, 0, 1)
        for back in range(1 + self._gap, min(SAMPLE_DAYS, self.days + self._gap - WEEK_DAYS) + 1):
            same = is_weekend(self._day) == is_weekend(self._day - back)
            if not same and back % WEEK_DAYS:
                continue
            end = last_hour + 1 - back * DAY_HOURS
            level = self._week_before(back)
            values = [self._lifted(self._sum(end + by - length, end + by), level) for by in shifts]
            value = values[len(shifts) // 2]
            near += values
            if same:
                kind.append(value)
            if not back % WEEK_DAYS:
                weekday.append(value)
        on_weekday, on_kind = percentile(weekday, 50), median(kind)
        expected, samples = (on_weekday, weekday) if on_weekday > on_kind else (on_kind, kind)
        apart = median(abs(value - expected) for value in samples)
        return Usual(expected, percentile(near, 90), -(-apart * 14_826 // 10_000))

    def _lifted(self, value: int, level: int) -> int:
        if level <= 0 or self._level <= level:
            return value
        return -(-value * min(self._level, MOST_GROWTH * level) // level)

    def _week_before(self, back: int) -> int:
        end = -back * DAY_HOURS
        return self._sum(end - WEEK_DAYS * DAY_HOURS, end)

    def _sum(self, start: int, end: int) -> int:
        """Hours [start, end), counted from the day's midnight; what is not known counts as nothing."""
        last = len(self._sums) - 1
        midnight = last + self._gap * DAY_HOURS
        return self._sums[min(last, max(0, midnight + end))] - self._sums[min(last, max(0, midnight + start))]


@lru_cache(maxsize=128)
def is_weekend(day: int) -> bool:
    """Saturday or Sunday, of days since 1970 (1 January 1970 was a Thursday)."""
    return (day + 3) % WEEK_DAYS >= 5


def median(values: Iterable[int]) -> int:
    """The middle one, or the mean of the two in the middle, rounded up; 0 of nothing."""
    ordered = sorted(values)
    if not ordered:
        return 0
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else -(-(ordered[half - 1] + ordered[half]) // 2)


def percentile(values: Iterable[int], percent: int) -> int:
    """The smallest value that `percent` of all are not above; 0 of nothing."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0
