"""MODEL_MISUSE: a premium model on work that needs a few dozen tokens."""

from typing import Any

from pydantic import Field

from tokensense_otel.core.call import Call
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.breakdown import BreakdownRule, BrokenDownFact
from tokensense_otel.dataflow.rules.builtin.sizing.task_shape import OUTPUT, answers, is_simple, spread_of
from tokensense_otel.dataflow.rules.call_rule import NOT_TEXT, Fact, average, team_of
from tokensense_otel.dataflow.rules.calls import place_of
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words


class ModelMisuseConfig(WindowConfig):
    """Thresholds of MODEL_MISUSE."""

    severity: Severity = Severity.HIGH
    """`high`, `medium` or `low`."""
    min_calls: int = Field(default=20, ge=1)
    """Successful calls in the window before the rule may fire."""
    max_output_tokens: int = Field(default=100, ge=1)
    """The rule fires while the average output is below this many tokens."""


class ModelMisuse(BreakdownRule[ModelMisuseConfig]):
    """Successful calls count. The average is over those that reported output, which have to be at least half.

    Calls that are said to have had tools or to have reasoned are no simple work, whatever their length: they are only
    counted. Where nobody says, a call counts. The parts are features, or services where no feature is named.
    """

    name = "MODEL_MISUSE"
    description = "A premium-tier model answers successful calls with very short outputs on average."
    scope = ("team", "model")
    fields = ("calls", "output_known", "output_tokens", "short_calls", "structured_calls", "set_aside_calls")
    thresholds = ("min_calls", "max_output_tokens", "window")
    below = ("max_output_tokens",)
    config_type = ModelMisuseConfig

    def new_series(self, config: ModelMisuseConfig, /) -> CallSeries:
        return answers(super().new_series(config), config.window)

    def observe(self, call: Call, config: ModelMisuseConfig, catalogue: Catalogue, /) -> Fact | None:
        if call.error_type or call.operation in NOT_TEXT:
            return None
        model = call.model
        tier = catalogue.tier(call.provider, model)
        if tier is None or not tier.is_premium:
            return None
        key = (team_of(call), model)
        if not is_simple(call):
            return Fact(key, (0, 0, 0, 0, 0, 1), matters=False, opens=False)
        output = call.tokens.output
        known, tokens, measured = (0, 0, ()) if output is None else (1, output, ((OUTPUT, output),))
        cheaper = catalogue.cheaper(call.provider, model, trivial=True)
        feature, service = place_of(call)
        return BrokenDownFact(
            key=key,
            counts=(
                1,
                known,
                tokens,
                int(known > 0 and tokens < config.max_output_tokens),
                int(call.structured or 0),
                0,
            ),
            alternative=catalogue.cost_as(call, cheaper) if cheaper else None,
            measured=measured,
            part=feature or service,
        )

    def judge(self, series: CallSeries, config: ModelMisuseConfig, /) -> int | None:
        calls, known, output, *_ = series.counts
        if calls >= config.min_calls and 2 * known >= calls and output < config.max_output_tokens * known:
            return calls
        return None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        calls, known, output, short, structured, set_aside = series.counts
        return {
            "calls": calls,
            "calls_with_known_output": known,
            "average_output_tokens": average(output, known),
            **spread_of(series),
            "short_share": round(short / known, 3) if known > 0 else None,
            "structured_calls": structured,
            "calls_with_tools_or_reasoning": set_aside,
            "features": self.parts(series),
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, config: ModelMisuseConfig, catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        cheaper = catalogue.cheaper(series.provider, scope["model"], trivial=True)
        fix = f"Send this work to {cheaper}" if cheaper else "Send this work to a smaller model of the same provider"
        return Words(
            title=f"{scope['team']} uses {scope['model']} for very short answers",
            summary=f"{seen['calls']} successful calls in {config.window} averaged "
            f"{seen['average_output_tokens']} output tokens, below {config.max_output_tokens}; "
            f"half of them had at most {seen['p50_output_tokens']}, nine in ten at most {seen['p90_output_tokens']}.",
            suggested_fix=f"{fix}, after checking its answers on a sample of these calls.",
        )
