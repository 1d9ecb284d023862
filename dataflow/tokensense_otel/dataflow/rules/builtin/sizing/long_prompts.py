"""LONG_PROMPTS: prompts of which much is paid in full on average."""

from typing import Any, Final

import msgspec
from pydantic import Field

from tokensense_otel.core.call import Call, Cost, Tokens
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.call_rule import NOT_TEXT, Fact, WindowRule, average, team_of
from tokensense_otel.dataflow.rules.evaluation.distinct import RollingDistinct
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words

PROMPTS: Final = "prompts"
BEGINNINGS: Final = "beginnings"
MOST: Final = 256
"""Different prompts that are told apart in the window."""
PARTS: Final = 12


class LongPromptsConfig(WindowConfig):
    """Thresholds of LONG_PROMPTS."""

    severity: Severity = Severity.MEDIUM
    """`high`, `medium` or `low`."""
    min_calls: int = Field(default=20, ge=1)
    """Calls with known input in the window before the rule may fire."""
    max_input_tokens: int = Field(default=2_000, ge=1)
    """The rule fires while the average input that was not read from a cache is above this many tokens."""


class LongPrompts(WindowRule[LongPromptsConfig]):
    """Calls that reported their input count. What the provider read from its cache is no part of it; where nobody says
    how much that was, all input is. The alternative is each prompt with the rest of it cut to the threshold."""

    name = "LONG_PROMPTS"
    description = "The prompts of a team to a model are long on average, without what came from a cache."
    scope = ("team", "model")
    fields = ("calls", "input_tokens", "cached_tokens", "cached_known", "long_calls", "hashed_long_calls")
    thresholds = ("min_calls", "max_input_tokens", "window")
    above = ("max_input_tokens",)
    config_type = LongPromptsConfig

    def new_series(self, config: LongPromptsConfig, /) -> CallSeries:
        series = super().new_series(config)
        # Evidence only, so coarser than what decides.
        size_ns = config.window // PARTS
        series.distinct = {name: RollingDistinct(config.window, size_ns, MOST) for name in (PROMPTS, BEGINNINGS)}
        return series

    def observe(self, call: Call, config: LongPromptsConfig, catalogue: Catalogue, /) -> Fact | None:
        tokens = call.tokens
        if tokens.input is None or call.operation in NOT_TEXT:
            return None
        read = min(tokens.cache_read or 0, tokens.input)
        long = tokens.input - read > config.max_input_tokens
        key = (team_of(call), call.model or "unknown")
        told = int(tokens.cache_read is not None)
        if not long:
            return Fact(key, (1, tokens.input, read, told, 0, 0), call.cost)
        prompt = call.prompt_hash
        return Fact(
            key,
            (1, tokens.input, read, told, 1, int(prompt != "")),
            _trimmed(call, tokens, read, config.max_input_tokens, catalogue),
            members=((PROMPTS, prompt), (BEGINNINGS, call.prefix_hash or prompt)) if prompt else (),
        )

    def judge(self, series: CallSeries, config: LongPromptsConfig, /) -> int | None:
        calls, input_tokens, cached, *_ = series.counts
        paid = input_tokens - cached
        return paid if calls >= config.min_calls and paid > config.max_input_tokens * calls else None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        calls, input_tokens, cached, cached_known, long, hashed = series.counts
        return {
            "calls": calls,
            "long_calls": long,
            "input_tokens": input_tokens,
            "average_input_tokens": average(input_tokens, calls),
            "average_uncached_tokens": average(input_tokens - cached, calls),
            "cached_share": round(cached / input_tokens, 3) if input_tokens > 0 and cached_known > 0 else None,
            "repeated_prompt_share": _repeated(series, PROMPTS, hashed),
            "repeated_beginning_share": _repeated(series, BEGINNINGS, hashed),
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, config: LongPromptsConfig, _catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        cached, alike = seen["cached_share"], seen["repeated_beginning_share"]
        told = "what was cached is not reported" if cached is None else f"{cached:.0%} of the input came from a cache"
        repeats = "" if alike is None else f" At least {alike:.0%} of the long ones began as an earlier one."
        return Words(
            title=f"{scope['team']} sends long prompts to {scope['model']}",
            summary=f"{seen['calls']} calls in {config.window} averaged {seen['average_uncached_tokens'] or 0:,.0f} "
            f"input tokens paid in full, above {config.max_input_tokens:,}; {told}.{repeats}",
            suggested_fix="Shorten the system prompt, retrieve fewer or shorter passages, drop turns that no longer "
            "matter, and put what repeats first so that the provider's prompt cache can serve it.",
        )


def _repeated(series: CallSeries, what: str, hashed: int) -> float | None:
    """Share of the long calls with a hash that came before in the window, at least; `None` where none has one."""
    return round(series.distinct[what].repeats / hashed, 3) if hashed > 0 else None


def _trimmed(call: Call, tokens: Tokens, read: int, limit: int, catalogue: Catalogue) -> Cost:
    """What the call would have cost with what was not cached cut to `limit`."""
    count = read + limit
    write = min(tokens.cache_write or 0, limit)
    shorter = msgspec.structs.replace(
        tokens,
        input=count,
        cache_write=tokens.cache_write and write,
        cache_write_1h=tokens.cache_write_1h and min(tokens.cache_write_1h, write),
        audio_input=tokens.audio_input and min(tokens.audio_input, count),
        image_input=tokens.image_input and min(tokens.image_input, count),
    )
    return catalogue.cost(msgspec.structs.replace(call, tokens=shorter))
