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
from tokensense_otel.dataflow.pricing import names
from tokensense_otel.dataflow.pricing.bill import LIFETIME, MILLION, bounds, half_even
from tokensense_otel.dataflow.pricing.rates import Rates, Schedule, band, compile_schedule
from tokensense_otel.dataflow.pricing.tiers import Tier, TierTable

MEMORY: Final = 20_000
"""Model names remembered at most; they come from outside, so they must not pile up."""

MOST_TOKENS: Final = 100_000_000
"""No single call uses more, by an order of magnitude; what claims to must not get into anybody's sums of money."""

NO_OUTPUT: Final = frozenset({"embeddings", "rerank", "moderation"})
"""Operations that generate nothing: unreported output is no gap there."""


class _Plan(msgspec.Struct, frozen=True):
    """How calls of one provider, model and service tier are priced: a schedule, or the reason why they are not."""

    schedule: Schedule | None
    note: str
    unknown: Cost


class Catalogue:
    """Prices and tiers of models. Shared by everything in a process; safe to ask in any order."""

    def __init__(self, snapshot: DataSnapshot, version: str, tiers: TierTable) -> None:
        self.version = version
        self._snapshot = snapshot
        self._tiers = tiers
        self._plans: dict[tuple[str, str, str, str], _Plan] = {}
        self._tier_of: dict[tuple[str, str], Tier | None] = {}
        self._cheaper: dict[tuple[str, str, bool], str | None] = {}
        self._no_usage = Cost(CostKind.UNKNOWN, reason="usage was not reported", catalogue=version)
        self._bad_usage = Cost(CostKind.UNKNOWN, reason="usage is impossible", catalogue=version)

    @classmethod
    def load(cls) -> "Catalogue":
        """The price list and tier table that are installed with this version; never fetches anything."""
        return cls(get_snapshot(), f"genai-prices/{version('genai-prices')}", TierTable.load())

    def cost(self, call: Call) -> Cost:
        """What `call` cost at the time it ended.

        Failed calls are priced by the usage they report. The cost is UNKNOWN without usage or without a listed price,
        ESTIMATED where the usage or the price list leaves something open; `reason` says what.
        """
        tokens = call.tokens
        input_tokens, output = tokens.input, tokens.output
        if input_tokens is None and output is None:
            return self._no_usage
        key = (call.provider, call.response_model, call.request_model, call.service_tier)
        plan = self._plans.get(key) or self._plan(key)
        if plan.schedule is None:
            return plan.unknown
        entry = plan.schedule.at(call.end_ns)
        rates = entry.bands[0][1] if len(entry.bands) == 1 else band(entry.bands, input_tokens or 0)
        if not plan.note and not entry.note and not tokens.audio_input and not tokens.audio_output:
            total, spread = _everyday(rates, call)
            if total >= 0:
                amount = half_even(total)
                if not spread:
                    return Cost(CostKind.KNOWN, amount, amount, rates.id, self.version)
                return Cost(CostKind.ESTIMATED, amount, half_even(total + spread), rates.id, self.version, LIFETIME)
        return self._estimate(
            plan, call, rates, entry.note, band(entry.other, input_tokens or 0) if entry.other else None
        )

    def applied(self, call: Call) -> tuple[Rates, Rates | None] | None:
        """The rates that `cost` applies to the call, and those that may be true instead; `None` where it is unknown."""
        if not call.tokens.known or self.cost(call).kind is CostKind.UNKNOWN:
            return None
        plan = self._plan((call.provider, call.response_model, call.request_model, call.service_tier))
        if plan.schedule is None:
            return None
        entry = plan.schedule.at(call.end_ns)
        count = call.tokens.input or 0
        return band(entry.bands, count), band(entry.other, count) if entry.other else None

    def cost_as(self, call: Call, model: str) -> Cost:
        """What the same tokens would have cost on another model of the same provider, tier and moment."""
        return self.cost(msgspec.structs.replace(call, response_model=model, request_model=model))

    def lists(self, provider: str, model: str) -> bool:
        """Whether the model has a listed token price."""
        return self._latest(provider, model) is not None

    def tier(self, provider: str, model: str) -> Tier | None:
        """The class of a model by `tiers.yaml`, else by its listed output price; `None` where neither knows it."""
        key = (provider, model)
        if key not in self._tier_of:
            _bound(self._tier_of)
            rates = self._latest(provider, model)
            self._tier_of[key] = self._tiers.tier(model, rates.output if rates else None)
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
        key = (provider, model, model, "")
        plan = self._plans.get(key) or self._plan(key)
        return plan.schedule.latest if plan.schedule else None

    def _plan(self, key: tuple[str, str, str, str]) -> _Plan:
        _bound(self._plans)
        plan = self._plans[key] = self._make_plan(*key)
        return plan

    def _make_plan(self, provider: str, response_model: str, request_model: str, tier_name: str) -> _Plan:
        reasons: list[str] = []
        for model in dict.fromkeys(name for name in (response_model, request_model) if name):
            try:
                listed, found, note = names.find(self._snapshot, provider, model)
            except names.NotListed as error:
                reasons.append(str(error))
                continue
            tier = names.service_tier(tier_name)
            own = any(found is each for each in listed.models)
            schedule = compile_schedule(listed.id, found, tier if own else "")
            if tier and not own:
                note = note or f"no {tier} price is listed for {listed.id}; standard price used"
            if schedule.latest.input is None and schedule.latest.output is None:
                reasons.append(f"model {model!r} is not priced by tokens")
                continue
            if model != response_model and response_model:
                note = note or f"response model {response_model!r} has no listed price; priced as requested"
            return _Plan(schedule, note, self._no_usage)
        reason = reasons[0] if reasons else "no model was named"
        return _Plan(None, "", Cost(CostKind.UNKNOWN, reason=reason, catalogue=self.version))

    def _estimate(self, plan: _Plan, call: Call, rates: Rates, note: str, other: Rates | None) -> Cost:
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


def _everyday(rates: Rates, call: Call) -> tuple[int, int]:
    """The everyday case of `bill.bounds` in one go: (lowest, highest − lowest), (−1, 0) where it is not everyday.

    Everyday is: text only, every reported class listed and reported in full, except the lifetime of cache writes,
    which hardly any instrumentation tells.
    """
    tokens = call.tokens
    count, output, read, write = tokens.input, tokens.output or 0, tokens.cache_read or 0, tokens.cache_write or 0
    if count is None or rates.input is None or rates.reasoning is not None or tokens.image_input:
        return -1, 0
    plain = count - read - write
    if plain < 0 or read < 0 or write < 0 or not 0 <= output <= MOST_TOKENS or count > MOST_TOKENS:
        return -1, 0
    total = plain * rates.input + rates.request * MILLION
    if output:
        if rates.output is None:
            return -1, 0
        total += output * rates.output
    elif tokens.output is None and rates.output is not None and call.operation not in NO_OUTPUT:
        return -1, 0
    if read:
        if rates.cache_read is None:
            return -1, 0
        total += read * rates.cache_read
    if write:
        short, long, long_rate = rates.cache_write, tokens.cache_write_1h, rates.cache_write_1h
        if short is None or (long and (long_rate is None or not 0 <= long <= write)):
            return -1, 0
        total += write * short
        if long_rate is not None and long_rate > short:
            if long is None:
                return total, write * (long_rate - short)
            total += long * (long_rate - short)
    return total, 0


def _below(other: Rates, rates: Rates) -> bool:
    ours, theirs = (rates.input or 0, rates.output or 0), (other.input or 0, other.output or 0)
    return theirs[0] <= ours[0] and theirs[1] <= ours[1] and theirs != ours


def _bound(memory: dict[Any, Any]) -> None:
    if len(memory) >= MEMORY:
        memory.clear()
