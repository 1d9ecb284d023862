"""ERROR_SPEND: money on calls that failed."""

from typing import Any, Final

from pydantic import Field

from tokensense_otel.core.call import Call, Cost, CostKind
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.breakdown import BreakdownRule, BrokenDownFact
from tokensense_otel.dataflow.rules.call_rule import Fact, team_of
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words
from tokensense_otel.dataflow.rules.thresholds import MinSpendConfig, dollars

NOTHING: Final = Cost(CostKind.KNOWN)
"""What a failed call would have cost had it not been made."""


class ErrorSpendConfig(MinSpendConfig, WindowConfig):
    """Thresholds of ERROR_SPEND."""

    min_calls: int = Field(default=20, ge=1)
    """Calls in the window, failed ones included, before the rule may fire."""
    min_errors: int = Field(default=10, ge=1)
    """Failed calls in the window before the rule may fire, so that a few among few are no finding."""
    min_error_share: float = Field(default=0.05, ge=0, le=1)
    """The rule fires while at least this share of the calls failed."""


class ErrorSpend(BreakdownRule[ErrorSpendConfig]):
    """Failed calls are priced by the usage that they report: tokens read before an answer broke off are billed.

    The threshold is held against the lower bound of what they cost. Those that report no usage or have no price are
    counted and listed; they are no zero dollars and no dollars.
    """

    name = "ERROR_SPEND"
    description = "A team's failed calls to a model cost money, and their share of its calls is not small."
    scope = ("team", "model")
    fields = (
        "failed_calls",
        "calls",
        "failed_nanos_low",
        "failed_nanos_high",
        "failed_priced",
        "failed_no_usage",
        "nanos",
    )
    thresholds = ("min_calls", "min_errors", "min_error_share", "min_usd", "window")
    above = ("min_error_share",)
    floors = ("min_calls", "min_errors", "min_usd")
    config_type = ErrorSpendConfig

    def observe(self, call: Call, _config: ErrorSpendConfig, _catalogue: Catalogue, /) -> Fact | None:
        key = (team_of(call), call.model or "unknown")
        cost = call.cost
        if not call.error_type:
            return Fact(key, (0, 1, 0, 0, 0, 0, cost.low), matters=False)
        if cost.kind is CostKind.UNKNOWN:
            counts, instead = (1, 1, 0, 0, 0, 0 if call.tokens.known else 1, 0), None
        else:
            counts, instead = (1, 1, cost.low, cost.high, 1, 0, cost.low), NOTHING
        return BrokenDownFact(key=key, counts=counts, alternative=instead, part=call.error_type[:80])

    def judge(self, series: CallSeries, config: ErrorSpendConfig, /) -> int | None:
        failed, calls, low, *_ = series.counts
        if failed < config.min_errors or calls < config.min_calls or low < config.min_nanos:
            return None
        return low if failed >= config.min_error_share * calls else None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        failed, calls, low, high, priced, no_usage, nanos = series.counts
        return {
            "failed_calls": failed,
            "calls": calls,
            "error_share": round(failed / calls, 3) if calls > 0 else None,
            "failed_usd": {"low": usd_text(low), "high": usd_text(high)} if priced > 0 else None,
            "share_of_usd": round(low / nanos, 3) if nanos > 0 else None,
            "failed_calls_without_usage": no_usage,
            "failed_calls_without_price": failed - priced - no_usage,
            "error_types": self.parts(series),
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, config: ErrorSpendConfig, _catalogue: Catalogue, /
    ) -> Words:
        seen = self.observed(series)
        unknown = seen["failed_calls_without_usage"] + seen["failed_calls_without_price"]
        more = f"; of {unknown} more of them nobody knows the cost" if unknown else ""
        return Words(
            title=f"{scope['team']} pays for failed calls to {scope['model']}",
            summary=f"{seen['failed_calls']} of {seen['calls']} calls in {config.window} failed, and cost at "
            f"least {dollars(series.counts[2])}{more}.",
            suggested_fix="Look at the sample traces for what they have in common: a timeout shorter than the answers "
            "(stream them, or wait longer), a schema that the answer never fits, a context that is too long.",
        )
