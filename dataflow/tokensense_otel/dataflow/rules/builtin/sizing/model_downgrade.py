"""MODEL_DOWNGRADE: a flagship model on many calls that each needed a short answer and no reasoning."""

from typing import Any

from pydantic import Field

from tokensense_otel.core.call import Call
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.pricing import Catalogue, Tier
from tokensense_otel.dataflow.rules.builtin.sizing.task_shape import OUTPUT, answers, is_simple, spread_of
from tokensense_otel.dataflow.rules.call_rule import NOT_TEXT, Fact, WindowRule, average, team_of
from tokensense_otel.dataflow.rules.calls import place_of
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words


class ModelDowngradeConfig(WindowConfig):
    """Thresholds of MODEL_DOWNGRADE."""

    severity: Severity = Severity.HIGH
    """`high`, `medium` or `low`."""
    min_calls: int = Field(default=100, ge=1)
    """Qualifying calls in the window before the rule fires."""
    max_output_tokens: int = Field(default=100, ge=1)
    """A call qualifies while its own output is below this many tokens."""


class ModelDowngrade(WindowRule[ModelDowngradeConfig]):
    """Fires on the count of qualifying calls: successful, short output, and neither tools nor reasoning as far as
    anybody says. The money is theirs alone; the distribution of lengths is of all successful calls of the key."""

    name = "MODEL_DOWNGRADE"
    description = "A flagship model serves many calls that each produced a short output and no reasoning."
    scope = ("team", "feature", "service", "model")
    fields = ("qualifying_calls", "calls", "output_tokens", "structured_calls", "calls_with_tools_or_reasoning")
    thresholds = ("min_calls", "max_output_tokens", "window")
    above = ("min_calls",)
    config_type = ModelDowngradeConfig

    def new_series(self, config: ModelDowngradeConfig, /) -> CallSeries:
        return answers(super().new_series(config), config.window)

    def observe(self, call: Call, config: ModelDowngradeConfig, catalogue: Catalogue, /) -> Fact | None:
        if call.error_type or call.operation in NOT_TEXT:
            return None
        model = call.model
        if catalogue.tier(call.provider, model) is not Tier.FLAGSHIP:
            return None
        key = (team_of(call), *place_of(call), model)
        output = call.tokens.output
        measured = () if output is None else ((OUTPUT, output),)
        simple = is_simple(call)
        if not simple or output is None or output >= config.max_output_tokens:
            return Fact(key, (0, 1, 0, 0, int(not simple)), matters=False, measured=measured)
        cheaper = catalogue.cheaper(call.provider, model)
        return Fact(
            key,
            (1, 1, output, int(call.structured or 0), 0),
            catalogue.cost_as(call, cheaper) if cheaper else None,
            measured=measured,
        )

    def judge(self, series: CallSeries, config: ModelDowngradeConfig, /) -> int | None:
        qualifying = series.counts[0]
        return qualifying if qualifying >= max(1, config.min_calls) else None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        qualifying, calls, output, structured, set_aside = series.counts
        return {
            "qualifying_calls": qualifying,
            "calls": calls,
            "qualifying_share": round(qualifying / calls, 3) if calls > 0 else None,
            "average_output_tokens": average(output, qualifying),
            **spread_of(series),
            "structured_calls": structured,
            "calls_with_tools_or_reasoning": set_aside,
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, config: ModelDowngradeConfig, catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        where = scope.get("feature") or scope.get("service")
        cheaper = catalogue.cheaper(series.provider, scope["model"])
        fix = f"Try {cheaper}" if cheaper else "Try a smaller model of the same provider"
        return Words(
            title=f"{where} ({scope['team']}) does not need {scope['model']}",
            summary=f"{seen['qualifying_calls']} of {seen['calls']} calls in {config.window} each produced "
            f"fewer than {config.max_output_tokens} output tokens without reasoning.",
            suggested_fix=f"{fix} for these calls, and compare its answers on a sample before the switch.",
        )
