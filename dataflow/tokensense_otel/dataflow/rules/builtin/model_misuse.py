"""MODEL_MISUSE: a premium model on work that needs a few dozen tokens."""

from typing import Any

from pydantic import Field

from tokensense_otel.core.call import Call
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.call_rule import NOT_TEXT, Fact, WindowRule, average, team_of
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


class ModelMisuse(WindowRule[ModelMisuseConfig]):
    """Successful calls count. The average is over those that reported output, which have to be at least half."""

    name = "MODEL_MISUSE"
    description = "A premium-tier model answers successful calls with very short outputs on average."
    scope = ("team", "model")
    fields = ("calls", "output_known", "output_tokens")
    thresholds = ("min_calls", "max_output_tokens", "window")
    below = ("max_output_tokens",)
    config_type = ModelMisuseConfig

    def observe(self, call: Call, _config: ModelMisuseConfig, catalogue: Catalogue, /) -> Fact | None:
        if call.error_type or call.operation in NOT_TEXT:
            return None
        model = call.model
        tier = catalogue.tier(call.provider, model)
        if tier is None or not tier.is_premium:
            return None
        output = call.tokens.output
        cheaper = catalogue.cheaper(call.provider, model, trivial=True)
        return Fact(
            key=(team_of(call), model),
            counts=(1, 0, 0) if output is None else (1, 1, output),
            alternative=catalogue.cost_as(call, cheaper) if cheaper else None,
        )

    def judge(self, series: CallSeries, config: ModelMisuseConfig, /) -> int | None:
        calls, known, output = series.counts
        if calls >= config.min_calls and 2 * known >= calls and output < config.max_output_tokens * known:
            return calls
        return None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        calls, known, output = series.counts
        return {"calls": calls, "calls_with_known_output": known, "average_output_tokens": average(output, known)}

    def words(
        self, scope: dict[str, str], series: CallSeries, config: ModelMisuseConfig, catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        cheaper = catalogue.cheaper(series.provider, scope["model"], trivial=True)
        fix = f"Send this work to {cheaper}" if cheaper else "Send this work to a smaller model of the same provider"
        return Words(
            title=f"{scope['team']} uses {scope['model']} for very short answers",
            summary=f"{seen['calls']} successful calls in {config.window} averaged "
            f"{seen['average_output_tokens']} output tokens, below {config.max_output_tokens}.",
            suggested_fix=f"{fix}, after checking its answers on a sample of these calls.",
        )
