"""SPIKE: far more calls than a team usually makes at this hour of the week."""

from typing import Any, cast

from pydantic import Field

from tokensense_otel.core.call import Call
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.surges.surge import NOTHING_FOUND, SurgeConfig, SurgeRule, SurgeSeries
from tokensense_otel.dataflow.rules.call_rule import Fact, team_of
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import Words


class SpikeConfig(SurgeConfig):
    """Thresholds of SPIKE."""

    severity: Severity = Severity.LOW
    """`high`, `medium` or `low`."""
    six_hour_multiplier: float = Field(default=2.5, gt=1)
    """The factor for the last six hours."""
    min_calls: int = Field(default=100, ge=1)
    """Calls of the day, of the six hours or of the hour before the rule may fire."""


class Spike(SurgeRule[SpikeConfig]):
    """Days are UTC days of event time. History begins with the first day that has a call (five weeks are remembered);
    later days without any count as zero. Failed calls count: they are calls all the same."""

    name = "SPIKE"
    description = "A team makes far more calls than is usual for it at this hour of the week."
    scope = ("team",)
    fields = ("calls",)
    measured = 0
    names = ("feature", "model")
    thresholds = (*SurgeRule.thresholds, "min_calls")
    floors = ("min_calls",)
    config_type = SpikeConfig

    def observe(self, call: Call, _config: SpikeConfig, _catalogue: Catalogue, /) -> Fact | None:
        return Fact((team_of(call),), (call.count,))

    def least(self, config: SpikeConfig, /) -> int:
        return config.min_calls

    def unit(self, _series: SurgeSeries, /) -> int:
        return 1

    def who(self, call: Call, /) -> str:
        return call.dimensions.feature

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        window, found = series.window, cast("SurgeSeries", series).found
        head, first = window.head or 0, window.first()
        before = [] if first is None else [window.at(day)[0] for day in range(max(first, head - 7), head)]
        evidence: dict[str, Any] = {"calls_today": window.at(head)[0], "daily_calls_before": before}
        if found is not None:
            evidence |= {"calls": found.now, "usual_calls": found.usual}
        return evidence

    def words(self, scope: dict[str, str], series: CallSeries, _config: SpikeConfig, _catalogue: Catalogue, /) -> Words:
        found = cast("SurgeSeries", series).found or NOTHING_FOUND
        usual = (
            f"against a mean of {found.usual} on the {found.days} days before"
            if found.days
            else f"where {found.usual} are usual at this time of the week"
        )
        return Words(
            title=f"{scope['team']} makes unusually many calls today",
            summary=f"{found.now} calls {found.words}, {usual}.",
            suggested_fix="Look for a retry loop, a new release or a batch job among the sample traces, and put a "
            "limit on the key until it is clear.",
        )
