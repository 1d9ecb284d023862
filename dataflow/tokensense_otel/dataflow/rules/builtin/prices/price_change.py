"""PRICE_CHANGE: a list price that has changed, or will, and what that means for the last 30 days' traffic."""

from functools import lru_cache
from typing import Any, Final, cast

import msgspec
from pydantic import Field

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.core.insight import Severity, rfc3339
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import CLASSES, Catalogue, Outlook, UnitPrices
from tokensense_otel.dataflow.pricing.names import service_tier
from tokensense_otel.dataflow.rules.call_rule import CallRule, Fact
from tokensense_otel.dataflow.rules.evaluation.durations import Duration
from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS, CallSeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling
from tokensense_otel.dataflow.rules.rule import Level, Words
from tokensense_otel.dataflow.rules.thresholds import MinSpendConfig, dollars

MONTH_NS: Final = 30 * DAY_NS
MILLION: Final = 1_000_000


class PriceChangeConfig(MinSpendConfig):
    """Thresholds of PRICE_CHANGE."""

    severity: Severity = Severity.LOW
    """`high`, `medium` or `low`."""
    min_usd: float = Field(default=1.0, gt=0, le=1_000_000_000)
    """USD that the last 30 days' traffic costs more, or less, at the new price, before anybody is told."""
    ahead: Duration = Duration("30d")
    """How long before its day a change that is listed already is told."""
    news: Duration = Duration("7d")
    """How long a change stays open after its day."""


class Change(msgspec.Struct, frozen=True, array_like=True):
    """From `before` to `after` at a moment. `catalogues` are the versions of the list where a new one changed it, so
    that `at_ns` is when its first call came; empty where the list dates the change."""

    at_ns: int
    before: UnitPrices
    after: UnitPrices
    catalogues: tuple[str, ...] = ()


_NO_PRICES: Final = UnitPrices("", (None,) * (len(CLASSES) + 1))
UNCHANGED: Final = Change(0, _NO_PRICES, _NO_PRICES)


class PriceFact(Fact, frozen=True, kw_only=True):
    """What the list says of the call's price, in which version of it, and the change that is news at its time."""

    outlook: Outlook
    catalogue: str
    dated: Change | None


class PriceSeries(CallSeries):
    """Tokens by class of 30 days, the price last seen, and the newest change of it."""

    __slots__ = ("catalogue", "change", "seen", "seen_ns")

    def __init__(self, window: Rolling) -> None:
        super().__init__(window)
        self.catalogue = ""
        self.seen: UnitPrices | None = None
        self.seen_ns = 0
        self.change = UNCHANGED

    def learn(self, fact: PriceFact, time_ns: int) -> None:
        """Take note of the price of a call. Another version of the list is compared for the moment of the call before,
        so that a dated change in between is not taken for one of the list."""
        found = fact.dated
        if self.seen is not None and self.catalogue != fact.catalogue:
            outlook = fact.outlook
            then = outlook.now if outlook.since_ns <= self.seen_ns else outlook.before
            if then is not None and then.amounts != self.seen.amounts:
                found = Change(time_ns, self.seen, then, (self.catalogue, fact.catalogue))
        if found is not None and found.at_ns > self.change.at_ns:
            self.change = found
        if time_ns >= self.seen_ns or self.catalogue != fact.catalogue:
            self.catalogue, self.seen, self.seen_ns = fact.catalogue, fact.outlook.now, time_ns

    @property
    def impact(self) -> int:
        """Nano-dollars that the traffic in the window costs more at the new price; negative where it costs less."""
        total = 0
        prices = zip(self.counts, self.change.before.amounts, self.change.after.amounts, strict=True)
        for tokens, before, after in prices:
            if before is not None and after is not None:
                total += tokens * (after - before)
        return total // MILLION if total >= 0 else -(-total // MILLION)

    def state(self) -> list[Any]:
        return [super().state(), self.catalogue, self.seen, self.seen_ns, self.change]

    def load(self, state: list[Any]) -> bool:
        counts, self.catalogue, seen, self.seen_ns, change = state
        self.seen = msgspec.convert(seen, UnitPrices | None)
        self.change = msgspec.convert(change, Change)
        return super().load(counts)


class PriceChange(CallRule[PriceChangeConfig]):
    """Calls at the standard service tier, with a context short enough for the standard price. A model is named as the
    price list names it, so that its dated versions with one price are one."""

    name = "PRICE_CHANGE"
    description = "A model's list price changes, and that moves what a month of its traffic costs."
    scope = ("provider", "model")
    # The order of `UnitPrices.amounts`.
    fields = (*CLASSES, "calls")
    thresholds = ("min_usd", "ahead", "news")
    floors = ("min_usd",)
    level = Level.TENANT
    config_type = PriceChangeConfig

    def new_series(self, _config: PriceChangeConfig, /) -> CallSeries:
        return PriceSeries(self.follow(MONTH_NS).window)

    def observe(self, call: Call, config: PriceChangeConfig, catalogue: Catalogue, /) -> Fact | None:
        tokens = call.tokens
        if call.cost.kind is CostKind.UNKNOWN or tokens.input is None:
            return None
        if tokens.audio_input or tokens.audio_output or tokens.image_input:
            return None
        if call.service_tier and service_tier(call.service_tier):
            return None
        outlook = catalogue.outlook(call)
        if outlook is None or (outlook.up_to is not None and tokens.input > outlook.up_to):
            return None
        read, write, long = tokens.cache_read or 0, tokens.cache_write or 0, tokens.cache_write_1h or 0
        output, reasoning = tokens.output or 0, tokens.reasoning or 0
        plain, short, said = tokens.input - read - write, write - long, output - reasoning
        if plain < 0 or short < 0 or said < 0:
            return None
        return PriceFact(
            key=(call.provider, _listed_name(outlook.now.id)),
            counts=(plain, read, short, long, said, reasoning, 1),
            outlook=outlook,
            catalogue=catalogue.version,
            dated=_dated(outlook, call.end_ns, config),
        )

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:
        if sign > 0:
            _own(series).learn(cast("PriceFact", fact), time_ns)
        return super().post(series, call, fact, sign, time_ns)

    def judge(self, series: CallSeries, config: PriceChangeConfig, /) -> int | None:
        own = _own(series)
        if own.now_ns > own.change.at_ns + config.news:
            return None
        size = abs(own.impact)
        return size if size >= config.min_nanos else None

    def savings(self, _series: CallSeries, /) -> int | None:
        return None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        own = _own(series)
        change = own.change
        *tokens, calls = own.counts
        return {
            "changes_at": rfc3339(change.at_ns),
            "ahead": own.now_ns < change.at_ns,
            "because_of": "another price list" if change.catalogues else "a dated list price",
            "catalogues": list(change.catalogues),
            "old": {"price_id": change.before.id, **_by_class(change.before)},
            "new": {"price_id": change.after.id, **_by_class(change.after)},
            "monthly_effect_usd": usd_text(own.impact),
            "calls_30d": calls,
            "tokens_30d": {name: count for name, count in zip(CLASSES, tokens, strict=True) if count},
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, _config: PriceChangeConfig, _catalogue: Catalogue, /
    ) -> Words:
        own = _own(series)
        change, impact = own.change, own.impact
        more = "more" if impact > 0 else "less"
        seller = f" of {scope['provider']}" if "provider" in scope else ""
        ahead = own.now_ns < change.at_ns
        return Words(
            title=f"{scope['model']}{seller} {'will cost' if ahead else 'costs'} {more}",
            summary=f"On {rfc3339(change.at_ns)[:10]} the price per million changes: {_moved(change)}. The traffic of "
            f"the last 30 days {'would cost' if ahead else 'costs'} {dollars(abs(impact))} {more} at the new price.",
            suggested_fix=_DEARER if impact > 0 else _CHEAPER,
        )


_DEARER: Final = "Compare a cheaper model, move what can wait to batches, or plan for it in the budget."
_CHEAPER: Final = "Nothing to mend. Lower the budget by as much, so that it stays a bound."


def _own(series: CallSeries) -> PriceSeries:
    """The series of a key of this rule, which `new_series` made."""
    return cast("PriceSeries", series)


def _dated(outlook: Outlook, now_ns: int, config: PriceChangeConfig) -> Change | None:
    """The change that is news at a moment: the next one of the list, else the last one."""
    if outlook.after is not None and outlook.until_ns <= now_ns + config.ahead:
        return Change(outlook.until_ns, outlook.now, outlook.after)
    if outlook.before is not None and now_ns <= outlook.since_ns + config.news:
        return Change(outlook.since_ns, outlook.before, outlook.now)
    return None


@lru_cache(maxsize=4_096)
def _listed_name(price_id: str) -> str:
    """The model of a price id such as `openai/gpt-5@2026-07-30*0.85`."""
    return price_id.partition("*")[0].partition("@")[0].partition("/")[2]


def _moved(change: Change) -> str:
    """The prices that change, in words; reasoning only where it is not priced as the output is."""
    old, new = _by_class(change.before), _by_class(change.after)
    if (old.get("reasoning"), new.get("reasoning")) == (old.get("output"), new.get("output")):
        old.pop("reasoning", None)
    moved = [name for name in old if new.get(name, old[name]) != old[name]]
    return ", ".join(f"{name.replace('_', ' ')} from ${old[name]} to ${new[name]}" for name in moved)


def _by_class(prices: UnitPrices) -> dict[str, str | None]:
    """USD for a million tokens of each class that has a price, and for a million requests."""
    named = zip((*CLASSES, "requests"), prices.amounts, strict=True)
    return {name: usd_text(amount) for name, amount in named if amount or (amount == 0 and name != "requests")}
