"""BATCH_ELIGIBLE: jobs nobody waits for, at the price of answers at once."""

from typing import Any, Final, cast

from pydantic import Field

from tokensense_otel.core.call import Call
from tokensense_otel.core.insight import Severity
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.batch.batch_prices import batch_cost
from tokensense_otel.dataflow.rules.builtin.batch.job_hours import DAYS, JobHours
from tokensense_otel.dataflow.rules.call_rule import CallRule, Fact, team_of
from tokensense_otel.dataflow.rules.calls import asked_for_tool, place_of
from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS, MONEY, CallSeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling
from tokensense_otel.dataflow.rules.rule import Words
from tokensense_otel.dataflow.rules.thresholds import MinSpendConfig

_WINDOW_NS: Final = DAYS * DAY_NS


class BatchEligibleConfig(MinSpendConfig):
    """Thresholds of BATCH_ELIGIBLE."""

    severity: Severity = Severity.LOW
    """`high`, `medium` or `low`."""
    min_usd: float = Field(default=0.1, gt=0, le=1_000_000_000)
    """USD that batch prices have to have saved in seven days before the rule fires."""
    min_calls: int = Field(default=100, ge=1)
    """Calls in seven days before the rule may fire."""
    min_share: float = Field(default=0.8, gt=0.5, le=1)
    """Share of the calls, of all days and of each day that counts, that has to be made in the same few hours."""
    min_days: int = Field(default=3, ge=2, le=7)
    """Days on which the same hours have to have their burst."""


class JobSeries(CallSeries):
    """The hours of the calls that may be a job's; and how many others somebody waited for, as most traffic is: these
    are counted apart, where it costs little."""

    __slots__ = ("hours", "waited_for")

    def __init__(self) -> None:
        super().__init__(Rolling(_WINDOW_NS, DAYS, 1 + MONEY))
        self.hours = JobHours()
        self.waited_for = Rolling(_WINDOW_NS, DAYS, 1)

    @property
    def empty(self) -> bool:
        return self.waited_for.empty and super().empty

    def advance(self, now_ns: int) -> bool:
        self.hours.advance(now_ns)
        waited = self.waited_for.advance(now_ns)
        return super().advance(now_ns) or waited

    def state(self) -> list[Any]:
        return [super().state(), self.hours.snapshot(), self.waited_for.snapshot()]

    def load(self, state: list[Any]) -> bool:
        counts, hours, waited_for = state
        self.hours.restore(hours)
        self.waited_for.restore(waited_for)
        return super().load(counts)


class BatchEligible(CallRule[BatchEligibleConfig]):
    """Whoever streams, names a user or a session, measures the first token, calls tools or runs as an agent waits for
    the answer: one such call in the seven days, and the key stays silent. Models without a batch price are no
    business of this rule. Days and hours are UTC, by the end of a call."""

    name = "BATCH_ELIGIBLE"
    description = "A job that nobody waits for runs at about the same hours each day, and does not pay batch prices."
    scope = ("team", "feature", "service", "model")
    fields = ("calls",)
    thresholds = ("min_calls", "min_share", "min_days", "min_usd")
    above = ("min_share",)
    floors = ("min_calls", "min_usd")
    config_type = BatchEligibleConfig

    def new_series(self, _config: BatchEligibleConfig, /) -> CallSeries:
        return JobSeries()

    def observe(self, call: Call, _config: BatchEligibleConfig, catalogue: Catalogue, /) -> Fact | None:
        if call.error_type or not call.tokens.known:
            return None
        where = call.dimensions
        if (
            call.streaming
            or call.first_token_ns is not None
            or where.session
            or where.user
            or where.agent
            or asked_for_tool(call)
        ):
            return Fact((team_of(call), *place_of(call), call.model), (0,), matters=False)
        batch = batch_cost(call, catalogue)
        if batch is None:
            return None
        return Fact((team_of(call), *place_of(call), call.model), (1,), batch)

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:
        own = _own(series)
        if fact.matters:
            own.hours.add(time_ns, sign)
            own.waited_for.advance(time_ns)
            return super().post(own, call, fact, sign, time_ns)
        own.hours.advance(time_ns)
        own.window.advance(time_ns)
        return own.waited_for.add(time_ns, (1,), sign)

    def judge(self, series: CallSeries, config: BatchEligibleConfig, /) -> int | None:
        own = _own(series)
        calls, *_, saved = own.window.totals
        if calls < config.min_calls or saved < config.min_nanos or own.waited_for.totals[0]:
            return None
        if own.hours.in_busiest() < config.min_share * calls:
            return None
        within, days = own.hours.bursts(config.min_days, config.min_share)
        return saved if days >= config.min_days and within >= config.min_share * calls else None

    def share(self, series: CallSeries, saved: int, /) -> int:
        """Only what runs in the busiest hours is a job."""
        calls = series.counts[0]
        return saved * _own(series).hours.in_busiest() // calls if calls > 0 else 0

    def unfit(self, series: CallSeries, /) -> bool:
        return _own(series).waited_for.totals[0] != 0

    def mark_unfit(self, series: CallSeries, time_ns: int, /) -> None:
        _own(series).waited_for.add(time_ns, (1,))

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        own = _own(series)
        calls, hours = own.counts[0], own.hours
        priced, spend, _, saved = own.window.totals[-MONEY:]
        return {
            "calls": calls,
            "calls_waited_for": own.waited_for.totals[0],
            "hours_utc": {f"{hour:02}:00": hours.totals[hour] for hour in hours.busiest()},
            "share_in_these_hours": round(hours.in_busiest() / calls, 3) if calls > 0 else None,
            "days_with_calls": hours.days,
            "spend_usd": usd_text(spend if priced > 0 else None),
            "batch_would_save_usd": usd_text(saved),
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, _config: BatchEligibleConfig, _catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        where = scope.get("feature") or scope.get("service")
        return Words(
            title=f"{where} ({scope['team']}) could use {scope['model']} at batch prices",
            summary=f"{seen['share_in_these_hours'] or 0:.0%} of {seen['calls']} calls on {seen['days_with_calls']} "
            f"days came around {', '.join(seen['hours_utc'])} UTC, and nothing says that anybody waited for them.",
            suggested_fix="Send these requests through the provider's batch API, which answers within a day at about "
            "half the price, or ask for its flex tier where a call may take minutes.",
        )


def _own(series: CallSeries) -> JobSeries:
    """The series of a key of this rule, which `new_series` made."""
    return cast("JobSeries", series)
