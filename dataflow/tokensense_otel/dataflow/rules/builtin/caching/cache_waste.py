"""CACHE_WASTE: the same prompt bought again and again, with no cache in between."""

from typing import Any, Final

from pydantic import Field

from tokensense_otel.core.call import Call, Cost, CostKind
from tokensense_otel.core.insight import Severity
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.caching.prompt_caches import prompt_cache
from tokensense_otel.dataflow.rules.builtin.caching.repriced import all_read
from tokensense_otel.dataflow.rules.call_rule import Fact, WindowRule, team_of
from tokensense_otel.dataflow.rules.evaluation.series import MONEY, NO_MONEY, CallSeries
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words

ANSWERED: Final = Cost(CostKind.KNOWN)
"""What a call costs whose answer comes from a cache of answers."""


class CacheWasteConfig(WindowConfig):
    """Thresholds of CACHE_WASTE."""

    severity: Severity = Severity.MEDIUM
    """`high`, `medium` or `low`."""
    min_repeats: int = Field(default=50, ge=2)
    """Successful calls with one prompt hash in the window before the rule fires."""
    served_too: bool = False
    """Whether to fire as well where the provider's prompt cache served some of the repeats, so that only what was still
    paid for them is wasted. By default one cached token on any of them is enough to be silent."""


class CacheWaste(WindowRule[CacheWasteConfig]):
    """Two caches could help: one of answers, which spares the repeats altogether, and the provider's prompt cache,
    which makes their input cheaper. The saving is what the repeats cost (all calls but the first); what the prompt
    cache alone would have spared stands beside it.

    Prompt hashes are unbounded, keys are not. A key that was given up starts again from nothing, and one that had
    cached tokens is still known to have had them, so a finding is never made up, only found later or not at all. Most
    prompts come once and cost a few bytes.
    """

    name = "CACHE_WASTE"
    description = "One prompt hash is sent many times and no cached tokens are reported for any of the repeats."
    scope = ("team", "prompt_hash")
    fields = ("calls", "served_calls", "input_tokens", "cached_tokens", "cached_known", "prompt_cache_nanos")
    thresholds = ("min_repeats", "window")
    above = ("min_repeats",)
    unbounded = True
    config_type = CacheWasteConfig

    def observe(self, call: Call, _config: CacheWasteConfig, catalogue: Catalogue, /) -> Fact | None:
        if not call.prompt_hash or call.error_type:
            return None
        tokens, cost = call.tokens, call.cost
        read, spared = tokens.cache_read, 0
        cache = prompt_cache(call.model)
        if cache is not None and (tokens.input or 0) >= cache.min_tokens and cost.kind is not CostKind.UNKNOWN:
            spared = max(0, cost.low - all_read(call, catalogue).high)
        return Fact(
            (team_of(call), call.prompt_hash),
            (1, int(bool(read)), tokens.input or 0, read or 0, int(read is not None), spared),
            ANSWERED,
        )

    def judge(self, series: CallSeries, config: CacheWasteConfig, /) -> int | None:
        calls, served, *_ = series.counts
        return calls if calls >= config.min_repeats and (served == 0 or config.served_too) else None

    def share(self, series: CallSeries, saved: int, /) -> int:
        """All but the first of the equal calls could have been answered from a cache."""
        compared = series.month.totals[-MONEY + 2]
        return saved * (compared - 1) // compared if compared > 1 else 0

    def forbids(self, fact: Fact, /) -> bool:
        return fact.counts[1] != 0

    def unfit(self, series: CallSeries, /) -> bool:
        return series.counts[1] != 0

    def mark_unfit(self, series: CallSeries, time_ns: int, /) -> None:
        series.window.add(time_ns, (0, 1, 0, 0, 0, 0, *NO_MONEY))

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        calls, served, input_tokens, cached, cached_known, _ = series.counts
        return {
            "calls": calls,
            "repeats": max(0, calls - 1),
            "repeats_served_by_prompt_cache": served,
            "calls_that_report_cached_tokens": cached_known,
            "input_tokens": input_tokens,
            "cached_tokens": cached,
        }

    def money(self, series: CallSeries, config: CacheWasteConfig, catalogue: Catalogue, /) -> dict[str, Any]:
        calls, *_, spared = series.counts
        priced, spend, *_ = series.window.totals[-MONEY:]
        repeats = spend * (calls - 1) // calls if calls > 1 and priced > 0 else None
        prompt_cache = spared * (calls - 1) // calls if calls > 1 and priced > 0 else None
        return super().money(series, config, catalogue) | {
            "repeats_in_window_usd": usd_text(repeats),
            "prompt_cache_would_save_in_window_usd": usd_text(prompt_cache),
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, config: CacheWasteConfig, _catalogue: Catalogue, /
    ) -> Words:
        calls, served, _, cached, known, _ = series.counts
        name = scope["prompt_hash"][:12]
        if served > 0:
            return Words(
                title=f"{scope['team']} sends the same prompt again and again, partly from the prompt cache",
                summary=f"The prompt {name} was sent {calls} times in {config.window}; the provider's prompt cache "
                f"served {cached:,} tokens of {served} of them, the rest and the answers were paid each time.",
                suggested_fix="Keep the answers of identical requests in a response cache: the prompt cache makes "
                "their input cheaper, not their answers.",
            )
        told = "no cached tokens were reported for any of them" if known else "nothing was said about cached tokens"
        return Words(
            title=f"{scope['team']} pays for the same prompt again and again",
            summary=f"The prompt {name} was sent {calls} times in {config.window} and {told}.",
            suggested_fix="Keep the answers of identical requests in a response cache. Where they have to differ, turn "
            "on the provider's prompt cache for what repeats (from about 1,024 tokens on).",
        )
