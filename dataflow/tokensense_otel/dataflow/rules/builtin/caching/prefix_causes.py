"""What can be wrong with a prompt cache, from the sums of a key: the three causes of PREFIX_CACHE_MISS.

Each says how many tokens were paid in full that could have been read, or `None` where it is not so.
"""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from pydantic import Field

from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.rules.builtin.caching.prefix_series import PrefixSeries
from tokensense_otel.dataflow.rules.evaluation.durations import Duration, Window
from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS
from tokensense_otel.dataflow.rules.rule import HOUR_NS, WindowConfig

FELL: Final = "fell"
UNREAD: Final = "unread"
NEVER: Final = "never"
BASELINE: Final = "baseline"
MIN_DAYS: Final = 2
"""Days before on which there were calls at these hours, without which nothing is compared."""
SIGMAS: Final = 5
"""Standard deviations by which a hit rate has to have fallen; calls come in bursts, so fewer would be accidents."""
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
    min_baseline_calls: int = Field(default=50, ge=1)
    """Such calls at these hours of the days before, without which nothing is compared."""
    min_baseline_hit_rate: float = Field(default=0.2, gt=0, lt=1)
    """Share of the input tokens that has to have been cached then for its loss to matter."""
    min_drop: float = Field(default=0.5, gt=0, le=1)
    """The rule fires while the hit rate is lower than then, and than in all the time before, by more than this share of
    it."""
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


class Stretch(NamedTuple):
    """What the calls of some time add up to."""

    calls: int
    input: int
    cached: int

    def lower(self, before: "Stretch", config: PrefixCacheMissConfig) -> bool:
        """Whether there was enough in the cache before, and less by enough is now."""
        return (
            before.calls >= config.min_baseline_calls
            and before.cached > 0
            and before.cached >= config.min_baseline_hit_rate * before.input
            and self.cached * before.input < (1 - config.min_drop) * before.cached * self.input
        )


def fell(series: PrefixSeries, config: PrefixCacheMissConfig) -> int | None:
    """The hit rate of the newest calls is far below that of the days before, as a whole and at these hours.

    It has to be so of as many calls as it takes for such a fall to be `SIGMAS` standard deviations of the number of
    hits: the lower the rate was, the more it varies by itself. An open finding stays so while the newest are low.
    """
    days = series.windows[BASELINE].totals
    if days[2] <= 0 or days[2] < config.min_baseline_hit_rate * days[1]:
        return None
    newest = _newest(series, config.min_calls, config.recent)
    if newest is None or not newest[1].lower(_rest(days, newest[1]), config):
        return None
    if series.episode.firing and series.cause == FELL:
        same_hours = _sum(_same_hours(series, newest[0])[0])
        enough = same_hours.calls >= config.min_baseline_calls and same_hours.cached >= (
            config.min_baseline_hit_rate * same_hours.input
        )
        if enough and not newest[1].lower(same_hours, config):
            return None
        return _missed(newest[1], Stretch(0, series.base[1], series.base[0]))
    same_hours = _sum(_same_hours(series, newest[0])[0])
    if not newest[1].lower(same_hours, config):
        return None
    varies = SIGMAS**2 * (same_hours.input - same_hours.cached) / (same_hours.cached * config.min_drop**2)
    newest = _newest(series, max(config.min_calls, math.ceil(varies)), config.recent)
    if newest is None:
        return None
    begin_ns, now = newest
    each, scale = _same_hours(series, begin_ns)
    earlier, _ = _same_hours(series, begin_ns, earlier=1)
    same_hours = _sum(each)
    befores = (same_hours, _sum(earlier), _rest(days, now))
    if len(each) < MIN_DAYS or not all(now.lower(before, config) for before in befores):
        return None
    # At less traffic prompts may be too far apart for the cache; as many cached tokens as ever mean that it works.
    if 4 * now.calls * len(each) < 3 * scale * same_hours.calls:
        return None
    if 2 * now.cached >= scale * max(day.cached for day in each):
        return None
    series.base, series.recent = (same_hours.cached, same_hours.input), (begin_ns, *now)
    return _missed(now, same_hours)


def _newest(series: PrefixSeries, calls_needed: int, recent_ns: int) -> tuple[int, Stretch] | None:
    """(from, sums) of the newest buckets that are as long and hold as many calls as asked for."""
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
            return at * window.size_ns, Stretch(calls, count, cached)
    return None


def _same_hours(series: PrefixSeries, begin_ns: int, earlier: int = 0) -> tuple[list[Stretch], Fraction]:
    """From `begin_ns` to now on each day before that had calls then, and how much of that time it is.

    The days' buckets are wide, so that in the morning they hold what comes later: see also those `earlier` by one.
    """
    days = series.windows[BASELINE]
    size_ns, a_day, first = days.size_ns, DAY_NS // days.size_ns, days.first()
    end_ns = series.window.bounds()[1]
    begin, end = begin_ns // size_ns - earlier, -(-end_ns // size_ns) - earlier
    found = []
    for shift in range(a_day, begin - (begin if first is None else first) + 1, a_day):
        day = _sum(Stretch(*days.at(at - shift)[:3]) for at in range(begin, end))
        if day.calls > 0:
            found.append(day)
    return found, Fraction(end_ns - begin_ns, (end - begin) * size_ns)


def _sum(some: Iterable[Stretch]) -> Stretch:
    return Stretch(*(sum(column) for column in zip((0, 0, 0), *some, strict=True)))


def _rest(totals: Sequence[int], newest: Stretch) -> Stretch:
    return Stretch(totals[0] - newest.calls, totals[1] - newest.input, totals[2] - newest.cached)


def _missed(now: Stretch, before: Stretch) -> int:
    """Tokens that would have been cached at the rate of before, and were not."""
    return (before.cached * now.input - now.cached * before.input) // before.input


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
