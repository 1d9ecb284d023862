"""The user's own prices, factors and aliases, compiled: what a name stands for, and a schedule laid over the list's.

Pure and slow, as `names` is; the catalogue remembers the answers.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from fnmatch import fnmatchcase
from typing import Final, TypeVar

import msgspec

from tokensense_otel.core.money import nanos
from tokensense_otel.dataflow.pricing import names
from tokensense_otel.dataflow.pricing.config import (
    AliasConfig,
    ClassPrices,
    FactorConfig,
    ModelPriceConfig,
    PricesConfig,
)
from tokensense_otel.dataflow.pricing.rates import DAY_NS, Entry, Rates, Schedule

Whose = tuple[str, str, str]
"""Tenant, project and service of a call."""

NOBODY: Final[Whose] = ("", "", "")
_NOTHING: Final = Entry(())
_ONE: Final = Decimal(1)


class Meant(msgspec.Struct, frozen=True):
    """A model as it is priced: its provider (which may be empty), and its names, the fullest first."""

    provider: str
    models: list[str]


class Overlay:
    def __init__(self, config: PricesConfig) -> None:
        self._models = config.models
        self._factors = config.factors
        self._aliases = sorted(config.aliases, key=lambda alias: (not alias.scoped, "*" in alias.name))
        self.scoped = any(alias.scoped for alias in config.aliases)
        """Whether a name may mean different things in different services."""
        self.version = "" if config.empty else f"user-{_digest(config)}"
        """Changes with every change of prices, factors or aliases."""

    @property
    def models(self) -> list[str]:
        """Names that have a price here."""
        return [each.model for each in self._models if "*" not in each.model]

    def meant(self, provider: str, models: list[str], whose: Whose) -> Meant:
        """What a call's model is, after aliases; itself where there is none for any of its names."""
        for alias in self._aliases:
            if _belongs(alias, whose) and any(_is_called(alias, model) for model in models):
                return Meant(alias.provider or provider, [alias.model])
        return Meant(provider, models)

    def laid_over(self, listed: Schedule | None, providers: list[str], models: list[str], tier: str) -> Schedule | None:
        """The schedule of a model: its own prices here, else the list's times a factor; `None` where it has none.

        `providers` and `models` are the names that it goes by, in the call and in the list.
        """
        own = [each for each in self._models if _fits(each, providers, models)]
        for_tier = [each for each in own if names.service_tier(each.service_tier) == tier]
        note = ""
        if not for_tier and tier:
            for_tier = [each for each in own if not names.service_tier(each.service_tier)]
            note = f"no {tier} price is configured; the standard one used" if for_tier else ""
        factors = [each for each in self._factors if _fits(each, providers, models) and _of_tier(each, tier)]
        if not for_tier and not factors:
            return listed
        days = sorted({0, *(listed.days if listed else ()), *_changes([*for_tier, *factors])})
        times = listed.times if listed else (0,)

        def entry(moment_ns: int) -> Entry:
            priced = _in_force(for_tier, moment_ns)
            if priced is not None:
                return Entry(_bands(priced), note)
            found = listed.at(moment_ns) if listed else _NOTHING
            factor = _in_force(factors, moment_ns)
            return found if factor is None else _times(found, factor.factor)

        return Schedule(tuple(days), times, tuple(tuple(entry(day + moment) for moment in times) for day in days))


def _digest(config: PricesConfig) -> str:
    text = config.model_dump_json(exclude={"file"}, exclude_defaults=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _is_called(alias: AliasConfig, model: str) -> bool:
    name, model = alias.name.lower(), model.lower()
    # Of an ARN, the books may have kept no more than the resource's own id.
    return _like(model, name) or (name.startswith("arn:") and "/" in name and model == name.rpartition("/")[2])


def _belongs(alias: AliasConfig, whose: Whose) -> bool:
    return all(
        not wanted or wanted == found
        for wanted, found in zip((alias.tenant, alias.project, alias.service), whose, strict=True)
    )


def _fits(each: ModelPriceConfig | FactorConfig, providers: Iterable[str], models: Iterable[str]) -> bool:
    wanted = each.provider.strip().lower()
    known = {name for provider in providers for name in (provider.lower(), names.listed_provider(provider))}
    return (not wanted or wanted in known) and any(_like(model.lower(), each.model.lower()) for model in models)


def _like(name: str, pattern: str) -> bool:
    """Only `*` is special: a name may well have brackets in it."""
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]")) if "*" in pattern else name == pattern


def _of_tier(each: FactorConfig, tier: str) -> bool:
    return each.service_tier is None or names.service_tier(each.service_tier) == tier


def _changes(dated: Iterable[ModelPriceConfig | FactorConfig]) -> Iterator[int]:
    """Where one of them begins or has ended, in Unix nanoseconds."""
    for each in dated:
        if each.since is not None:
            yield _ns(each.since)
        if each.through is not None:
            yield _ns(each.through) + DAY_NS


_DatedT = TypeVar("_DatedT", ModelPriceConfig, FactorConfig)


def _in_force(dated: list[_DatedT], moment_ns: int) -> _DatedT | None:
    """Of those that apply, the one that began last; of equals the last one written."""
    best: _DatedT | None = None
    for each in dated:
        begins = _begins(each)
        ends = moment_ns + 1 if each.through is None else _ns(each.through) + DAY_NS
        if begins <= moment_ns < ends and (best is None or begins >= _begins(best)):
            best = each
    return best


def _begins(each: ModelPriceConfig | FactorConfig) -> int:
    return 0 if each.since is None else _ns(each.since)


def _ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000


def _bands(priced: ModelPriceConfig) -> tuple[tuple[int, Rates], ...]:
    name = "user/" + (f"{priced.provider}/" if priced.provider else "") + priced.model
    name += f"@{priced.since}" if priced.since else ""
    tier = f":{priced.service_tier}" if priced.service_tier else ""
    base = _nanos(priced)
    request = nanos(priced.request)
    bands = [
        (band.tokens, _rates(f"{name}#over-{band.tokens}{tier}", request, base | _nanos(band)))
        for band in sorted(priced.long_context, key=lambda band: -band.tokens)
    ]
    return (*bands, (-1, _rates(name + tier, request, base)))


def _rates(name: str, request: int, given: dict[str, int]) -> Rates:
    """What the user left out is not open, as in the price list: it costs what it is part of, or else nothing."""
    sent = given.get("input", 0)
    written = given.get("cache_write", sent)
    rest = {"input": sent, "output": 0, "cache_read": sent, "cache_write": written, "cache_write_1h": written}
    return Rates(id=name, request=request, **(rest | given))


def _nanos(prices: ClassPrices) -> dict[str, int]:
    return {name: nanos(price) for name, price in prices.given().items()}


def _times(entry: Entry, factor: Decimal) -> Entry:
    if factor == _ONE:
        return entry
    return msgspec.structs.replace(
        entry,
        bands=tuple((above, _scaled(rates, factor)) for above, rates in entry.bands),
        other=tuple((above, _scaled(rates, factor)) for above, rates in entry.other),
    )


def _scaled(rates: Rates, factor: Decimal) -> Rates:
    """Rates are nano-dollars a million tokens, so rounding them is a billionth of a dollar in a million tokens."""
    scaled = {
        name: int((value * factor).to_integral_value(ROUND_HALF_EVEN))
        for name, value in msgspec.structs.asdict(rates).items()
        if isinstance(value, int)
    }
    return msgspec.structs.replace(rates, id=f"{rates.id}*{factor.normalize():f}", **scaled)
