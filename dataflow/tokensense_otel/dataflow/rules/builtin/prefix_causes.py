"""What can be wrong with a prompt cache, from the sums of a key: the three causes of PREFIX_CACHE_MISS.

Each says how many tokens were paid in full that could have been read, or `None` where it is not so.
"""

import math
from fractions import Fraction
from typing import Final

from pydantic import Field

from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.rules.builtin.prefix_series import PrefixSeries
from tokensense_otel.dataflow.rules.evaluation.durations import Duration, Window
from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS
from tokensense_otel.dataflow.rules.rule import HOUR_NS, WindowConfig

FELL: Final = "fell"
UNREAD: Final = "unread"
NEVER: Final = "never"
BASELINE: Final = "baseline"
SIGMAS: Final = 4
"""Standard deviations by which a hit rate has to have fallen: once in 30,000 times it does by accident."""
FIELDS: Final = ("calls", "input_tokens", "cached_tokens", "write_calls", "written_tokens", "write_surcharge_nanos")


class PrefixCacheMissConfig(WindowConfig):
    """Thresholds of PREFIX_CACHE_MISS."""

    severity: Severity = Severity.MEDIUM
    """`high`, `medium` or `low`."""
    keep_firing_for: Duration = Duration("1h")
    """How long the condition has to be false before the finding is resolved."""
    min_calls: int = Field(default=30, ge=1)
    """Calls that say how much was cached, of which the hit rate is taken: the newest in the window, so many or more."""
    recent: Window = Duration("1h")
    """The shortest time of which the hit rate is taken, so that a cold start is over by then."""
    baseline: Window = Duration("7d")
    """The time before, with which it is compared."""
    min_baseline_calls: int = Field(default=200, ge=1)
    """Such calls in the time before, without which nothing is compared."""
    min_baseline_hit_rate: float = Field(default=0.2, gt=0, lt=1)
    """Share of the input tokens that has to have been cached in the time before for its loss to matter."""
    min_drop: float = Field(default=0.5, gt=0, le=1)
    """The rule fires while the hit rate is lower than before by more than this share of it."""
    min_write_calls: int = Field(default=20, ge=1)
    """Or: calls in the window that wrote to the cache more than an hour ago, with (almost) nothing read since."""
    max_read_share: float = Field(default=0.05, ge=0, lt=1)
    """Tokens read for each token written below which writes count as never read."""
    min_repeats: int = Field(default=50, ge=1, le=400)
    """Or: calls in the window whose beginning another prompt of the same five minutes had too, with (almost) nothing
    cached."""
    prefix_tokens: int = Field(default=1_024, ge=256)
    """How many tokens the beginning has at least that prefix hashes are made of; ours are of 8,192 characters. Caches
    that need more are not judged by it: raise it where you send hashes of more as `tokensense.prefix.hash`."""
    min_prompt_tokens: int = Field(default=1_024, ge=1)
    """Shorter prompts are left out."""


def _newest(series: PrefixSeries, calls_needed: int, recent_ns: int) -> tuple[int, int, int, int] | None:
    """(from, calls, input, cached) of the newest buckets that are as long and hold as many calls as asked for."""
    window = series.window
    calls = count = cached = 0
    head, first = window.head, window.first()
    if window.totals[0] < calls_needed or head is None or first is None:
        return None
    least = head + 1 - -(-recent_ns // window.size_ns)
    for at in range(head, first - 1, -1):
        bucket = window.at(at)
        calls, count, cached = calls + bucket[0], count + bucket[1], cached + bucket[2]
        if at <= least and calls >= calls_needed:
            return at * window.size_ns, calls, count, cached
    return None


def fell(series: PrefixSeries, config: PrefixCacheMissConfig) -> int | None:
    """The hit rate of the newest calls is far below that of the days before.

    It has to be so of as many calls as it takes for such a fall to be `SIGMAS` standard deviations of the number of
    hits: the lower the rate was, the more it varies by itself. An open finding stays so while the newest are low.
    """
    days = series.windows[BASELINE].totals
    newest = _newest(series, config.min_calls, config.recent) if days[2] > 0 else None
    if newest is None or not _lower(newest, days, config):
        return None
    if not (series.episode.firing and series.cause == FELL):
        varies = SIGMAS**2 * (days[1] - days[2]) / (days[2] * config.min_drop**2)
        newest = _newest(series, max(config.min_calls, math.ceil(varies)), config.recent)
        if newest is None or not _lower(newest, days, config):
            return None
        usual_calls, usual_cached = _usual(series, newest[0])
        if 2 * newest[1] < usual_calls or 2 * newest[3] >= usual_cached:
            return None
    _, _, count, cached = newest
    base_cached, base_count = days[2] - cached, days[1] - count
    series.base, series.recent = (base_cached, base_count), newest
    return (base_cached * count - cached * base_count) // base_count


def _lower(newest: tuple[int, int, int, int], days: list[int], config: PrefixCacheMissConfig) -> bool:
    """Whether there was enough in the cache before, and less by enough is now."""
    _, calls, count, cached = newest
    before, base_count, base_cached = days[0] - calls, days[1] - count, days[2] - cached
    return (
        before >= config.min_baseline_calls
        and base_cached > 0
        and base_cached >= config.min_baseline_hit_rate * base_count
        and cached * base_count < (1 - config.min_drop) * base_cached * count
    )


def _usual(series: PrefixSeries, begin_ns: int) -> tuple[Fraction, Fraction]:
    """(calls, cached tokens) from `begin_ns` to now at these hours on the busiest of the days before."""
    days = series.windows[BASELINE]
    size_ns, a_day = days.size_ns, DAY_NS // days.size_ns
    end_ns = series.window.bounds()[1]
    begin, end = begin_ns // size_ns, -(-end_ns // size_ns)
    first = days.first() or begin
    # Days of which no such hours are remembered are left out; a key that is younger than a day has its mean.
    shifts = [shift for shift in range(a_day, begin - first + a_day, a_day) if end - shift > first]
    if not shifts:
        scale = Fraction(end_ns - begin_ns, (end - first) * size_ns)
        return days.totals[0] * scale, days.totals[2] * scale
    sums = [[days.at(at - shift) for at in range(begin, end)] for shift in shifts]
    scale = Fraction(end_ns - begin_ns, (end - begin) * size_ns)
    calls = max(sum(bucket[0] for bucket in each) for each in sums)
    return calls * scale, max(sum(bucket[2] for bucket in each) for each in sums) * scale


def unread(series: PrefixSeries, config: PrefixCacheMissConfig) -> int | None:
    """What was written more than an hour ago, at a surcharge, was hardly read at all."""
    window = series.window
    _, _, cached, writes, written, surcharge, *_ = window.totals
    if writes < config.min_write_calls or cached >= config.max_read_share * written or surcharge <= 0:
        return None
    newest = window.head or 0
    for at in range(newest + 1 - -(-HOUR_NS // window.size_ns), newest + 1):
        bucket = window.at(at)
        writes, written = writes - bucket[3], written - bucket[4]
    return written if writes >= config.min_write_calls and cached < config.max_read_share * written else None


def never(series: PrefixSeries, config: PrefixCacheMissConfig) -> int | None:
    """Beginnings repeat while a cache would know them, and less than a hundredth of the tokens is cached."""
    _, count, cached, *_ = series.window.totals
    repeats = series.repeats.repeats
    if repeats < max(1, config.min_repeats) or 100 * cached >= count:
        return None
    return repeats * config.prefix_tokens


def since(series: PrefixSeries) -> int:
    """From when on nothing was cached even half as well as in the time before, in nanoseconds."""
    window, (base_cached, base_count) = series.window, series.base
    since = window.head or 0
    for at in range(since, (window.first() or 0) - 1, -1):
        _, count, cached, *_ = window.at(at)
        if 2 * cached * base_count >= base_cached * count > 0:
            break
        since = at if count > 0 else since
    return since * window.size_ns


def part(series: PrefixSeries, sums: list[int]) -> Fraction:
    """Which part of the tokens that were not cached the cause took away, from nothing to all of them."""
    calls, count, cached, *_ = sums
    if count <= cached or calls <= 0:
        return Fraction(0)
    if series.cause == FELL:
        base_cached, base_count = series.base
        lost = Fraction(base_cached * count, base_count) - cached if base_count > 0 else Fraction(0)
        return min(Fraction(1), max(Fraction(0), lost / (count - cached)))
    if series.cause == UNREAD:
        return min(Fraction(1), Fraction(sums[5], sums[-1])) if sums[-1] > 0 else Fraction(0)
    return min(Fraction(1), Fraction(series.missed, count - cached))
