"""Rules about calls: what a call means to a rule, and the money behind a key.

The saving of a key is the sum, over the calls of its slice in the last 30 days, of what each of them cost less what it
would have cost, never below zero. So it cannot exceed what the slice did cost, and it is never extrapolated.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from tokensense_otel.core.call import UNATTRIBUTED, Call, Cost, CostKind, Source
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS, MONEY, NO_MONEY, NOTHING, PRICES, CallSeries
from tokensense_otel.dataflow.rules.rule import Rule, RuleConfig, WindowConfig

NOT_TEXT: Final = frozenset({"embeddings", "rerank", "moderation", "image", "speech", "transcription"})
"""Operations whose answer is no text, so that its length says nothing."""

MONTH_NS: Final = 30 * DAY_NS


class Fact(msgspec.Struct, frozen=True, gc=False):
    """What one call is to a rule. `counts` are in the order of the rule's `fields`.

    `alternative` is what the call would have cost after the fix, `None` where there is no fix to price. A call that is
    counted without being part of the finding (`matters` is false) brings neither money nor a sample trace. One that
    does not open a key (`opens` is false) only changes what is followed already. `measured` are values for the series'
    histograms and `members` names for its counts of different ones, each after the name of the histogram or count.
    `more` is what the same call is to a further key of the rule. `project` is the key's, where that is not the call's.
    """

    key: tuple[str, ...]
    counts: tuple[int, ...]
    alternative: Cost | None = None
    matters: bool = True
    opens: bool = True
    measured: tuple[tuple[str, int], ...] = ()
    members: tuple[tuple[str, str], ...] = ()
    more: "Fact | None" = None
    project: str | None = None


ConfigT = TypeVar("ConfigT", bound=RuleConfig)
WindowT = TypeVar("WindowT", bound=WindowConfig)


class CallRule(Rule[ConfigT, CallSeries]):
    """A rule that counts calls."""

    fields: tuple[str, ...]
    """Names of what is counted in the window; the first one counts the calls that matter."""
    takes_sums = False
    """Whether it can judge calls of which only metrics tell, many at once: most rules have to see each call."""

    @abstractmethod
    def observe(self, call: Call, config: ConfigT, catalogue: Catalogue, /) -> Fact | None:
        """What the call means to this rule; `None` when it is none of its business."""

    def width_ns(self, _config: ConfigT, /) -> int | None:
        """Length of the window whose money may be projected, `None` where none should be."""
        return None

    def follow(
        self,
        window_ns: int,
        *,
        windows: Mapping[str, int] = NOTHING,
        histograms: Mapping[str, int] = NOTHING,
        distinct: Mapping[str, int] = NOTHING,
    ) -> CallSeries:
        """Empty state of a key, each window given by its width in nanoseconds; see `CallSeries`."""
        return CallSeries.over(window_ns, len(self.fields), windows=windows, histograms=histograms, distinct=distinct)

    def forbids(self, _fact: Fact, /) -> bool:
        """Of an unbounded rule: whether a key's only call makes it what `unfit` asks for."""
        return False

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:
        """Put a call on its key, or take it off. `False` where it is older than the window."""
        money = _money(call, fact.alternative) if fact.matters else NO_MONEY
        if money is not NO_MONEY:
            series.month.add(time_ns, money, sign)
        sums = fact.counts + money
        for window in series.windows.values():
            window.add(time_ns, sums, sign)
        for name, value in fact.measured:
            series.histograms[name].add(time_ns, value, sign)
        for name, member in fact.members:
            series.distinct[name].add(time_ns, member, sign)
        if not series.window.add(time_ns, sums, sign):
            return False
        if not fact.matters:
            return True
        if call.source is not Source.METER:
            series.sample(time_ns, call.trace_id, sign)
        if sign > 0:
            series.provider = call.provider
            if call.cost.price_id not in series.prices:
                _remember(series, call.cost.price_id)
            if fact.alternative is not None and fact.alternative.price_id not in series.prices:
                _remember(series, fact.alternative.price_id)
        return True

    def savings(self, series: CallSeries, /) -> int | None:
        """Nano-dollars that the fix would have saved in the last 30 days, `None` where nothing could be compared."""
        _, _, compared, saved = series.month.totals
        return self.share(series, saved) if compared > 0 else None

    def share(self, _series: CallSeries, saved: int, /) -> int:
        """The part of `saved` that the fix really reaches."""
        return saved

    def money(self, series: CallSeries, config: ConfigT, catalogue: Catalogue, /) -> dict[str, Any]:
        """Evidence in dollars. `projected_*` extrapolate the window and say so; all else was really spent."""
        priced, spend, compared, _ = series.month.totals
        saved = self.savings(series)
        evidence: dict[str, Any] = {
            "spend_30d_usd": usd_text(spend if priced > 0 else None),
            "alternative_30d_usd": usd_text(spend - saved if saved is not None else None),
            "priced_calls_30d": priced,
            "compared_calls_30d": compared,
        }
        if width_ns := self.width_ns(config):
            window_priced, window_spend, window_compared, window_saved = series.window.totals[-MONEY:]
            projected = window_spend * MONTH_NS // width_ns
            projected_saved = self.share(series, window_saved) * MONTH_NS // width_ns
            evidence |= {
                "projected_monthly_spend_usd": usd_text(projected if window_priced > 0 else None),
                "projected_monthly_savings_usd": usd_text(projected_saved if window_compared > 0 else None),
            }
        if priced > 0:
            evidence |= {"catalogue": catalogue.version, "price_ids": list(series.prices)}
        return evidence


class WindowRule(CallRule[WindowT]):
    """A rule over a rolling window."""

    def new_series(self, config: WindowT, /) -> CallSeries:
        return self.follow(config.window)

    def width_ns(self, config: WindowT, /) -> int | None:
        return config.window


def _money(call: Call, alternative: Cost | None) -> tuple[int, int, int, int]:
    """Priced, spent, compared, saved: an estimate counts at its low end, its alternative at its high end."""
    cost = call.cost
    if cost.kind is CostKind.UNKNOWN:
        return NO_MONEY
    if alternative is None or alternative.kind is CostKind.UNKNOWN:
        return call.count, cost.low, 0, 0
    return call.count, cost.low, call.count, max(0, cost.low - alternative.high)


def _remember(series: CallSeries, price_id: str) -> None:
    if price_id:
        series.prices = [*series.prices[1 - PRICES :], price_id]


def team_of(call: Call) -> str:
    return call.dimensions.team or UNATTRIBUTED


def average(total: int, count: int) -> float | None:
    """For showing only; conditions compare integers."""
    return round(total / count, 1) if count > 0 else None
