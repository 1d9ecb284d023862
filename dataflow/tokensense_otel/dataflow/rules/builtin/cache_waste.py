"""CACHE_WASTE: the same prompt bought again and again, with no cache in between."""

from typing import Any

import msgspec
from pydantic import Field

from tokensense_otel.core.call import Call, Cost
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.call_rule import Fact, WindowRule, team_of
from tokensense_otel.dataflow.rules.evaluation.series import MONEY, NO_MONEY, CallSeries
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words


class CacheWasteConfig(WindowConfig):
    """Thresholds of CACHE_WASTE."""

    severity: Severity = Severity.MEDIUM
    """`high`, `medium` or `low`."""
    min_repeats: int = Field(default=50, ge=2)
    """Successful calls with one prompt hash in the window, none of them with cached tokens, before the rule fires."""


class CacheWaste(WindowRule[CacheWasteConfig]):
    """Prompt hashes are unbounded, keys are not. A key that was given up starts again from nothing, and one that had
    cached tokens is still known to have had them, so a finding is never made up, only found later or not at all."""

    name = "CACHE_WASTE"
    description = "One prompt hash is sent many times and no cached tokens are reported for any of the repeats."
    scope = ("team", "prompt_hash")
    fields = ("calls", "cached_calls", "input_tokens")
    thresholds = ("min_repeats", "window")
    config_type = CacheWasteConfig

    def observe(self, call: Call, _config: CacheWasteConfig, catalogue: Catalogue, /) -> Fact | None:
        if call.error_type or not call.prompt_hash:
            return None
        tokens = call.tokens
        key = (team_of(call), call.prompt_hash)
        if tokens.cache_read:
            return Fact(key, (1, 1, tokens.input or 0))
        return Fact(key, (1, 0, tokens.input or 0), _cached(call, catalogue))

    def judge(self, series: CallSeries, config: CacheWasteConfig, /) -> int | None:
        calls, cached, _ = series.counts
        return calls if calls >= config.min_repeats and cached == 0 else None

    def share(self, series: CallSeries, saved: int, /) -> int:
        """All but the first of the equal calls could have been served from a cache."""
        compared = series.month.totals[-MONEY + 2]
        return saved * (compared - 1) // compared if compared > 1 else 0

    def unfit(self, series: CallSeries, /) -> bool:
        return series.counts[1] != 0

    def mark_unfit(self, series: CallSeries, time_ns: int, /) -> None:
        series.window.add(time_ns, (0, 1, 0, *NO_MONEY))

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        calls, cached, input_tokens = series.counts
        return {"calls": calls, "calls_with_cached_tokens": cached, "input_tokens": input_tokens}

    def words(
        self, scope: dict[str, str], series: CallSeries, config: CacheWasteConfig, _catalogue: Catalogue, /
    ) -> Words:
        calls = series.counts[0]
        return Words(
            title=f"{scope['team']} pays for the same prompt again and again",
            summary=f"The prompt {scope['prompt_hash'][:12]} was sent {calls} times in {config.window} and no "
            "cached tokens were reported for any of them.",
            suggested_fix="Keep the answers of identical requests in a response cache, or turn on the provider's "
            "prompt cache for what repeats (from about 1,024 tokens on).",
        )


def _cached(call: Call, catalogue: Catalogue) -> Cost:
    """What the call would have cost with its whole input read from the cache, for nothing where that has no price."""
    tokens = call.tokens
    cached = msgspec.structs.replace(tokens, cache_read=tokens.input, cache_write=0, cache_write_1h=0)
    cost = catalogue.cost(msgspec.structs.replace(call, tokens=cached))
    return msgspec.structs.replace(cost, high=cost.low)
