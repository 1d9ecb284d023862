"""SPIKE: far more calls today than on the days before."""

from typing import Any

from pydantic import Field

from tokensense_otel.core.call import Call
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.call_rule import CallRule, Fact, average, team_of
from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS, MONEY, CallSeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling
from tokensense_otel.dataflow.rules.rule import RuleConfig, Words

MEMORY_DAYS = 31


class SpikeConfig(RuleConfig):
    """Thresholds of SPIKE."""

    severity: Severity = Severity.LOW
    """`high`, `medium` or `low`."""
    multiplier: float = Field(default=3.0, gt=1)
    """The rule fires while today's calls are above the mean of the days before by this factor."""
    baseline_days: int = Field(default=7, ge=1, le=28)
    """How many days before today the mean is taken over, as far as there is history."""
    min_history_days: int = Field(default=3, ge=1, le=28)
    """Full days of history before the rule may fire."""
    min_calls: int = Field(default=100, ge=1)
    """Calls of today before the rule may fire."""


class Spike(CallRule[SpikeConfig]):
    """Days are UTC days of event time. History begins with the first day that has a call (31 days are remembered);
    later days without any count as zero. Failed calls count: they are calls all the same."""

    name = "SPIKE"
    description = "A team makes far more calls on the current UTC day than on average on the days before."
    scope = ("team",)
    fields = ("calls",)
    takes_sums = True
    thresholds = ("multiplier", "baseline_days", "min_history_days", "min_calls")
    above = ("multiplier",)
    config_type = SpikeConfig

    def new_series(self, _config: SpikeConfig, /) -> CallSeries:
        return CallSeries(Rolling(MEMORY_DAYS * DAY_NS, MEMORY_DAYS, len(self.fields) + MONEY))

    def observe(self, call: Call, _config: SpikeConfig, _catalogue: Catalogue, /) -> Fact | None:
        return Fact((team_of(call),), (call.count,))

    def judge(self, series: CallSeries, config: SpikeConfig, /) -> int | None:
        window = series.window
        head = window.head
        today = window.at(head)[0] if head is not None else 0
        if today < config.min_calls:
            return None
        before = _days_before(window, config.baseline_days)
        if len(before) < config.min_history_days or today * len(before) <= config.multiplier * sum(before):
            return None
        return today

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        window = series.window
        today = window.at(window.head)[0] if window.head is not None else 0
        return {"calls_today": today, "daily_calls_before": _days_before(window, MEMORY_DAYS)[::-1][-7:]}

    def period(self, series: CallSeries, /) -> tuple[int, int]:
        head = series.window.head or 0
        return head * DAY_NS, (head + 1) * DAY_NS

    def words(self, scope: dict[str, str], series: CallSeries, config: SpikeConfig, _catalogue: Catalogue, /) -> Words:
        today = self.observed(series)["calls_today"]
        before = _days_before(series.window, config.baseline_days)
        mean = average(sum(before), len(before))
        return Words(
            title=f"{scope['team']} makes unusually many calls today",
            summary=f"{today} calls so far today (UTC), against a mean of {mean} on the {len(before)} days before.",
            suggested_fix="Look for a retry loop, a new release or a batch job among the sample traces, and put a "
            "limit on the key until it is clear.",
        )


def _days_before(window: Rolling, most: int) -> list[int]:
    """Calls of the full days before the newest one, newest first, back to the first day with a call."""
    first, head = window.first(), window.head
    if first is None or head is None:
        return []
    return [window.at(head - back)[0] for back in range(1, min(most, head - first) + 1)]
