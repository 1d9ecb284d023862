"""LONG_PROMPTS: prompts that are long on average."""

from typing import Any

import msgspec
from pydantic import Field

from tokensense_otel.core.call import Call, Cost, Tokens
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.call_rule import NOT_TEXT, Fact, WindowRule, average, team_of
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words


class LongPromptsConfig(WindowConfig):
    """Thresholds of LONG_PROMPTS."""

    severity: Severity = Severity.MEDIUM
    """`high`, `medium` or `low`."""
    min_calls: int = Field(default=20, ge=1)
    """Calls with known input in the window before the rule may fire."""
    max_input_tokens: int = Field(default=2_000, ge=1)
    """The rule fires while the average input is above this many tokens."""


class LongPrompts(WindowRule[LongPromptsConfig]):
    """Calls that reported their input count. The alternative is each prompt cut to the threshold."""

    name = "LONG_PROMPTS"
    description = "The prompts of a team to a model are long on average."
    scope = ("team", "model")
    fields = ("calls", "input_tokens", "cached_tokens")
    thresholds = ("min_calls", "max_input_tokens", "window")
    above = ("max_input_tokens",)
    config_type = LongPromptsConfig

    def observe(self, call: Call, config: LongPromptsConfig, catalogue: Catalogue, /) -> Fact | None:
        tokens = call.tokens
        if tokens.input is None or call.operation in NOT_TEXT:
            return None
        long = tokens.input > config.max_input_tokens
        return Fact(
            key=(team_of(call), call.model or "unknown"),
            counts=(1, tokens.input, tokens.cache_read or 0),
            alternative=_trimmed(call, tokens, config.max_input_tokens, catalogue) if long else call.cost,
        )

    def judge(self, series: CallSeries, config: LongPromptsConfig, /) -> int | None:
        calls, input_tokens, _ = series.counts
        if calls >= config.min_calls and input_tokens > config.max_input_tokens * calls:
            return input_tokens
        return None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        calls, input_tokens, cached = series.counts
        return {
            "calls": calls,
            "input_tokens": input_tokens,
            "average_input_tokens": average(input_tokens, calls),
            "cached_share": round(cached / input_tokens, 3) if input_tokens > 0 else None,
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, config: LongPromptsConfig, _catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        return Words(
            title=f"{scope['team']} sends long prompts to {scope['model']}",
            summary=f"{seen['calls']} calls in {config.window} averaged {seen['average_input_tokens']:,.0f} "
            f"input tokens, above {config.max_input_tokens:,}; {seen['cached_share'] or 0:.0%} were cached.",
            suggested_fix="Shorten the system prompt, retrieve fewer or shorter passages, drop turns that no longer "
            "matter, and put what repeats first so that the provider's prompt cache can serve it.",
        )


def _trimmed(call: Call, tokens: Tokens, limit: int, catalogue: Catalogue) -> Cost:
    """What the call would have cost with its prompt cut to `limit`, what was cached kept as far as it fits."""
    read = min(tokens.cache_read or 0, limit)
    write = min(tokens.cache_write or 0, limit - read)
    shorter = msgspec.structs.replace(
        tokens,
        input=limit,
        cache_read=tokens.cache_read and read,
        cache_write=tokens.cache_write and write,
        cache_write_1h=tokens.cache_write_1h and min(tokens.cache_write_1h, write),
        audio_input=tokens.audio_input and min(tokens.audio_input, limit),
        image_input=tokens.image_input and min(tokens.image_input, limit),
    )
    return catalogue.cost(msgspec.structs.replace(call, tokens=shorter))
