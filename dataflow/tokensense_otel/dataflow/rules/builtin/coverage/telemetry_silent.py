"""TELEMETRY_SILENT: a source that always spoke has stopped."""

from typing import Any, Final

from pydantic import Field

from tokensense_otel.core.call import Call
from tokensense_otel.core.insight import rfc3339
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.coverage.silence_series import SilenceSeries
from tokensense_otel.dataflow.rules.call_rule import CallRule, Fact, team_of
from tokensense_otel.dataflow.rules.evaluation.durations import SECOND_NS, Duration, span_text
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import Level, RuleConfig, Words

_MINUTE_NS: Final = 60 * SECOND_NS


class TelemetrySilentConfig(RuleConfig):
    """Thresholds of TELEMETRY_SILENT."""

    keep_firing_for: Duration = Duration("1m")
    """How long a source has to speak again before the finding is resolved."""
    min_missed_calls: int = Field(default=10, ge=1)
    """The rule fires after a silence in which so many calls were usual, at the pace at which they came of late."""
    gap_multiple: float = Field(default=3.0, ge=1)
    """Those have to be this many times as many as were usual in the longest gap of the last two weeks."""
    min_silence: Duration = Duration("15m")
    """The shortest silence that is told, however many calls are usual."""
    min_history: Duration = Duration("7d")
    """How long a source has to be known before its silence can mean anything."""
    min_calls: int = Field(default=100, ge=1)
    """Calls in five weeks that make a source worth watching."""
    give_up_after: Duration = Duration("7d")
    """After so long a source is taken to be gone for good, and the finding is resolved."""
    by_team: bool = False
    """Whether the calls of each team of a service are watched apart."""


class TelemetrySilent(CallRule[TelemetrySilentConfig]):
    """A source is a service. Time in which this system did not run is nobody's silence."""

    name = "TELEMETRY_SILENT"
    description = "A service that always sent telemetry has sent none for far longer than it ever does at this hour."
    scope = ("service", "team")
    fields = ("calls",)
    takes_sums = True
    thresholds = ("min_missed_calls", "gap_multiple", "min_silence", "min_history", "min_calls")
    level = Level.TENANT
    beat_ns = 5 * _MINUTE_NS
    config_type = TelemetrySilentConfig

    def new_series(self, _config: TelemetrySilentConfig, /) -> SilenceSeries:
        return SilenceSeries()

    def observe(self, call: Call, config: TelemetrySilentConfig, _catalogue: Catalogue, /) -> Fact | None:
        service = call.dimensions.service
        return Fact((service, team_of(call) if config.by_team else ""), (call.count,)) if service else None

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:  # noqa: ARG002
        source = _source(series)
        if sign < 0:
            source.take_out(time_ns, call.count)
        else:
            source.hear(time_ns, call.count, usual=not source.episode.firing)
        source.sample(time_ns, call.trace_id, sign)
        return True

    def judge(self, series: CallSeries, config: TelemetrySilentConfig, /) -> int | None:
        source = _source(series)
        silent_ns = source.now_ns - source.since_ns
        if not config.min_silence <= silent_ns < config.give_up_after:
            return None
        if source.history_ns < config.min_history or source.weight < config.min_calls:
            return None
        missed = source.missed_milli(source.now_ns)
        if missed < config.gap_multiple * source.longest_gap_milli():
            return None
        missed = missed * source.pace_milli() // 1_000_000
        return missed if missed >= config.min_missed_calls else None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        source = _source(series)
        pace, missed = source.pace_milli(), source.missed_milli(source.now_ns)
        return {
            "last_call_at": rfc3339(source.last_ns),
            "silent_for": span_text((source.now_ns - source.last_ns) // _MINUTE_NS * _MINUTE_NS),
            "missed_calls": missed * pace // 1_000_000,
            "usual_calls_in_the_longest_gap": source.longest_gap_milli() // 1_000,
            "share_of_usual_calls_before": pace / 1_000,
        }

    def money(self, _series: CallSeries, _config: TelemetrySilentConfig, _catalogue: Catalogue, /) -> dict[str, Any]:
        return {}

    def savings(self, _series: CallSeries, /) -> int | None:
        return None

    def words(
        self, scope: dict[str, str], series: CallSeries, _config: TelemetrySilentConfig, _catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        whose = f"{scope['service']} ({scope['team']})" if "team" in scope else scope["service"]
        return Words(
            title=f"{whose} has gone silent",
            summary=f"No call since {seen['last_call_at']}, for {seen['silent_for']}, in which {seen['missed_calls']} "
            "were usual. What it spends now is not seen.",
            suggested_fix="See whether the service runs, and whether its exporter or the Collector between reports "
            "errors: a wrong endpoint or key after a release is the most common cause.",
        )


def _source(series: CallSeries) -> SilenceSeries:
    assert isinstance(series, SilenceSeries)  # noqa: S101 - this rule made it
    return series
