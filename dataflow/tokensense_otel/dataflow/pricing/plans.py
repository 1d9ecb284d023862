"""From the names on a call to its schedule: aliases, then the user's own prices or the list's, then factors.

Slow, and asked once for each set of names: the catalogue remembers the answers, misses included.
"""

from typing import Final

import msgspec
from genai_prices.data_snapshot import DataSnapshot

from tokensense_otel.core.call import Cost, CostKind
from tokensense_otel.dataflow.pricing import names
from tokensense_otel.dataflow.pricing.overlay import Meant, Overlay, Whose
from tokensense_otel.dataflow.pricing.rates import Schedule, compile_schedule, either, noted

_AS_REQUESTED: Final = "response model {!r} has no listed price; priced as requested"
_EITHER_PROFILE: Final = "the model's name does not tell a regional from a global inference profile"

Key = tuple[str, str, str, str, str, Whose]
"""Provider, full model, response model, request model, service tier; and whose, where names depend on that."""


class Plan(msgspec.Struct, frozen=True):
    """How calls of one provider, model and service tier are priced. `note` says what had to be inferred.

    `unknown` is what a call costs without a schedule, or on a day for which the schedule has no price.
    """

    schedule: Schedule | None
    note: str
    unknown: Cost


class Planner:
    def __init__(self, snapshot: DataSnapshot, overlay: Overlay, version: str) -> None:
        self._snapshot = snapshot
        self._overlay = overlay
        self._version = version

    def unknown(self, reason: str) -> Cost:
        return Cost(CostKind.UNKNOWN, reason=reason, catalogue=self._version)

    def nearest(self, provider: str, model: str) -> list[str]:
        """Names of priced models that look most like this one, best first."""
        return names.nearest(self._snapshot, provider, model, self._overlay.models)

    def plan(self, key: Key) -> Plan:
        provider, full_model, response_model, request_model, tier, whose = key
        tier = names.service_tier(tier)
        answered = _named(full_model, response_model or request_model)
        reasons: list[str] = []
        for models, note in ((answered, ""), (_named(request_model), _AS_REQUESTED.format(response_model))):
            if not models:
                continue
            try:
                schedule = self._schedule(provider, models, tier, whose)
            except names.NotListed as error:
                reasons.append(str(error))
                continue
            latest = schedule.latest
            if latest is None or (latest.input is None and latest.output is None and not latest.request):
                reasons.append(f"model {models[0]!r} is not priced by tokens")
                continue
            return Plan(schedule, note, self.unknown(f"model {models[0]!r} has no price on that day"))
        return Plan(None, "", self.unknown(reasons[0] if reasons else "no model was named"))

    def _schedule(self, provider: str, models: list[str], tier: str, whose: Whose) -> Schedule:
        """The schedule of a model by its names, the fullest first, with notes on what had to be inferred for it.

        Raises:
            names.NotListed: when it has no price, neither in the list nor of the user's own.
        """
        meant = self._overlay.meant(provider, models, whose)
        providers, known = [meant.provider, provider], [*meant.models, *models]
        try:
            listed, found, note, elsewhere = self._find(meant)
        except names.NotListed:
            own = self._overlay.laid_over(None, providers, known, tier)
            if own is None or own.latest is None:
                raise
            return own
        priced_here = any(found is each for each in listed.models)
        schedule = compile_schedule(listed.id, found, tier if priced_here else "")
        if tier and not priced_here:
            note = note or f"no {tier} price is listed for {listed.id}; standard price used"
        if elsewhere is not None:
            schedule = either(schedule, compile_schedule(listed.id, elsewhere, tier), _EITHER_PROFILE)
        if note:
            schedule = noted(schedule, note)
        return self._overlay.laid_over(schedule, [*providers, listed.id], [*known, found.id], tier) or schedule

    def _find(self, meant: Meant) -> names.Found:
        first: names.NotListed | None = None
        for model in meant.models:
            try:
                return names.find(self._snapshot, meant.provider, model)
            except names.NotListed as error:
                first = first or error
        raise first or names.NotListed("no model was named")


def _named(*models: str) -> list[str]:
    return [name for name in dict.fromkeys(models) if name]
