"""REASONING_OVERSPEND: a model that thinks long for answers of a few words."""

from typing import Any

import msgspec
from pydantic import Field

from tokensense_otel.core.call import Call, Cost, CostKind
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.call_rule import NOT_TEXT, Fact, WindowRule, average, team_of
from tokensense_otel.dataflow.rules.calls import asked_for_tool, cut_short, place_of
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words
from tokensense_otel.dataflow.rules.thresholds import MinSpendConfig, dollars


class ReasoningOverspendConfig(MinSpendConfig, WindowConfig):
    """Thresholds of REASONING_OVERSPEND."""

    min_calls: int = Field(default=50, ge=1)
    """Calls in the window that thought too long for a short answer, before the rule may fire."""
    max_ratio: int = Field(default=10, ge=1)
    """A call thought too long when it used more reasoning tokens than this many for each token of its answer."""
    max_answer_tokens: int = Field(default=200, ge=1)
    """An answer is short up to this many tokens, reasoning not counted."""


class ReasoningOverspend(WindowRule[ReasoningOverspendConfig]):
    """Successful, whole answers in text of which the reasoning tokens are told. At least half of the short ones have to
    be over the ratio. The alternative is each of those with its reasoning cut to the ratio."""

    name = "REASONING_OVERSPEND"
    description = "A reasoning model spends many times the tokens of its short answers on thinking."
    scope = ("team", "feature", "service", "model")
    fields = ("calls_over", "short_calls", "calls", "reasoning_tokens", "answer_tokens", "reasoning_nanos")
    thresholds = ("min_calls", "max_ratio", "max_answer_tokens", "min_usd", "window")
    floors = ("min_calls", "min_usd")
    config_type = ReasoningOverspendConfig

    def observe(self, call: Call, config: ReasoningOverspendConfig, catalogue: Catalogue, /) -> Fact | None:
        tokens = call.tokens
        reasoning, output = tokens.reasoning, tokens.output
        if reasoning is None or output is None or call.error_type or call.operation in NOT_TEXT:
            return None
        answer = output - reasoning
        if answer < 0 or cut_short(call) or asked_for_tool(call):
            return None
        if not call.finish_reason and call.used_tools is not False:
            return None  # what looks like a short answer may be the call of a tool
        key = (team_of(call), *place_of(call), call.model or "unknown")
        if answer > config.max_answer_tokens:
            return Fact(key, (0, 0, 1, 0, 0, 0), matters=False)
        enough = config.max_ratio * answer
        if reasoning <= enough:
            return Fact(key, (0, 1, 1, 0, 0, 0), matters=False)
        without = _with_reasoning(call, answer, 0, catalogue)
        thought = max(0, call.cost.low - without.low) if without.kind is not CostKind.UNKNOWN else 0
        return Fact(key, (1, 1, 1, reasoning, answer, thought), _with_reasoning(call, answer, enough, catalogue))

    def judge(self, series: CallSeries, config: ReasoningOverspendConfig, /) -> int | None:
        over, short, _, _, _, thought = series.counts
        if over >= config.min_calls and 2 * over >= short and thought >= config.min_nanos:
            return thought
        return None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        over, short, calls, reasoning, answer, thought = series.counts
        return {
            "calls_over": over,
            "short_calls": short,
            "calls": calls,
            "average_reasoning_tokens": average(reasoning, over),
            "average_answer_tokens": average(answer, over),
            "reasoning_per_answer_token": average(reasoning, answer),
            "reasoning_usd": usd_text(thought),
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, config: ReasoningOverspendConfig, _catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        where = scope.get("feature") or scope.get("service")
        return Words(
            title=f"{scope['model']} thinks long for the short answers of {where} ({scope['team']})",
            summary=f"{seen['calls_over']} of {seen['short_calls']} short answers in {config.window} took "
            f"{seen['average_reasoning_tokens']:,.0f} reasoning tokens for {seen['average_answer_tokens']:,.0f} tokens "
            f"of answer on average: {dollars(series.counts[-1])} for thinking.",
            suggested_fix="Lower the reasoning effort (OpenAI `reasoning.effort`, Anthropic and Google a thinking "
            "budget), or turn thinking off for this work, and compare the answers on a sample.",
        )


def _with_reasoning(call: Call, answer: int, reasoning: int, catalogue: Catalogue) -> Cost:
    """What the call would have cost with the same answer and so much reasoning."""
    tokens = msgspec.structs.replace(call.tokens, output=answer + reasoning, reasoning=reasoning)
    return catalogue.cost(msgspec.structs.replace(call, tokens=tokens))
