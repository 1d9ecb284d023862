"""LATENCY_REGRESSION: a model answers a team far more slowly than on the days before, for what there is to do."""

import math
from typing import Any, Final, cast

from pydantic import Field

from tokensense_otel.core.call import Call
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.latency.latency_series import (
    MEASURES,
    LatencySeries,
    above,
    measured,
    milliseconds,
    p95,
)
from tokensense_otel.dataflow.rules.call_rule import NOT_TEXT, CallRule, Fact, team_of
from tokensense_otel.dataflow.rules.evaluation.durations import Duration, Window
from tokensense_otel.dataflow.rules.evaluation.histogram import SCALE
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import RuleConfig, Words

SURE: Final = 4
"""Standard deviations by which the slow calls have to be more than a twentieth of all before it is told."""
_NAMES: Final = {"duration": "Answers", "first_token": "First tokens"}


class LatencyRegressionConfig(RuleConfig):
    """Thresholds of LATENCY_REGRESSION."""

    window: Window = Duration("2h")
    """Length of the rolling window that is compared with the days before."""
    min_ratio: float = Field(default=1.5, gt=1, le=100)
    """The rule fires while the 95th percentile is above that of the days before by this factor."""
    min_increase_ms: int = Field(default=300, ge=0)
    """Milliseconds by which the 95th percentile has to have grown as well."""
    min_calls: int = Field(default=10, ge=1)
    """Calls in the window before the rule may fire."""
    min_calls_a_day: int = Field(default=20, ge=1)
    """Calls on a day before today for it to count."""
    baseline_days: int = Field(default=7, ge=1, le=14)
    """How many days before today are compared with."""
    min_history_days: int = Field(default=3, ge=1, le=14)
    """How many of those days have to have enough calls."""


class LatencyRegression(CallRule[LatencyRegressionConfig]):
    """Failed calls do not count: a timeout is another matter, and a refusal is quick."""

    name = "LATENCY_REGRESSION"
    description = "A model answers a team far more slowly than on the days before, not only with longer answers."
    scope = ("team", "model", "mode")
    fields = ("calls",)
    thresholds = (
        "window",
        "min_ratio",
        "min_increase_ms",
        "min_calls",
        "min_calls_a_day",
        "baseline_days",
        "min_history_days",
    )
    above = ("min_ratio",)
    config_type = LatencyRegressionConfig

    def new_series(self, config: LatencyRegressionConfig, /) -> CallSeries:
        return LatencySeries(config.window, len(self.fields))

    def observe(self, call: Call, _config: LatencyRegressionConfig, _catalogue: Catalogue, /) -> Fact | None:
        if call.error_type or call.operation in NOT_TEXT or not call.tokens.output:
            return None
        return Fact((team_of(call), call.model, "streaming" if call.streaming else "blocking"), (1,))

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:
        cast("LatencySeries", series).measure(time_ns, measured(call), sign)
        return super().post(series, call, fact, sign, time_ns)

    def judge(self, series: CallSeries, config: LatencyRegressionConfig, /) -> int | None:
        timed = cast("LatencySeries", series)
        firing = timed.episode.firing
        # What is open stays so while there is anything slow, however few calls a night has.
        least = 1 if firing else config.min_calls
        if not (timed.slow or firing) or timed.window.totals[0] < least:
            return None
        usually = timed.usually(config.baseline_days, config.min_history_days, config.min_calls_a_day)
        # Buckets are steps of equal proportion, so a factor is a number of steps.
        steps = math.ceil(math.log2(config.min_ratio) * (1 << SCALE))
        found: int | None = None
        for at in (0, 2):
            usual, usual_for_work = usually[at], usually[at + 1]
            if usual is None or usual_for_work is None:
                continue
            counts, for_work = timed.latencies.now[at], timed.latencies.now[at + 1]
            calls, slow = sum(counts.values()), above(for_work, usual_for_work + steps - 1)
            # A twentieth of all is above a 95th percentile.
            if calls < least or slow * 20 < calls:
                continue
            if not firing and slow * 20 < calls + SURE * math.sqrt(19 * calls):
                continue
            now = p95(counts)
            increase = (milliseconds(now) or 0) - (milliseconds(usual) or 0)
            if now is None or now - usual < steps or increase < config.min_increase_ms:
                continue
            size = round(100 * 2 ** ((now - usual) / (1 << SCALE)))
            if found is None or size > found:
                timed.found, found = MEASURES[at], size
        return found

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        timed = cast("LatencySeries", series)
        usually = timed.usual
        evidence: dict[str, Any] = {"slow": timed.found, "calls": timed.window.totals[0]}
        for at in (0, 2):
            now, usual = p95(timed.latencies.now[at]), usually[at]
            now_for_work, usual_for_work = p95(timed.latencies.now[at + 1]), usually[at + 1]
            if now is None:
                continue
            evidence[MEASURES[at]] = {
                "p95_ms": milliseconds(now),
                "usual_p95_ms": milliseconds(usual),
                "times": _times(now, usual),
                "times_for_the_same_work": _times(now_for_work, usual_for_work),
            }
        return evidence

    def words(
        self,
        scope: dict[str, str],
        series: CallSeries,
        config: LatencyRegressionConfig,
        _catalogue: Catalogue,
        /,
    ) -> Words:
        shown = self.observed(series)
        found = shown.get(shown["slow"]) or {}
        what = _NAMES.get(shown["slow"], "Answers")
        model = scope.get("model", "A model")
        return Words(
            title=f"{what} of {model} take longer for {scope['team']}",
            summary=f"The 95th percentile of {shown['calls']} calls in {config.window} is {found.get('p95_ms')} ms, "
            f"{found.get('times')} times the {found.get('usual_p95_ms')} ms of the days before.",
            suggested_fix="See whether the provider reports an incident, and what was released when it began (other "
            "tools, a proxy, another region). Prompts and answers are not longer in proportion.",
        )

    def savings(self, _series: CallSeries, /) -> int | None:
        return None


def _times(now: int | None, usual: int | None) -> float | None:
    return None if now is None or usual is None else round(2 ** ((now - usual) / (1 << SCALE)), 2)
