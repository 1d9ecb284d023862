"""TRUNCATION: answers that a limit of tokens cut off."""

from typing import Any

from pydantic import Field

from tokensense_otel.core.call import Call
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.call_rule import NOT_TEXT, Fact, WindowRule, average, team_of
from tokensense_otel.dataflow.rules.calls import cut_short
from tokensense_otel.dataflow.rules.evaluation.series import MONEY, CallSeries
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words
from tokensense_otel.dataflow.rules.thresholds import dollars


class TruncationConfig(WindowConfig):
    """Thresholds of TRUNCATION."""

    min_calls: int = Field(default=20, ge=1)
    """Successful calls in the window of which the finish reason is known, before the rule may fire."""
    min_truncated: int = Field(default=10, ge=1)
    """Answers cut off in the window before the rule may fire, so that a few among few are no finding."""
    min_share: float = Field(default=0.1, gt=0, le=1)
    """The rule fires while at least this share of the answers was cut off."""
    min_output_tokens: int = Field(default=16, ge=0)
    """An answer that ended at a limit lower than this was meant to (a yes or no, a probe) and does not count as cut."""


class Truncation(WindowRule[TruncationConfig]):
    """Successful calls that say why they ended. Whether half an answer was of use nobody tells, so no saving is named:
    the money shown is what the cut answers cost."""

    name = "TRUNCATION"
    description = "A limit of tokens cuts off many of a model's answers to a team."
    scope = ("team", "model")
    fields = ("truncated_calls", "calls", "output_tokens", "output_known", "max_output", "max_output_told", "no_answer")
    thresholds = ("min_calls", "min_truncated", "min_share", "min_output_tokens", "window")
    above = ("min_share",)
    floors = ("min_calls", "min_truncated")
    config_type = TruncationConfig

    def observe(self, call: Call, config: TruncationConfig, _catalogue: Catalogue, /) -> Fact | None:
        if not call.finish_reason or call.error_type or call.operation in NOT_TEXT:
            return None
        key = (team_of(call), call.model or "unknown")
        tokens = call.tokens
        output, limit = tokens.output, call.max_output
        if not cut_short(call, config.min_output_tokens):
            return Fact(key, (0, 1, 0, 0, 0, 0, 0), matters=False)
        known = int(output is not None)
        thought = int(output is not None and tokens.reasoning is not None and tokens.reasoning >= output)
        return Fact(key, (1, 1, output or 0, known, limit or 0, int(limit is not None), thought))

    def judge(self, series: CallSeries, config: TruncationConfig, /) -> int | None:
        truncated, calls, *_ = series.counts
        if truncated < config.min_truncated or calls < config.min_calls or truncated < config.min_share * calls:
            return None
        return truncated

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        truncated, calls, output, known, limit, told, no_answer = series.counts
        priced, spend = series.window.totals[-MONEY : 2 - MONEY]
        return {
            "truncated_calls": truncated,
            "calls": calls,
            "truncated_share": round(truncated / calls, 3) if calls > 0 else None,
            "truncated_usd": usd_text(spend if priced > 0 else None),
            "average_truncated_output_tokens": average(output, known),
            "average_max_output_tokens": average(limit, told),
            "cut_while_still_reasoning": no_answer,
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, config: TruncationConfig, _catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        priced, spend = series.window.totals[-MONEY : 2 - MONEY]
        spent = f", which cost {dollars(spend)}" if priced > 0 else ""
        return Words(
            title=f"{scope['model']} is cut off in the middle of its answers to {scope['team']}",
            summary=f"{seen['truncated_calls']} of {seen['calls']} answers in {config.window} ended at a limit "
            f"of tokens{spent}.",
            suggested_fix="Raise the limit on output tokens, or ask for shorter answers; where reasoning counts to the "
            "limit, lower its effort. An answer that is bought again because it was cut costs twice.",
        )
