"""PREFIX_CACHE_MISS: prompts whose beginning the provider's prompt cache could serve, and does not."""

from typing import Any

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.core.insight import rfc3339
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.caching.prefix_causes import (
    BASELINE,
    FELL,
    FIELDS,
    NEVER,
    UNREAD,
    PrefixCacheMissConfig,
    fell,
    never,
    part,
    since,
    unread,
)
from tokensense_otel.dataflow.rules.builtin.caching.prefix_series import PrefixSeries
from tokensense_otel.dataflow.rules.builtin.caching.prompt_caches import prompt_cache
from tokensense_otel.dataflow.rules.builtin.caching.repriced import all_read, unwritten
from tokensense_otel.dataflow.rules.call_rule import NOT_TEXT, Fact, WindowRule, team_of
from tokensense_otel.dataflow.rules.calls import place_of
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import Words


class PrefixFact(Fact, frozen=True, kw_only=True):
    """A fact with the beginning of the prompt, empty where it says nothing about a cache."""

    prefix: str = ""


class PrefixCacheMiss(WindowRule[PrefixCacheMissConfig]):
    """Hit rates are cached tokens by input tokens, sum by sum. Calls that do not say how much was cached are left out:
    nothing is not zero. Three things are found, in this order:

    - `fell`: the hit rate of the newest calls is far below that of the days before, with at least half the calls and
      less than half the cached tokens of the busiest of them at this time of day, so that neither a lull nor prompts of
      a new kind look like it.
    - `unread`: what was written to the cache was not read within the longest lifetime, an hour. The surcharge of writes
      was for nothing.
    - `never`: different prompts with one beginning follow each other within five minutes, and nothing is cached.
    """

    name = "PREFIX_CACHE_MISS"
    description = "The provider's prompt cache stopped serving a feature's prompts, or never did although they repeat."
    scope = ("team", "model", "feature", "service")
    fields = FIELDS
    thresholds = (
        "window",
        "min_calls",
        "recent",
        "baseline",
        "min_baseline_calls",
        "min_baseline_hit_rate",
        "min_drop",
        "min_write_calls",
        "max_read_share",
        "min_repeats",
        "prefix_tokens",
    )
    above = ("min_drop", "min_write_calls", "min_repeats")
    config_type = PrefixCacheMissConfig

    def new_series(self, config: PrefixCacheMissConfig, /) -> CallSeries:
        return PrefixSeries.over(config.window, len(self.fields), windows={BASELINE: config.baseline})

    def observe(self, call: Call, config: PrefixCacheMissConfig, catalogue: Catalogue, /) -> Fact | None:
        tokens = call.tokens
        count, read = tokens.input, tokens.cache_read
        if count is None or read is None or count < config.min_prompt_tokens or call.error_type:
            return None
        if call.operation in NOT_TEXT:
            return None
        model, written, surcharge, prefix = call.model, tokens.cache_write or 0, 0, call.prefix_hash
        if written and call.cost.kind is not CostKind.UNKNOWN:
            surcharge = max(0, call.cost.low - unwritten(call, catalogue).high)
        if prefix:
            cache = prompt_cache(model)
            if cache is None or cache.min_tokens > min(count, config.prefix_tokens):
                prefix = ""
        alternative = all_read(call, catalogue)
        return PrefixFact(
            key=(team_of(call), model, *place_of(call)),
            counts=(1, count, read, int(written > 0), written, surcharge),
            # Where reading from the cache is not cheaper it has no listed price, and nobody knows what it would save.
            alternative=alternative if alternative.high < call.cost.low or read >= count else None,
            prefix=prefix,
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
        if not isinstance(series, PrefixSeries):
            return None
        for cause, find in ((FELL, fell), (UNREAD, unread), (NEVER, never)):
            missed = find(series, config)
            if missed is not None:
                if cause == FELL and not (series.episode.active and series.cause == FELL):
                    series.since_ns = since(series)
                series.cause, series.missed = cause, missed
                return missed
        return None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        calls, count, cached, writes, written, _ = series.counts
        seen: dict[str, Any] = {
            "calls": calls,
            "input_tokens": count,
            "cached_tokens": cached,
            "hit_rate": _rate(cached, count),
            "write_calls": writes,
            "written_tokens": written,
        }
        if not isinstance(series, PrefixSeries):
            return seen
        seen |= {"cause": series.cause, "repeated_beginnings": series.repeats.repeats}
        if series.cause == FELL:
            begin_ns, recent_calls, recent_count, recent_cached = series.recent
            seen |= {
                "recent": {
                    "from": rfc3339(begin_ns),
                    "calls": recent_calls,
                    "hit_rate": _rate(recent_cached, recent_count),
                },
                "baseline_hit_rate": _rate(*series.base),
                "since": rfc3339(series.since_ns),
                "since_version": series.suspect or None,
            }
        return seen | {"versions": series.shown_versions()}

    def share(self, series: CallSeries, saved: int, /) -> int:
        """`saved` is what reading all input from the cache would save; a part of that is what the cause took away."""
        return int(saved * part(series, series.window.totals)) if isinstance(series, PrefixSeries) else 0

    def savings(self, series: CallSeries, /) -> int | None:
        """`fell`: since it fell. `unread`: the surcharge of writes in the time compared. `never`: of the last 30 days,
        as far as their beginnings repeated as often as now; each repeat counts `prefix_tokens`, which is the least."""
        if series.month.totals[2] <= 0 or not isinstance(series, PrefixSeries):
            return None
        days = series.windows[BASELINE]
        if series.cause == FELL:
            after = [days.at(at) for at in range(series.since_ns // days.size_ns, (days.head or 0) + 1)]
            sums = [sum(column) for column in zip(*after, strict=True)] if after else series.window.totals
            return int(sums[-1] * part(series, sums))
        if series.cause == UNREAD:
            return max(days.totals[5], series.window.totals[5])
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
                summary=f"{seen['recent']['hit_rate'] or 0:.0%} of the input tokens of the newest "
                f"{seen['recent']['calls']} calls were cached, against {seen['baseline_hit_rate'] or 0:.0%} in the "
                f"{config.baseline} before. It began at {seen['since']}{version}.",
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


def _rate(cached: int, count: int) -> float | None:
    return round(cached / count, 3) if count > 0 else None
