"""State of a key of a rule written in YAML: the windows that its comparison needs, and sums over them."""

from typing import Final

import msgspec

from tokensense_otel.dataflow.rules.evaluation.distinct import RollingDistinct
from tokensense_otel.dataflow.rules.evaluation.durations import bucket_ns
from tokensense_otel.dataflow.rules.evaluation.histogram import Histogram, RollingHistogram
from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS, MONEY, CallSeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling
from tokensense_otel.dataflow.rules.language.definition import RuleDefinition
from tokensense_otel.dataflow.rules.language.metrics import QUANTILES

FIELDS: Final = ("samples", "amount", "whole")
"""Calls that told of the metric, its sum, and the sum of what a share is of."""
VALUE, OTHER, SEEN = "value", "other", "seen"
"""Names of windows: the rule's own histogram, what it is compared with, and how long the key is known."""
_COARSE: Final = 4
"""At least so many buckets has each window that is compared with its like at other times."""
_WIDTH: Final = len(FIELDS) + MONEY


class Sums(msgspec.Struct, frozen=True):
    """What a stretch of time came to."""

    samples: int
    amount: int
    whole: int
    span_ns: int
    histogram: Histogram | None = None
    different: int = 0


class Base(msgspec.Struct, frozen=True):
    """What was last computed of other times, and the newest bucket for which it holds."""

    head: int
    values: list[tuple[int, int]]
    """Of each window of the baseline of which something is known."""
    beside: tuple[int, int] | None
    """What the measure is compared with."""


class YamlSeries(CallSeries):
    """`buckets` of the other window are one window of the baseline, `shift` of them lie between two."""

    __slots__ = ("base", "buckets", "definition", "how", "shift", "waits")

    def __init__(self, definition: RuleDefinition) -> None:
        own, other, size = rings(definition)
        quantile, distinct = definition.how in QUANTILES, definition.how == "distinct"
        seen = {SEEN: Rolling(30 * DAY_NS, 30, _WIDTH)} if waits(definition) else {}
        histograms = {VALUE: RollingHistogram(own, bucket_ns(own))} if quantile else {}
        if quantile and other:
            histograms[OTHER] = RollingHistogram(other, size)
        super().__init__(
            Rolling(own, own // (size if definition.compare.budget else bucket_ns(definition.window)), _WIDTH),
            windows=seen | ({OTHER: Rolling(other, other // size, _WIDTH)} if other else {}),
            histograms=histograms,
            distinct={VALUE: RollingDistinct(own, bucket_ns(definition.window))} if distinct else {},
        )
        self.definition = definition
        self.how = definition.how
        self.waits = waits(definition)
        self.buckets, self.shift = 0, 0
        if definition.compare.baseline is not None:
            self.buckets, self.shift = int(definition.window) // size, shift_ns(definition) // size
        self.base: Base | None = None


def waits(definition: RuleDefinition) -> bool:
    """Whether a key has to be known for a while: too little of what adds up is true of everything that is new."""
    return definition.additive and definition.compare.below is not None


def rings(definition: RuleDefinition) -> tuple[int, int, int]:
    """Width of the rule's own window, of what it is compared with (or 0), and of a bucket of that."""
    window, compare = int(definition.window), definition.compare
    if compare.budget is not None:
        return 31 * DAY_NS, 0, DAY_NS
    # A bucket more where only whole ones may count.
    own = window + bucket_ns(window) if waits(definition) else window
    if compare.window is not None:
        return own, int(compare.window), bucket_ns(compare.window)
    if compare.baseline is None:
        return own, 0, 1
    size = coarse_ns(definition)
    shift, count = shift_ns(definition), compare.baseline.count
    width = shift * count + window + size
    return own, -(-width // size) * size, size


def shift_ns(definition: RuleDefinition) -> int:
    """From one window of the baseline to the one before it."""
    baseline = definition.compare.baseline
    assert baseline is not None  # noqa: S101 - asked only where there is one
    if baseline.previous is not None:
        return int(definition.window)
    return DAY_NS if baseline.days is not None else 7 * DAY_NS


def coarse_ns(definition: RuleDefinition) -> int:
    """The widest buckets that divide the window and the way from one window of the baseline to the next."""
    window, shift = int(definition.window), shift_ns(definition)
    fine = bucket_ns(window)
    whole = window // fine
    return next(
        fine * many
        for many in range(max(1, whole // _COARSE), 0, -1)
        if whole % many == 0 and shift % (fine * many) == 0
    )


def own_sums(series: YamlSeries) -> Sums:
    """The rule's own window; only whole buckets of it where a part of one would look like too little."""
    window = series.window
    samples, amount, whole = window.totals[:3]
    if series.waits and window.head is not None:
        newest = window.at(window.head)
        samples, amount, whole = samples - newest[0], amount - newest[1], whole - newest[2]
    histogram = series.histograms.get(VALUE)
    distinct = series.distinct.get(VALUE)
    return Sums(
        samples,
        amount,
        whole,
        int(series.definition.window),
        histogram.total if histogram is not None else None,
        distinct.count if distinct is not None else 0,
    )


def sums_between(series: YamlSeries, first: int, last: int) -> Sums:
    """What the buckets `first` to `last` of the other window came to."""
    ring = series.windows[OTHER]
    samples = amount = whole = 0
    for bucket in range(first, last + 1):
        sums = ring.at(bucket)
        samples, amount, whole = samples + sums[0], amount + sums[1], whole + sums[2]
    parts = series.histograms.get(OTHER)
    histogram = None
    if parts is not None:
        histogram = Histogram()
        for bucket in range(first, last + 1):
            histogram.merge(parts.at(bucket))
    return Sums(samples, amount, whole, (last - first + 1) * ring.size_ns, histogram)
