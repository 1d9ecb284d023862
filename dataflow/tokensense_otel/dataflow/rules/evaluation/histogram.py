"""Quantiles of durations and sizes in whole numbers: histograms that can be added up, merged and taken back.

The buckets are those of OpenTelemetry's exponential histogram at scale 3: bucket i covers (base^i, base^(i+1)] with
base = 2^(1/8) (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram). A quantile is the
middle of its bucket, so it is off by at most (base − 1) / (base + 1), 4.3 %. The index is found with integers only, so
it is the same on every machine.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, Final

SCALE: Final = 3
_PER_OCTAVE: Final = 1 << SCALE
_BITS: Final = 64
_BOUNDS: Final = [round(2 ** (step / _PER_OCTAVE) * (1 << 52)) << (_BITS - 52) for step in range(1, _PER_OCTAVE)]
"""Upper bounds of the buckets of one octave, as fixed-point numbers of 64 bits."""
_ZERO: Final = -1
"""Bucket of what is zero or less."""


def bucket_of(value: int) -> int:
    """Number of the bucket of a whole number."""
    if value <= 1:
        return 0 if value == 1 else _ZERO
    octave = (value - 1).bit_length() - 1
    return 1 + octave * _PER_OCTAVE + bisect_left(_BOUNDS, (value << _BITS) >> octave)


def middle(bucket: int) -> int:
    """The value that stands for all of a bucket: equally far from both its ends, in proportion."""
    if bucket <= 0:
        return 1 + bucket
    low, high = 2 ** ((bucket - 1) / _PER_OCTAVE), 2 ** (bucket / _PER_OCTAVE)
    return round(2 * low * high / (low + high))


class Histogram:
    """Counts by bucket. What is taken back leaves nothing behind."""

    __slots__ = ("count", "counts")

    def __init__(self, counts: Iterable[tuple[int, int]] = ()) -> None:
        self.counts = dict(counts)
        self.count = sum(self.counts.values())

    def add(self, value: int, times: int = 1) -> None:
        """Count `value`, or take it back where `times` is negative."""
        self._change(bucket_of(value), times)

    def merge(self, other: "Histogram", sign: int = 1) -> None:
        """Add all that another one counted, or take it back."""
        for bucket, times in other.counts.items():
            self._change(bucket, sign * times)

    def quantile(self, share: float) -> int | None:
        """The value with `share` (0…1] of all at or below it, within 4.3 %; `None` while nothing is counted."""
        if self.count <= 0:
            return None
        wanted = max(1, -(-round(share * self.count * 1_000_000) // 1_000_000))
        for bucket in sorted(self.counts):
            wanted -= self.counts[bucket]
            if wanted <= 0:
                return middle(bucket)
        return None

    def _change(self, bucket: int, times: int) -> None:
        left = self.counts.get(bucket, 0) + times
        if left:
            self.counts[bucket] = left
        else:
            self.counts.pop(bucket, None)
        self.count += times


class RollingHistogram:
    """A histogram of the last `width_ns`, in buckets of time as `Rolling` has them."""

    __slots__ = ("_count", "_parts", "_size", "head", "total")

    def __init__(self, width_ns: int, size_ns: int) -> None:
        self._size = size_ns
        self._count = width_ns // size_ns
        self._parts: dict[int, Histogram] = {}
        self.head: int | None = None
        self.total = Histogram()
        """All of the window. Read only."""

    @property
    def shape(self) -> list[int]:
        return [self._size, self._count]

    @property
    def empty(self) -> bool:
        return not self._parts

    def add(self, time_ns: int, value: int, sign: int = 1) -> bool:
        """Count a value, or take it back. `False`, and nothing changed, where the time is before the window."""
        bucket = time_ns // self._size
        if self.head is None or bucket > self.head:
            self._move(bucket)
        elif bucket <= self.head - self._count:
            return False
        part = self._parts.get(bucket)
        if part is None:
            part = self._parts[bucket] = Histogram()
        part.add(value, sign)
        self.total.add(value, sign)
        if not part.counts:
            del self._parts[bucket]
        return True

    def advance(self, time_ns: int) -> bool:
        """Move the window forward to `time_ns` and drop what fell out. Whether anything did."""
        bucket = time_ns // self._size
        return self._move(bucket) if self.head is not None and bucket > self.head else False

    def at(self, bucket: int) -> Histogram:
        """What one bucket of time holds."""
        return self._parts.get(bucket) or Histogram()

    def _move(self, head: int) -> bool:
        self.head = head
        gone = [bucket for bucket in self._parts if bucket <= head - self._count]
        for bucket in gone:
            self.total.merge(self._parts.pop(bucket), -1)
        return bool(gone)

    def snapshot(self) -> list[Any]:
        """Plain data for `restore`."""
        return [self.head, [[bucket, list(part.counts.items())] for bucket, part in self._parts.items()]]

    def restore(self, state: list[Any]) -> None:
        """Take over a snapshot of a window of the same shape."""
        self.head, parts = state
        self._parts = {bucket: Histogram((index, times) for index, times in counts) for bucket, counts in parts}
        self.total = Histogram()
        for part in self._parts.values():
            self.total.merge(part)
