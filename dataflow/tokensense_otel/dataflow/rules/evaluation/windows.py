"""Rolling windows in event time: sparse rings of integer vectors, exact whatever the order of arrival.

A window of `width` is cut into equal buckets on the clock (bucket n covers [n × size, (n + 1) × size)). It covers the
newest bucket it was moved to and the ones before it, so it never reaches further back than its width. Integers only:
what is added and later taken out leaves nothing behind.
"""

from collections.abc import Sequence
from operator import add, sub
from typing import Any

from tokensense_otel.dataflow.rules.evaluation.durations import bucket_ns


class Rolling:
    """Running sums of integer vectors over the last `width_ns`."""

    __slots__ = ("_buckets", "_count", "_size", "_totals", "_zeroes", "head")

    def __init__(self, width_ns: int, buckets: int, fields: int) -> None:
        if width_ns % buckets:
            raise ValueError("the width of a window must be a whole number of its buckets")
        self._size = width_ns // buckets
        self._count = buckets
        self._zeroes = (0,) * fields
        self._buckets: dict[int, Sequence[int]] = {}  # oldest first
        self.head: int | None = None
        """Number of the newest bucket; `None` before anything happened."""
        self._totals: list[int] | None = None

    @classmethod
    def over(cls, width_ns: int, fields: int) -> "Rolling":
        """A window in the buckets that suit its width."""
        return cls(width_ns, width_ns // bucket_ns(width_ns), fields)

    @property
    def size_ns(self) -> int:
        """Width of one bucket."""
        return self._size

    @property
    def totals(self) -> list[int]:
        """Sums over the window. They are kept up to date from the first time on that somebody asks."""
        totals = self._totals
        if totals is None:
            columns = zip(*self._buckets.values(), strict=True)
            totals = self._totals = [sum(column) for column in columns] or list(self._zeroes)
        return totals

    @property
    def shape(self) -> list[int]:
        """What has to be equal for a snapshot to fit."""
        return [self._size, self._count, len(self._zeroes)]

    @property
    def empty(self) -> bool:
        return not self._buckets

    def add(self, time_ns: int, values: Sequence[int], sign: int = 1) -> bool:
        """Add `values`, one for each field, × `sign` (1 or −1) to the bucket of `time_ns`.

        Moves the window forward where that is newer.

        `False`, and nothing changed, where the time is before the window, or where what should be taken out is not in
        it. A time in the future moves the window there: the caller clamps it.
        """
        bucket = time_ns // self._size
        head = self.head
        if bucket != head:
            if head is None or bucket > head:
                self._move(bucket)
            elif bucket <= head - self._count:
                return False
        buckets, totals = self._buckets, self._totals
        held = buckets.get(bucket)
        if sign < 0:
            return self._take_back(bucket, held, values)
        if totals is not None:
            self._totals = list(map(add, totals, values))
        if held is not None:
            buckets[bucket] = list(map(add, held, values))
            return True
        buckets[bucket] = values
        if bucket != self.head:
            self._buckets = dict(sorted(buckets.items()))
        return True

    def _take_back(self, bucket: int, held: Sequence[int] | None, values: Sequence[int]) -> bool:
        """Take out what was added; what was not (its key was given up meanwhile) is refused.

        The first field is a count, so it tells; others may be below zero.
        """
        if held is None:
            return not any(values)
        sums = list(map(sub, held, values))
        if sums[0] < 0:
            return False
        if self._totals is not None:
            self._totals = list(map(sub, self._totals, values))
        if any(sums):
            self._buckets[bucket] = sums
        else:
            del self._buckets[bucket]
        return True

    def advance(self, time_ns: int) -> bool:
        """Move the window forward to `time_ns` and drop what fell out. Whether anything did."""
        bucket = time_ns // self._size
        return self._move(bucket) if self.head is not None and bucket > self.head else False

    def expires_ns(self) -> int | None:
        """When the first bucket leaves that something was added to; `None` while there is none."""
        oldest = next(iter(self._buckets), None)
        return None if oldest is None else (oldest + self._count) * self._size

    def _move(self, head: int) -> bool:
        self.head = head
        buckets, last, moved = self._buckets, head - self._count, False
        while buckets and (oldest := next(iter(buckets))) <= last:
            gone = buckets.pop(oldest)
            if self._totals is not None:
                self._totals = list(map(sub, self._totals, gone))
            moved = True
        return moved

    def at(self, bucket: int) -> Sequence[int]:
        """Sums of one bucket by its number, zeroes where nothing happened."""
        return self._buckets.get(bucket) or self._zeroes

    def first(self) -> int | None:
        """Number of the oldest bucket in which anything is counted."""
        return next((bucket for bucket, sums in self._buckets.items() if any(sums)), None)

    def last(self) -> int | None:
        """Number of the newest bucket to which anything was added, be it zero."""
        return next(reversed(self._buckets), None)

    def bounds(self) -> tuple[int, int]:
        """[from, to) of the window in Unix nanoseconds."""
        head = self.head or 0
        return max(0, head - self._count + 1) * self._size, (head + 1) * self._size

    def snapshot(self) -> list[Any]:
        """Plain data for `restore`."""
        return [self.head, list(self._buckets.items())]

    def restore(self, state: list[Any]) -> None:
        """Take over a snapshot of a window of the same shape."""
        self.head, buckets = state
        self._buckets = dict(buckets)
        self._totals = None


class Peaks:
    """Highest values over the last `width_ns`, with how many observations there were and from when to when."""

    __slots__ = ("_buckets", "_count", "_size", "head")

    def __init__(self, width_ns: int, buckets: int) -> None:
        if width_ns % buckets:
            raise ValueError("the width of a window must be a whole number of its buckets")
        self._size = width_ns // buckets
        self._count = buckets
        self._buckets: dict[int, list[int]] = {}
        self.head: int | None = None

    @classmethod
    def over(cls, width_ns: int) -> "Peaks":
        """A window in the buckets that suit its width."""
        return cls(width_ns, width_ns // bucket_ns(width_ns))

    @property
    def size_ns(self) -> int:
        return self._size

    @property
    def empty(self) -> bool:
        return not self._buckets

    def add(self, time_ns: int, value: int) -> bool:
        """Observe `value` (not negative). `False`, and nothing changed, where the time is before the window.

        A second observation of the last moment is the same one again: it can only raise the value.
        """
        bucket = time_ns // self._size
        if self.head is None or bucket > self.head:
            self._move(bucket)
        elif bucket <= self.head - self._count:
            return False
        seen = self._buckets.get(bucket)
        if seen is None:
            self._buckets[bucket] = [1, time_ns, time_ns, value]
            return True
        if time_ns != seen[2]:
            seen[0] += 1
        seen[1] = min(seen[1], time_ns)
        seen[2] = max(seen[2], time_ns)
        seen[3] = max(seen[3], value)
        return True

    def advance(self, time_ns: int) -> bool:
        """Move the window forward to `time_ns` and drop what fell out. Whether anything did."""
        bucket = time_ns // self._size
        return self._move(bucket) if self.head is not None and bucket > self.head else False

    def expires_ns(self) -> int | None:
        """When the first bucket leaves that something was added to; `None` while there is none."""
        oldest = min(self._buckets, default=None)
        return None if oldest is None else (oldest + self._count) * self._size

    def _move(self, head: int) -> bool:
        self.head = head
        gone = [bucket for bucket in self._buckets if bucket <= head - self._count]
        for bucket in gone:
            del self._buckets[bucket]
        return bool(gone)

    def summary(self) -> tuple[int, int, int, int]:
        """(observations, first time, last time, highest value) in the window; all zero where it is empty."""
        if not self._buckets:
            return 0, 0, 0, 0
        seen = self._buckets.values()
        return (
            sum(each[0] for each in seen),
            min(each[1] for each in seen),
            max(each[2] for each in seen),
            max(each[3] for each in seen),
        )

    def bounds(self) -> tuple[int, int]:
        """[from, to) of the window in Unix nanoseconds."""
        head = self.head or 0
        return max(0, head - self._count + 1) * self._size, (head + 1) * self._size

    def snapshot(self) -> list[Any]:
        return [self.head, list(self._buckets.items())]

    def restore(self, state: list[Any]) -> None:
        """Take over a snapshot of a window of the same shape."""
        self.head, buckets = state
        self._buckets = {bucket: list(seen) for bucket, seen in buckets}
