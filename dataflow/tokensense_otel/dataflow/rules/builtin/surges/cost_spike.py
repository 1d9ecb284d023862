"""COST_SPIKE: far more dollars than is usual at this hour of the week, and what moved."""

from typing import Any, cast

from pydantic import Field

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.surges.surge import NOTHING_FOUND, SurgeConfig, SurgeRule, SurgeSeries
from tokensense_otel.dataflow.rules.call_rule import Fact, team_of
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import Words
from tokensense_otel.dataflow.rules.thresholds import MinSpendConfig, dollars

_CAUSES = {
    "volume": "the number of calls",
    "mix": "dearer models",
    "tokens": "more tokens per call",
    "cache": "less read from the prompt cache",
    "price": "a higher price per token",
}


class CostSpikeConfig(SurgeConfig, MinSpendConfig):
    """Thresholds of COST_SPIKE."""

    min_usd: float = Field(default=1.0, gt=0, le=1_000_000_000)
    """USD of the day, of the six hours or of the hour below which the rule does not fire."""
    min_impact: float = Field(default=0.1, ge=0, le=10)
    """What is on top of the usual has to be at least so much of a usual day: 0.1 is a tenth of a day's dollars."""
    min_history_days: int = Field(default=7, ge=1, le=28)
    """Full days of history before the rule may fire."""


class CostSpike(SurgeRule[CostSpikeConfig]):
    """An estimated cost counts at its low end; calls without a price count as calls and as no money at all."""

    name = "COST_SPIKE"
    description = "A feature of a team costs far more than is usual for it at this hour of the week."
    scope = ("team", "feature")
    fields = ("calls", "priced", "nanos")
    measured = 2
    names = ("service", "model")
    thresholds = (*SurgeRule.thresholds, "min_usd")
    floors = ("min_usd",)
    config_type = CostSpikeConfig

    def observe(self, call: Call, _config: CostSpikeConfig, _catalogue: Catalogue, /) -> Fact | None:
        known = call.cost.kind is not CostKind.UNKNOWN
        counts = (call.count, call.count, call.cost.low) if known else (call.count, 0, 0)
        return Fact((team_of(call), call.dimensions.feature), counts)

    def least(self, config: CostSpikeConfig, /) -> int:
        return config.min_nanos

    def unit(self, series: SurgeSeries, /) -> int:
        _, priced, nanos = series.counts
        return nanos // priced if priced > 0 else 0

    def who(self, call: Call, /) -> str:
        return call.dimensions.service

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        window, found = series.window, cast("SurgeSeries", series).found
        head, first = window.head or 0, window.first()
        before = [] if first is None else [window.at(day)[2] for day in range(max(first, head - 7), head)]
        calls, priced, spent = window.at(head)[:3]
        evidence: dict[str, Any] = {
            "spend_today_usd": usd_text(spent),
            "calls_today": calls,
            "unpriced_calls_today": calls - priced,
            "daily_spend_before_usd": [usd_text(each) for each in before],
        }
        if found is not None:
            evidence |= {"spend_usd": usd_text(found.now), "usual_spend_usd": usd_text(found.usual)}
        return evidence

    def words(
        self, scope: dict[str, str], series: CallSeries, config: CostSpikeConfig, catalogue: Catalogue, /
    ) -> Words:
        found = cast("SurgeSeries", series).found or NOTHING_FOUND
        named = f"{scope['team']}'s {scope['feature']}" if "feature" in scope else scope["team"]
        usual = (
            f"against a mean of {dollars(found.usual)} on the {found.days} days before"
            if found.days
            else f"where {dollars(found.usual)} are usual at this time of the week"
        )
        cause = self._cause(series, config, catalogue)
        return Words(
            title=f"{named} costs far more than usual",
            summary=f"{dollars(found.now)} {found.words}, {usual}.{cause and f' Most of it: {cause}.'}",
            suggested_fix="See under `what_moved` which cause, service and model it is, look at what changed there "
            "among the sample traces, and put a limit on the key until it is clear.",
        )

    def _cause(self, series: CallSeries, config: CostSpikeConfig, catalogue: Catalogue) -> str:
        """The largest cause in words, empty where it is not known."""
        moved = self.money(series, config, catalogue).get("what_moved")
        if moved is None:
            return ""
        causes: dict[str, str] = moved["change_by_cause_usd"]
        return _CAUSES[max(causes, key=lambda cause: float(causes[cause]))]
