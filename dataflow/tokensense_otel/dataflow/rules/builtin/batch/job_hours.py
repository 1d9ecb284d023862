"""At which hours of the day calls are made, and whether that recurs: what tells a job from traffic."""

from heapq import nlargest
from typing import Any, Final

from tokensense_otel.dataflow.rules.rule import HOUR_NS

DAYS: Final = 7
"""Days, the current one included, over which a job has to show its hours."""
BURST_HOURS: Final = 3
"""Hours of the day that all bursts of a job together may take: one that crosses a full hour, and its delays."""
_HOURS: Final = 24


class JobHours:
    """Calls by the hour of the day (UTC), for each of the last days. What is taken back leaves nothing behind."""

    __slots__ = ("_days", "head", "totals")

    def __init__(self) -> None:
        self._days: dict[int, list[int]] = {}
        self.head: int | None = None
        self.totals = [0] * _HOURS
        """Calls of all days, by the hour. Read only."""

    @property
    def days(self) -> int:
        """Days with calls."""
        return len(self._days)

    def add(self, time_ns: int, sign: int) -> None:
        """Count a call, or take it back; nothing where its day is over."""
        day, hour = divmod(time_ns // HOUR_NS, _HOURS)
        if self.head is None or day > self.head:
            self._move(day)
        elif day <= self.head - DAYS:
            return
        counts = self._days.setdefault(day, [0] * _HOURS)
        counts[hour] += sign
        self.totals[hour] += sign
        if sign < 0 and not any(counts):
            del self._days[day]

    def advance(self, time_ns: int) -> None:
        """Drop the days that are over at `time_ns`."""
        day = time_ns // HOUR_NS // _HOURS
        if self.head is not None and day > self.head:
            self._move(day)

    def busiest(self) -> list[int]:
        """The hours with the most calls, at most as many as bursts may take, in the order of the day."""
        return sorted(
            hour for hour in nlargest(BURST_HOURS, range(_HOURS), self.totals.__getitem__) if self.totals[hour]
        )

    def in_busiest(self) -> int:
        """Calls in those hours. No hours that recur have more, so steady traffic can be told by it at once."""
        return sum(nlargest(BURST_HOURS, self.totals))

    def bursts(self, min_days: int, min_share: float) -> tuple[int, int]:
        """(calls in the hours that have a burst on at least `min_days` days, days with `min_share` of theirs in those).

        A day counts from a tenth of the busiest day's calls on; an hour has a burst from a tenth of its day's calls on.
        """
        full = [(sum(counts), counts) for counts in self._days.values()]
        most = max((calls for calls, _ in full), default=0)
        full = [(calls, counts) for calls, counts in full if most > 0 and 10 * calls >= most]
        recurring = [
            hour for hour in range(_HOURS) if sum(1 for calls, counts in full if 10 * counts[hour] >= calls) >= min_days
        ]
        chosen = nlargest(BURST_HOURS, recurring, self.totals.__getitem__)
        within = sum(self.totals[hour] for hour in chosen)
        return within, sum(1 for calls, counts in full if sum(counts[hour] for hour in chosen) >= min_share * calls)

    def snapshot(self) -> list[Any]:
        """Plain data for `restore`."""
        return [self.head, list(self._days.items())]

    def restore(self, state: list[Any]) -> None:
        """Take over a snapshot."""
        self.head, days = state
        self._days = {day: list(counts) for day, counts in days}
        self.totals = [sum(hour) for hour in zip(*self._days.values(), strict=True)] or [0] * _HOURS

    def _move(self, head: int) -> None:
        self.head = head
        for day in [day for day in self._days if day <= head - DAYS]:
            for hour, calls in enumerate(self._days.pop(day)):
                self.totals[hour] -= calls
