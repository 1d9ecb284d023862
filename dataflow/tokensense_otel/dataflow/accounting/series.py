"""One time series about calls: from its points, however they come, to what was used between them.

A function of the set of points. A cumulative series is its distinct totals, each with the first and the last moment at
which it was seen, so exports while nothing happens change nothing; every start time is a series of its own, so a reset
is none. A delta series is its intervals.
"""

from bisect import bisect_left
from typing import NamedTuple

import msgspec


class Amount(NamedTuple):
    """What was used in (from_ns, to_ns]."""

    from_ns: int
    to_ns: int
    value: int


class Series(msgspec.Struct, array_like=True):
    """`marks` of a cumulative series are [total, first seen, last seen] by total, of a delta one [time, start, value]
    by time. `base` and `base_ns` are the highest total that was let go, and when it was last seen.
    """

    delta: bool
    start_ns: int
    base: int = 0
    base_ns: int = 0
    marks: list[list[int]] = []
    last_ns: int = 0
    """When a point came last, in log time."""

    def take(self, start_ns: int, time_ns: int, value: int) -> int | None:
        """Take a point in. The end of the earliest interval that may be another one now; `None` where nothing is."""
        return self._take_delta(start_ns, time_ns, value) if self.delta else self._take_total(time_ns, value)

    def _take_delta(self, start_ns: int, time_ns: int, value: int) -> int | None:
        mark = [time_ns, start_ns, value]
        at = bisect_left(self.marks, mark)
        if time_ns <= self.base_ns or not value or (at < len(self.marks) and self.marks[at] == mark):
            return None
        self.marks.insert(at, mark)
        return time_ns

    def _take_total(self, time_ns: int, value: int) -> int | None:
        if value < self.base or (value == self.base and time_ns <= self.base_ns):
            return None
        at = bisect_left(self.marks, [value])
        if at < len(self.marks) and self.marks[at][0] == value:
            mark = self.marks[at]
            first, last = mark[1], mark[2]
            mark[1], mark[2] = min(first, time_ns), max(last, time_ns)
            if (first, last) == (mark[1], mark[2]):
                return None
        else:
            self.marks.insert(at, [value, time_ns, time_ns])
        # What came after it began to be used when this total was seen last.
        return min(time_ns, *(mark[1] for mark in self.marks[at : at + 2]))

    def amounts(self, watched_ns: int, since_ns: int = 0) -> list[Amount]:
        """What was used in the intervals that end at `since_ns` or later, the smallest total first.

        Its process exports since `watched_ns`: a total that was not there then grew after that, whenever the series
        says that it began.
        """
        if self.delta:
            return [Amount(start, time, value) for time, start, value in self.marks if time >= since_ns]
        found: list[Amount] = []
        before, from_ns = self.base, self.base_ns or self.start_ns
        if self.marks and not self.base_ns and self.marks[0][1] > watched_ns:
            from_ns = max(from_ns, watched_ns)
        for value, first_ns, last_ns in self.marks:
            if first_ns >= since_ns and value > before:
                found.append(Amount(min(from_ns, first_ns), first_ns, value - before))
            before, from_ns = value, last_ns
        return found

    def close(self, until_ns: int) -> None:
        """Let go of what was used up to then; it stands as it is."""
        if self.delta:
            self.base_ns = max(self.base_ns, until_ns)
            self.marks = [mark for mark in self.marks if mark[0] > until_ns]
            return
        closed = sum(1 for mark in self.marks if mark[1] <= until_ns)
        if closed:
            self.base, _, self.base_ns = self.marks[closed - 1]
            self.marks = self.marks[closed:]
