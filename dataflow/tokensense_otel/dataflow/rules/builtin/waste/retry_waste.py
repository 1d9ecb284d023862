"""RETRY_WASTE: the same request bought again because the first answer was of no use."""

from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.waste.attempts import KEEP_NS, Attempt, Attempts
from tokensense_otel.dataflow.rules.call_rule import Fact, WindowRule, team_of
from tokensense_otel.dataflow.rules.calls import cut_short, place_of
from tokensense_otel.dataflow.rules.evaluation.durations import Duration
from tokensense_otel.dataflow.rules.evaluation.series import NO_MONEY, PRICES, CallSeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words
from tokensense_otel.dataflow.rules.thresholds import MinSpendConfig, dollars


def _soon(within: Duration) -> Duration:
    if within > KEEP_NS:
        raise ValueError(f"{within} is longer than attempts are remembered; write 1h or less")
    return within


class RetryWasteConfig(MinSpendConfig, WindowConfig):
    """Thresholds of RETRY_WASTE."""

    max_keys: int = Field(default=2_000, ge=1)
    """Keys followed at once in each shard; fewer than for other rules, as each remembers up to 256 requests."""
    within: Annotated[Duration, AfterValidator(_soon)] = Duration("5m")
    """How soon after the end of an attempt the next one has to begin to be a retry of it; at most `1h`."""
    min_attempts: int = Field(default=10, ge=1)
    """Attempts thrown away in the window before the rule may fire."""


class RetryFact(Fact, frozen=True, kw_only=True):
    """`link` is what the attempts at one request have in common."""

    link: str
    within_ns: int


class RetrySeries(CallSeries):
    __slots__ = ("attempts",)

    def __init__(self, window: Rolling) -> None:
        super().__init__(window)
        self.attempts = Attempts()

    @property
    def empty(self) -> bool:
        return not self.attempts and super().empty

    def advance(self, now_ns: int) -> bool:
        self.attempts.forget(now_ns)
        return super().advance(now_ns)

    def state(self) -> list[Any]:
        return [super().state(), self.attempts.snapshot()]

    def load(self, state: list[Any]) -> bool:
        counts, attempts = state
        self.attempts.restore(attempts)
        return super().load(counts)


class RetryWaste(WindowRule[RetryWasteConfig]):
    """An attempt is thrown away when it failed or was cut short, and the same request was made again soon after it.

    The same request is one with the same prompt hash, or, where the emitter counts attempts, one in the same trace.
    What came again is told by the times of the calls, so two at once are no retry of one another. A retry that is
    reported before what it repeats is missed.
    """

    name = "RETRY_WASTE"
    description = "Requests are bought again because the answer failed or was cut off, and both are paid."
    scope = ("team", "feature", "service", "model")
    fields = ("thrown_away", "failed", "cut_short", "unpriced")
    thresholds = ("within", "min_attempts", "min_usd", "window")
    floors = ("min_attempts", "min_usd")
    config_type = RetryWasteConfig

    def new_series(self, config: RetryWasteConfig, /) -> CallSeries:
        return RetrySeries(self.follow(config.window).window)

    def observe(self, call: Call, config: RetryWasteConfig, _catalogue: Catalogue, /) -> Fact | None:
        link = call.prompt_hash or (call.trace_id.hex() if call.attempt is not None else "")
        if not link:
            return None
        return RetryFact(
            key=(team_of(call), *place_of(call), call.model or "unknown"),
            counts=(0, 0, 0, 0),
            opens=bool(call.error_type) or cut_short(call),
            link=link,
            within_ns=config.within,
        )

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:
        """What the call says about itself is not what is counted: it may show that an earlier one was for nothing."""
        attempts, retry = cast("RetrySeries", series).attempts, cast("RetryFact", fact)
        fits = True
        for attempt, change in attempts.post(retry.link, _attempt(call, time_ns), sign, retry.within_ns):
            paid = attempt.nanos
            money = NO_MONEY if paid is None else (1, paid, 1, paid)
            counts = (1, int(attempt.failed), int(attempt.cut), int(paid is None))
            series.month.add(attempt.end_ns, money, change)
            fits &= series.window.add(attempt.end_ns, (*counts, *money), change)
            series.sample(attempt.end_ns, attempt.trace_id, change)
            if change > 0 and attempt.price_id and attempt.price_id not in series.prices:
                series.prices = [*series.prices[1 - PRICES :], attempt.price_id]
        series.window.advance(time_ns)
        return fits

    def judge(self, series: CallSeries, config: RetryWasteConfig, /) -> int | None:
        attempts = series.counts[0]
        paid = series.window.totals[-1]
        return paid if attempts >= config.min_attempts and paid >= config.min_nanos else None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        attempts, failed, cut, unpriced = series.counts
        return {
            "attempts_thrown_away": attempts,
            "failed": failed,
            "cut_short": cut,
            "thrown_away_usd": usd_text(series.window.totals[-1] if attempts > unpriced else None),
            "attempts_without_known_cost": unpriced,
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, config: RetryWasteConfig, _catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        where = scope.get("feature") or scope.get("service")
        return Words(
            title=f"{where} ({scope['team']}) pays for answers of {scope['model']} that it throws away",
            summary=f"{seen['attempts_thrown_away']} answers in {config.window} were bought again within "
            f"{config.within}: {seen['failed']} had failed, {seen['cut_short']} were cut off. They cost "
            f"{dollars(series.window.totals[-1])}.",
            suggested_fix="Mend what fails before it is sent again: a longer timeout, a higher limit on output, a "
            "schema that the model can keep. Retry with a growing pause, and not more than twice.",
        )


def _attempt(call: Call, time_ns: int) -> Attempt:
    failed, cost = bool(call.error_type), call.cost
    return Attempt(
        end_ns=time_ns,
        trace_id=call.trace_id,
        span_id=call.span_id,
        start_ns=call.start_ns,
        failed=failed,
        cut=not failed and cut_short(call),
        nanos=None if cost.kind is CostKind.UNKNOWN else cost.low,
        price_id=cost.price_id,
        number=0 if call.prompt_hash else call.attempt or 0,
    )
