"""The numbers that a rule written in YAML compares, as fractions of integers: its own, and what stands beside it."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Final

from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS
from tokensense_otel.dataflow.rules.language.definition import Baseline, RuleDefinition
from tokensense_otel.dataflow.rules.language.metrics import QUANTILES
from tokensense_otel.dataflow.rules.language.series import OTHER, SEEN, Base, Sums, YamlSeries, own_sums, sums_between

Value = tuple[int, int]
"""Numerator and denominator, the latter above zero."""

_SECOND: Final = 1_000_000_000
_MINUTE: Final = 60 * _SECOND


def value_of(sums: Sums, how: str) -> Value | None:
    """What an aggregate is of a stretch of time; `None` where nothing is known of it."""
    if how in ("count", "sum"):
        return sums.amount, 1
    if how == "mean":
        return (sums.amount, sums.samples) if sums.samples > 0 else None
    if how == "share":
        return (sums.amount, sums.whole) if sums.whole > 0 else None
    if how == "rate":
        return sums.amount * _MINUTE, sums.span_ns
    if how == "distinct":
        return sums.different, 1
    value = None if sums.histogram is None else sums.histogram.quantile(QUANTILES[how])
    return None if value is None else (value, 1)


def now(series: YamlSeries, definition: RuleDefinition) -> Sums | None:
    """What the rule judges; `None` while it cannot tell, because the key is too new."""
    if series.waits and not _known_for(series, int(definition.window)):
        return None
    compare = definition.compare
    if compare.budget is not None:
        return _period(series, compare.budget.per)
    if compare.baseline is not None:
        last = _newest(series)
        return sums_between(series, last - series.buckets + 1, last)
    return own_sums(series)


def beside(series: YamlSeries, definition: RuleDefinition) -> Value | None:
    """What `above` and `below` are times of; `None` while it cannot tell."""
    compare = definition.compare
    if compare.baseline is not None:
        return _base(series, compare.baseline).beside
    if compare.budget is not None:
        return definition.limits.budget
    return (1, 1) if compare.window is None else _longer(series, definition)


def other_times(series: YamlSeries, baseline: Baseline) -> list[Value]:
    """The measure of the windows of the baseline of which something is known, newest first."""
    return _base(series, baseline).values


def _base(series: YamlSeries, baseline: Baseline) -> Base:
    """Computed once for each bucket, and anew when a late call changed what it is of.

    A window before the first call of the key is not known. One without calls is a zero where the measure adds up, and
    not known where it does not.
    """
    ring = series.windows[OTHER]
    head = ring.head or 0
    if series.base is not None and series.base.head == head:
        return series.base
    first, last, buckets = ring.first(), _newest(series), series.buckets
    values: list[Value] = []
    for back in range(1, baseline.count + 1):
        end = last - back * series.shift
        if first is None or end - buckets + 1 < first:
            break
        value = value_of(sums_between(series, end - buckets + 1, end), series.how)
        if value is not None:
            values.append(value)
    known = len(values) >= min(baseline.min_windows, baseline.count)
    series.base = Base(head, values, _statistic(values, baseline.statistic) if known else None)
    return series.base


def _statistic(values: list[Value], name: str) -> Value:
    fractions = sorted(Fraction(*value) for value in values)
    if name == "mean":
        return (sum(fractions, Fraction(0)) / len(fractions)).as_integer_ratio()
    middle = len(fractions) // 2
    return ((fractions[middle] + fractions[-middle - 1]) / 2).as_integer_ratio()


def _newest(series: YamlSeries) -> int:
    """The newest bucket of the other window that counts; only whole ones do where a part would look like too little."""
    head = series.windows[OTHER].head or 0
    return head - 1 if series.waits else head


@lru_cache(maxsize=64)
def period_start(now_ns: int, per: str) -> int:
    """Unix nanoseconds at which the UTC day, week (from Monday) or month of a moment began."""
    if per == "day":
        return now_ns // DAY_NS * DAY_NS
    day = datetime.fromtimestamp(now_ns // _SECOND, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "week":
        day -= timedelta(days=day.weekday())
    elif per == "month":
        day = day.replace(day=1)
    return int(day.timestamp()) * _SECOND


def forget_other_times(series: YamlSeries, time_ns: int) -> None:
    """What is kept of other times holds no more, when something was added to one of them."""
    ring = series.windows[OTHER]
    if ring.head is None or time_ns // ring.size_ns <= ring.head - series.buckets:
        series.base = None


def _known_for(series: YamlSeries, span_ns: int) -> bool:
    seen = series.windows[SEEN]
    first, head = seen.first(), series.window.head
    return first is not None and head is not None and (first + 1) * DAY_NS <= head * series.window.size_ns - span_ns


def _period(series: YamlSeries, per: str) -> Sums:
    window = series.window
    head = window.head or 0
    samples = amount = 0
    for day in range(period_start(head * DAY_NS, per) // DAY_NS, head + 1):
        sums = window.at(day)
        samples, amount = samples + sums[0], amount + sums[1]
    return Sums(samples, amount, 0, DAY_NS)


def _longer(series: YamlSeries, definition: RuleDefinition) -> Value | None:
    """The same measure over the longer window, of which at least half has to be known."""
    ring = series.windows[OTHER]
    first, head = ring.first(), ring.head
    if first is None or head is None:
        return None
    known_ns = (head + 1 - first) * ring.size_ns
    if 2 * known_ns < sum_width(definition):
        return None
    samples, amount, whole = ring.totals[:3]
    histogram = series.histograms.get(OTHER)
    value = value_of(
        Sums(samples, amount, whole, known_ns, histogram.total if histogram is not None else None), series.how
    )
    if value is None or series.how not in ("count", "sum"):
        return value
    return value[0] * int(definition.window), value[1] * known_ns


def sum_width(definition: RuleDefinition) -> int:
    """Length of the longer window."""
    assert definition.compare.window is not None  # noqa: S101 - asked only where there is one
    return int(definition.compare.window)
