"""The price catalogue: what one call cost, in integers, at the date, tier and context length it ran with.

Prices are genai-prices' (the version is kept with every cost). They are compiled when a model is first met and
remembered, so that a warm look-up takes about a microsecond; unknown models are remembered too. Nothing here does I/O
after `load`.
"""

from importlib.metadata import version
from typing import Any, Final

import msgspec
from genai_prices.data_snapshot import DataSnapshot, get_snapshot

from tokensense_otel.core.call import Call, Cost, CostKind
from tokensense_otel.dataflow.pricing.bill import LIFETIME, MOST_TOKENS, NO_OUTPUT, bounds, everyday, half_even
from tokensense_otel.dataflow.pricing.config import PricesConfig
from tokensense_otel.dataflow.pricing.outlook import Outlook, outlook
from tokensense_otel.dataflow.pricing.overlay import NOBODY, Overlay
from tokensense_otel.dataflow.pricing.plans import Key, Plan, Planner
from tokensense_otel.dataflow.pricing.rates import Rates, band
from tokensense_otel.dataflow.pricing.tiers import Tier, TierTable

# Looked up once: on Python 3.11 naming the member of an enumeration costs a quarter of a microsecond.
_KNOWN, _ESTIMATED = CostKind.KNOWN, CostKind.ESTIMATED
MEMORY: Final = 20_000
"""Model names remembered at most; they come from outside, so they must not pile up."""

BAD_USAGE: Final = "usage is impossible"


class Catalogue:
    """Prices and tiers of models. Shared by everything in a process; safe to ask in any order."""

    def __init__(
        self, snapshot: DataSnapshot, version: str, tiers: TierTable, prices: PricesConfig | None = None
    ) -> None:
        self._overlay = Overlay(prices or PricesConfig())
        self.version = f"{version}+{self._overlay.version}" if self._overlay.version else version
        self._planner = Planner(snapshot, self._overlay, self.version)
        self._tiers = tiers
        self._plans: dict[Key, Plan] = {}
        self._outlooks: dict[tuple[Key, int], Outlook | None] = {}
        self._tier_of: dict[tuple[str, str], Tier | None] = {}
        self._nearest: dict[tuple[str, str], list[str]] = {}
        self._cheaper: dict[tuple[str, str, bool], str | None] = {}
        self._no_usage = self._planner.unknown("usage was not reported")
        self._bad_usage = self._planner.unknown(BAD_USAGE)

    @classmethod
    def load(cls, prices: PricesConfig | None = None) -> "Catalogue":
        """The installed price list and tier table with the user's own prices over it; never fetches anything."""
        return cls(get_snapshot(), f"genai-prices/{version('genai-prices')}", TierTable.load(), prices)

    def cost(self, call: Call) -> Cost:
        """What `call` cost at the time it ended.

        Not at its start: what is billed is known when the answer is complete, and the books put a call into the hour
        and the day of its end, as providers' usage reports do. Failed calls are priced by the usage they report.
        The cost is UNKNOWN without usage or without a price, ESTIMATED where the usage or the prices leave something
        open; `reason` says what.
        """
        tokens = call.tokens
        input_tokens, output = tokens.input, tokens.output
        if input_tokens is None and output is None:
            return self._no_usage
        plan = self._plan_of(call)
        if plan.schedule is None:
            return plan.unknown
        entry = plan.schedule.at(call.end_ns)
        if not entry.bands:
            return plan.unknown
        rates = entry.bands[0][1] if len(entry.bands) == 1 else band(entry.bands, input_tokens or 0)
        if not plan.note and not entry.note and not tokens.audio_input and not tokens.audio_output:
            total, spread = everyday(rates, call)
            if total >= 0:
                amount = half_even(total)
                if not spread:
                    return Cost(_KNOWN, amount, amount, rates.id, self.version)
                return Cost(_ESTIMATED, amount, half_even(total + spread), rates.id, self.version, LIFETIME)
        return self._estimate(
            plan, call, rates, entry.note, band(entry.other, input_tokens or 0) if entry.other else None
        )

    def applied(self, call: Call) -> tuple[Rates, Rates | None] | None:
        """The rates that `cost` applies to the call, and those that may be true instead; `None` where it is unknown."""
        if not call.tokens.known or self.cost(call).kind is CostKind.UNKNOWN:
            return None
        plan = self._plan_of(call)
        if plan.schedule is None:
            return None
        entry = plan.schedule.at(call.end_ns)
        count = call.tokens.input or 0
        return band(entry.bands, count), band(entry.other, count) if entry.other else None

    def outlook(self, call: Call) -> Outlook | None:
        """Unit prices around the end of a call, for its provider, model and service tier; `None` without a price."""
        key = self._key(call)
        schedule = (self._plans.get(key) or self._plan(key)).schedule
        if schedule is None:
            return None
        place = (key, schedule.row(call.end_ns))
        if place not in self._outlooks:
            _bound(self._outlooks)
            self._outlooks[place] = outlook(schedule, place[1])
        return self._outlooks[place]

    def cost_as(self, call: Call, model: str) -> Cost:
        """What the same tokens would have cost on another model of the same provider, tier and moment."""
        return self.cost(msgspec.structs.replace(call, response_model=model, request_model=model, full_model=""))

    def nearest(self, provider: str, model: str) -> list[str]:
        """Names of priced models that look most like this one, best first."""
        key = (provider, model)
        if key not in self._nearest:  # it takes milliseconds, and a finding asks more than once
            _bound(self._nearest)
            self._nearest[key] = self._planner.nearest(provider, model)
        return list(self._nearest[key])

    def lists(self, provider: str, model: str) -> bool:
        """Whether the model has a listed token price."""
        return self._latest(provider, model) is not None

    def tier(self, provider: str, model: str) -> Tier | None:
        """The class of a model by `tiers.yaml`, else by its listed output price; `None` where neither knows it."""
        key = (provider, model)
        if key not in self._tier_of:
            _bound(self._tier_of)
            rates = self._latest(provider, model)
            meant = self._overlay.meant(provider, [model], NOBODY).models[0]
            self._tier_of[key] = self._tiers.tier(meant, rates.output if rates else None)
        return self._tier_of[key]

    def cheaper(self, provider: str, model: str, *, trivial: bool = False) -> str | None:
        """The model of the same provider that is recommended instead: listed there and cheaper, or `None`.

        One step down; with `trivial` as many steps as lead below the premium tier.
        """
        key = (provider, model, trivial)
        if key not in self._cheaper:
            _bound(self._cheaper)
            self._cheaper[key] = self._step_down(provider, model, trivial=trivial)
        return self._cheaper[key]

    def _step_down(self, provider: str, model: str, *, trivial: bool) -> str | None:
        rates = self._latest(provider, model)
        model = self._overlay.meant(provider, [model], NOBODY).models[0]
        # A gateway's names carry the vendor in front (`anthropic/claude-…`); so do the siblings there.
        vendor = model.rpartition("/")[0]
        names = self._tiers.instead(model) if rates else ()
        if vendor and ":" not in vendor:
            names = (*(f"{vendor}/{name}" for name in names), *names)
        for name in names:
            other = self._latest(provider, name)
            if rates and other and _below(other, rates):
                tier = self.tier(provider, name)
                if trivial and tier is not None and tier.is_premium:
                    return self._step_down(provider, name, trivial=True) or name
                return name
        return None

    def _latest(self, provider: str, model: str) -> Rates | None:
        key = (provider, "", model, model, "", NOBODY)
        plan = self._plans.get(key) or self._plan(key)
        return plan.schedule.latest if plan.schedule else None

    def _plan_of(self, call: Call) -> Plan:
        key = self._key(call)
        return self._plans.get(key) or self._plan(key)

    def _key(self, call: Call) -> Key:
        return (
            call.provider,
            call.full_model,
            call.response_model,
            call.request_model,
            call.service_tier,
            (call.tenant, call.project, call.dimensions.service) if self._overlay.scoped else NOBODY,
        )

    def _plan(self, key: Key) -> Plan:
        _bound(self._plans)
        plan = self._plans[key] = self._planner.plan(key)
        return plan

    def _estimate(self, plan: Plan, call: Call, rates: Rates, note: str, other: Rates | None) -> Cost:
        if any(count is not None and not 0 <= count <= MOST_TOKENS for count in msgspec.structs.astuple(call.tokens)):
            return self._bad_usage
        generates = call.operation not in NO_OUTPUT
        low, high, reasons = bounds(rates, call.tokens, generates=generates)
        if other is not None:
            other_low, other_high, _ = bounds(other, call.tokens, generates=generates)
            low, high = min(low, other_low), max(high, other_high)
        reasons = [each for each in (plan.note, note, *reasons) if each]
        kind = CostKind.ESTIMATED if reasons else CostKind.KNOWN
        return Cost(kind, half_even(low), half_even(high), rates.id, self.version, "; ".join(reasons))


def _below(other: Rates, rates: Rates) -> bool:
    ours, theirs = (rates.input or 0, rates.output or 0), (other.input or 0, other.output or 0)
    return theirs[0] <= ours[0] and theirs[1] <= ours[1] and theirs != ours


def _bound(memory: dict[Any, Any]) -> None:
    if len(memory) >= MEMORY:
        memory.clear()
