"""PREFIX_CACHE_MISS: prompts whose beginning the provider's prompt cache could serve, and does not."""

from fractions import Fraction
from typing import Any, Final

from pydantic import Field

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.core.insight import Severity, rfc3339
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.prefix_series import TTL_NS, PrefixSeries
from tokensense_otel.dataflow.rules.builtin.prompt_caches import prompt_cache
from tokensense_otel.dataflow.rules.builtin.repriced import all_read, unwritten
from tokensense_otel.dataflow.rules.call_rule import NOT_TEXT, Fact, WindowRule, team_of
from tokensense_otel.dataflow.rules.calls import place_of
from tokensense_otel.dataflow.rules.evaluation.durations import Duration, Window
from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS, CallSeries
from tokensense_otel.dataflow.rules.rule import HOUR_NS, WindowConfig, Words

FELL: Final = "fell"
UNREAD: Final = "unread"
NEVER: Final = "never"
BASELINE: Final = "baseline"


class PrefixCacheMissConfig(WindowConfig):
    """Thresholds of PREFIX_CACHE_MISS."""

    severity: Severity = Severity.MEDIUM
    """`high`, `medium` or `low`."""
    window: Window = Duration("1h")
    """Length of the rolling window that is judged."""
    keep_firing_for: Duration = Duration("1h")
    """How long the condition has to be false before the finding is resolved."""
    min_calls: int = Field(default=50, ge=1)
    """Calls in the window that are long enough for a cache and say how much of them was cached, before it may fire."""
    baseline: Window = Duration("7d")
    """The time before, with which the hit rate is compared."""
    min_baseline_calls: int = Field(default=200, ge=1)
    """Such calls in the time before, without which nothing is compared."""
    min_baseline_hit_rate: float = Field(default=0.2, gt=0, lt=1)
    """Share of the input tokens that has to have been cached in the time before for its loss to matter."""
    min_drop: float = Field(default=0.5, gt=0, le=1)
    """The rule fires while the hit rate is lower than before by more than this share of it."""
    min_repeats: int = Field(default=50, ge=1)
    """Or: calls in the window whose beginning another prompt of the same five minutes had too, with (almost) nothing
    cached."""
    prefix_tokens: int = Field(default=1_024, ge=256)
    """How many tokens the beginning has at least that prefix hashes are made of; ours are of 8,192 characters. Caches
    that need more are not judged by it: raise it where you send hashes of more as `tokensense.prefix.hash`."""
    min_write_calls: int = Field(default=20, ge=1)
    """Or: calls in the window that wrote to the cache, with (almost) nothing read within the lifetime."""
    max_read_share: float = Field(default=0.05, ge=0, lt=1)
    """Tokens read for each token written below which writes count as never read."""
    min_prompt_tokens: int = Field(default=1_024, ge=1)
    """Shorter prompts are left out; where the provider's own minimum is known and higher, that counts."""


class PrefixFact(Fact, frozen=True, kw_only=True):
    """A fact with the beginning of the prompt, empty where it says nothing about a cache."""

    prefix: str = ""


class PrefixCacheMiss(WindowRule[PrefixCacheMissConfig]):
    """Hit rates are cached tokens by input tokens, sum by sum. Calls that do not say how much was cached are left out:
    nothing is not zero. Three things are found, in this order:

    - `fell`: the hit rate is far below that of the days before, with at least half the calls and less than half the
      cached tokens of the busiest of them at this time of day, so that neither a lull nor prompts of a new kind look
      like it.
    - `unread`: what was written to the cache was not read within its lifetime. The surcharge of writes was for nothing.
    - `never`: different prompts with one beginning follow each other within five minutes, and nothing is cached.
    """

    name = "PREFIX_CACHE_MISS"
    description = "The provider's prompt cache stopped serving a feature's prompts, or never did although they repeat."
    scope = ("team", "model", "feature", "service")
    fields = (
        "calls",
        "input_tokens",
        "cached_tokens",
        "write_calls",
        "written_tokens",
        "hour_write_calls",
        "hour_written_tokens",
        "write_surcharge_nanos",
    )
    thresholds = (
        "window",
        "min_calls",
        "baseline",
        "min_baseline_calls",
        "min_baseline_hit_rate",
        "min_drop",
        "min_repeats",
        "prefix_tokens",
        "min_write_calls",
        "max_read_share",
    )
    above = ("min_calls", "min_drop", "min_repeats", "min_write_calls")
    config_type = PrefixCacheMissConfig

    def new_series(self, config: PrefixCacheMissConfig, /) -> CallSeries:
        return PrefixSeries.over(config.window, len(self.fields), windows={BASELINE: config.baseline})

    def observe(self, call: Call, config: PrefixCacheMissConfig, catalogue: Catalogue, /) -> Fact | None:
        tokens = call.tokens
        count, read = tokens.input, tokens.cache_read
        if count is None or read is None or count < config.min_prompt_tokens or call.error_type:
            return None
        model = call.model
        cache = prompt_cache(model)
        if (cache is not None and count < cache.min_tokens) or call.operation in NOT_TEXT:
            return None
        write, surcharge = tokens.cache_write or 0, 0
        hour = min(tokens.cache_write_1h or 0, write)
        if write and call.cost.kind is not CostKind.UNKNOWN:
            surcharge = max(0, call.cost.low - unwritten(call, catalogue).high)
        feature, service = place_of(call)
        return PrefixFact(
            key=(team_of(call), model, feature, service),
            counts=(1, count, read, int(write > hour), write - hour, int(hour > 0), hour, surcharge),
            alternative=all_read(call, catalogue),
            prefix=call.prefix_hash if cache is not None and cache.min_tokens <= config.prefix_tokens else "",
        )

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:
        fits = super().post(series, call, fact, sign, time_ns)
        if fits and isinstance(series, PrefixSeries) and isinstance(fact, PrefixFact):
            series.repeats.advance(time_ns)
            if fact.prefix:
                series.repeats.add(time_ns, fact.prefix, call.prompt_hash, sign)
            if call.version and sign > 0:
                series.see(call.version, time_ns)
        return fits

    def judge(self, series: CallSeries, config: PrefixCacheMissConfig, /) -> int | None:
        if series.window.totals[0] < config.min_calls or not isinstance(series, PrefixSeries):
            return None
        for cause, find in ((FELL, _fell), (UNREAD, _unread), (NEVER, _never)):
            missed = find(series, config)
            if missed is not None:
                if not series.episode.active or not series.cause:
                    series.since_ns = _since(series) if cause == FELL else 0
                    series.base = _baseline(series)[1:]
                series.cause, series.missed = cause, missed
                return missed
        return None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        calls, count, cached, writes, written, hour_writes, hour_written, _ = series.counts
        seen: dict[str, Any] = {
            "calls": calls,
            "input_tokens": count,
            "cached_tokens": cached,
            "hit_rate": _rate(cached, count),
            "write_calls": writes + hour_writes,
            "written_tokens": written + hour_written,
        }
        if isinstance(series, PrefixSeries):
            seen |= {
                "cause": series.cause,
                "baseline_hit_rate": _rate(*series.base),
                "repeated_beginnings": series.repeats.repeats,
                "since": rfc3339(series.since_ns) if series.cause == FELL else None,
                "since_version": (series.suspect or None) if series.cause == FELL else None,
                "versions": series.shown_versions(),
            }
        return seen

    def share(self, series: CallSeries, saved: int, /) -> int:
        """`saved` is what reading all input from the cache would save; a part of that is what the cause took away."""
        return int(saved * _part(series, series.window.totals)) if isinstance(series, PrefixSeries) else 0

    def savings(self, series: CallSeries, /) -> int | None:
        """`fell`: since it fell. `unread`: the surcharge of writes in the time compared. `never`: of the last 30 days,
        as far as their beginnings repeated as often as now; each repeat counts `prefix_tokens`, which is the least."""
        if series.month.totals[2] <= 0 or not isinstance(series, PrefixSeries):
            return None
        days = series.windows[BASELINE]
        if series.cause == FELL:
            after = [days.at(at) for at in range(series.since_ns // days.size_ns, (days.head or 0) + 1)]
            sums = [sum(column) for column in zip(*after, strict=True)] if after else series.window.totals
            return int(sums[-1] * _part(series, sums))
        if series.cause == UNREAD:
            return days.totals[7]
        return self.share(series, series.month.totals[3])

    def money(self, series: CallSeries, config: PrefixCacheMissConfig, catalogue: Catalogue, /) -> dict[str, Any]:
        compared, saved = series.window.totals[-2:]
        lost = self.share(series, saved) if compared > 0 else None
        return super().money(series, config, catalogue) | {"lost_in_window_usd": usd_text(lost)}

    def words(
        self, scope: dict[str, str], series: CallSeries, config: PrefixCacheMissConfig, _catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        where, model = scope.get("feature") or scope.get("service") or scope["team"], scope["model"]
        rate = f"{seen['hit_rate'] or 0:.0%}"
        if seen["cause"] == FELL:
            version = f", with version {seen['since_version']}" if seen["since_version"] else ""
            return Words(
                title=f"{where} ({scope['team']}) lost the prompt cache of {model}",
                summary=f"{rate} of the input tokens of {seen['calls']} calls in {config.window} were cached, against "
                f"{seen['baseline_hit_rate'] or 0:.0%} in the {config.baseline} before. It began at "
                f"{seen['since']}{version}.",
                suggested_fix="Compare the beginning of the prompt (tools, system prompt, first messages) before and "
                "after that time: a date, an id, another order of keys or tools in it makes every prompt a new one. "
                "Put what changes at the end.",
            )
        if seen["cause"] == UNREAD:
            return Words(
                title=f"{where} ({scope['team']}) pays for cache writes of {model} that nobody reads",
                summary=f"{seen['write_calls']} calls in {config.window} wrote {seen['written_tokens']:,} tokens to "
                f"the prompt cache, and {seen['cached_tokens']:,} were read.",
                suggested_fix="Mark only what the next requests begin with, before anything that changes; where "
                "requests are further apart than the cache's lifetime, take the longer one or do without.",
            )
        cache = prompt_cache(model)
        asked = "Mark what stays the same (`cache_control`)" if cache and cache.asked_for else "Put what stays the same"
        return Words(
            title=f"{where} ({scope['team']}) sends {model} the same beginnings, and none is cached",
            summary=f"{seen['repeated_beginnings']} of {seen['calls']} prompts in {config.window} began as another one "
            f"within five minutes, and {rate} of their input tokens were cached.",
            suggested_fix=f"{asked} at the beginning of the prompt: tools, system prompt, documents. Nothing in it may "
            "change from call to call, not even a date or the order of keys.",
        )


def _baseline(series: CallSeries) -> tuple[int, int, int]:
    """(calls, cached, input) of the time before the window."""
    calls, count, cached, *_ = series.windows[BASELINE].totals
    now_calls, now_count, now_cached, *_ = series.window.totals
    return calls - now_calls, cached - now_cached, count - now_count


def _fell(series: PrefixSeries, config: PrefixCacheMissConfig) -> int | None:
    calls, count, cached, *_ = series.window.totals
    before, base_cached, base_count = _baseline(series)
    if before < config.min_baseline_calls or base_cached < config.min_baseline_hit_rate * base_count:
        return None
    if cached * base_count >= (1 - config.min_drop) * base_cached * count:
        return None
    usual_calls, usual_cached = _usual(series)
    if 2 * calls < usual_calls or 2 * cached >= usual_cached:
        return None
    return (base_cached * count - cached * base_count) // base_count


def _usual(series: PrefixSeries) -> tuple[Fraction, Fraction]:
    """(calls, cached tokens) of as long a time on the busiest of the days before, at this time of day."""
    days = series.windows[BASELINE]
    begin, end = series.window.bounds()
    now, a_day = (begin + end) // 2 // days.size_ns, DAY_NS // days.size_ns
    first = days.first() or now
    slots = [days.at(at) for at in range(now - a_day, first - 1, -a_day)]
    if not slots:  # younger than a day: the mean of what there was
        slots, length = [days.totals], (now - first + 1) * days.size_ns
    else:
        length = days.size_ns
    scale = Fraction(end - begin, length)
    return max(slot[0] for slot in slots) * scale, max(slot[2] for slot in slots) * scale


def _unread(series: PrefixSeries, config: PrefixCacheMissConfig) -> int | None:
    _, _, cached, writes, written, *_ = series.window.totals
    if writes >= config.min_write_calls and cached < config.max_read_share * written:
        newest, young = series.window.head or 0, -(-TTL_NS // series.window.size_ns)
        for at in range(newest - young, newest + 1):
            bucket = series.window.at(at)
            writes, written = writes - bucket[3], written - bucket[4]
        if writes >= config.min_write_calls and cached < config.max_read_share * written:
            return written
    days = series.windows[BASELINE]
    _, _, cached, _, _, writes, written, *_ = days.totals
    if writes < config.min_write_calls or cached >= config.max_read_share * written:
        return None
    newest, young = days.head or 0, -(-HOUR_NS // days.size_ns)
    for at in range(newest - young, newest + 1):
        bucket = days.at(at)
        writes, written = writes - bucket[5], written - bucket[6]
    return written if writes >= config.min_write_calls and cached < config.max_read_share * written else None


def _never(series: PrefixSeries, config: PrefixCacheMissConfig) -> int | None:
    _, count, cached, *_ = series.window.totals
    repeats = series.repeats.repeats
    return repeats * config.prefix_tokens if repeats >= config.min_repeats and 100 * cached < count else None


def _since(series: PrefixSeries) -> int:
    """From when on nothing was cached even half as well as in the time before, in nanoseconds."""
    window, base_cached, base_count = series.window, *_baseline(series)[1:]
    since = window.head or 0
    for at in range(since, (window.first() or 0) - 1, -1):
        _, count, cached, *_ = window.at(at)
        if 2 * cached * base_count >= base_cached * count > 0:
            break
        since = at if count > 0 else since
    return since * window.size_ns


def _part(series: PrefixSeries, sums: list[int]) -> Fraction:
    """Which part of the tokens that were not cached the cause took away, from nothing to all of them."""
    calls, count, cached, *_ = sums
    if count <= cached or calls <= 0:
        return Fraction(0)
    if series.cause == FELL:
        base_cached, base_count = series.base
        lost = Fraction(base_cached * count, base_count) - cached if base_count > 0 else Fraction(0)
        return min(Fraction(1), max(Fraction(0), lost / (count - cached)))
    if series.cause == UNREAD:
        return min(Fraction(1), Fraction(sums[7], sums[-1])) if sums[-1] > 0 else Fraction(0)
    return min(Fraction(1), Fraction(series.missed, count - cached))


def _rate(cached: int, count: int) -> float | None:
    return round(cached / count, 3) if count > 0 else None
