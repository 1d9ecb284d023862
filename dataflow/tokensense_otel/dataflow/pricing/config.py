"""The user's own prices, contract factors and names of models, laid over the price list."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, field_validator, model_validator

from tokensense_otel.core.config import Config

_USD: Final = Field(ge=0, le=1_000_000, max_digits=16, decimal_places=9)
Usd = Annotated[Decimal, _USD]
"""USD for a million tokens; nine decimals are as fine as sums are kept."""

CLASSES: Final = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "audio_cache_read",
    "image_input",
    "image_cache_read",
)
"""The classes of tokens that may have a price, by the names of `rates.Rates`."""


class ClassPrices(Config):
    """USD for a million tokens of each class. A class without a price of its own is charged as what it is part of."""

    input: Usd | None = None
    """USD for a million input tokens."""
    output: Usd | None = None
    """USD for a million output tokens."""
    cache_read: Usd | None = None
    """USD for a million tokens read from the cache."""
    cache_write: Usd | None = None
    """USD for a million tokens written to the cache for 5 minutes, or for as long as the provider keeps them."""
    cache_write_1h: Usd | None = None
    """USD for a million tokens written to the cache for an hour."""
    reasoning: Usd | None = None
    """USD for a million reasoning tokens, where they do not cost what output does."""
    audio_input: Usd | None = None
    """USD for a million audio tokens of the input."""
    audio_output: Usd | None = None
    """USD for a million audio tokens of the output."""
    audio_cache_read: Usd | None = None
    """USD for a million audio tokens read from the cache."""
    image_input: Usd | None = None
    """USD for a million image tokens of the input."""
    image_cache_read: Usd | None = None
    """USD for a million image tokens read from the cache."""

    def given(self) -> dict[str, Decimal]:
        """The prices that are there, by class."""
        return {name: price for name in CLASSES if (price := getattr(self, name)) is not None}


class LongContextConfig(ClassPrices):
    """Prices of a whole call whose input, cached tokens included, is above a limit."""

    tokens: int = Field(ge=1)
    """Input tokens above which every token of the call has these prices; what they leave out stays as it is."""


class _Dated(Config):
    since: date | None = None
    """The first day (UTC) on which it applies, as 2026-01-31; without it, from the beginning."""
    through: date | None = None
    """The last day (UTC) on which it applies; without it, without end."""

    @model_validator(mode="after")
    def _in_order(self) -> "_Dated":
        if self.since and self.through and self.through < self.since:
            raise ValueError(f"it ends ({self.through}) before it begins ({self.since}); swap since and through")
        return self


class ModelPriceConfig(ClassPrices, _Dated):
    """What a model costs you. It comes before the price list, on the days on which it applies."""

    model: str = Field(min_length=1)
    """The model's name as `tokensense usage` shows it; `*` stands for anything."""
    provider: str = ""
    """The provider's name as `tokensense usage` shows it, or as the price list does; empty is any."""
    service_tier: str = ""
    """`batch`, `flex`, `priority` …; empty is the standard tier."""
    request: Usd = Decimal(0)
    """USD for each call, on top of its tokens."""
    long_context: tuple[LongContextConfig, ...] = ()
    """Prices of long calls, for each limit."""

    @model_validator(mode="after")
    def _priced(self) -> "ModelPriceConfig":
        if self.input is None and self.output is None and not self.request:
            raise ValueError(f"model {self.model!r} has no price; write input and output in USD for a million tokens")
        limits = [band.tokens for band in self.long_context]
        if len(set(limits)) != len(limits):
            raise ValueError(f"model {self.model!r}: a limit of long_context is there twice; keep one of the two")
        return self


class FactorConfig(_Dated):
    """A contract's factor on listed prices. Of several that fit, the one that began last applies, of equals the last
    one written; they are never multiplied with each other."""

    factor: Annotated[Decimal, Field(gt=0, le=100, max_digits=12, decimal_places=9)]
    """What listed prices are multiplied by: 0.85 is a discount of 15 %."""
    model: str = "*"
    """The models that it is for; `*` stands for anything."""
    provider: str = ""
    """The provider that it is agreed with, named as in `models`; empty is any."""
    service_tier: str | None = None
    """The one service tier that it is for; an empty text is the standard tier, without the key it is for all."""


class AliasConfig(Config):
    """What a name in your telemetry stands for: a deployment, an inference profile, a fine-tune, a router's name."""

    name: str = Field(min_length=1)
    """The name as the telemetry has it, whole (an ARN) or as `tokensense usage` shows it; `*` stands for anything."""
    model: str = Field(min_length=1)
    """The model that it is, by its name in `models` or in the price list."""
    provider: str = ""
    """The provider whose price it has; empty is the provider of the call."""
    tenant: str = ""
    """Only in calls of this tenant; empty is any."""
    project: str = ""
    """Only in calls of this project; empty is any."""
    service: str = ""
    """Only in calls of this service (`service.name`); empty is any."""

    @property
    def scoped(self) -> bool:
        return bool(self.tenant or self.project or self.service)


class PricesConfig(Config):
    """Laid over the price list in this order: an alias names the model, `models` or the list price it, then factors."""

    file: str | None = None
    """A YAML file with more of the lists below, so that prices may be kept apart; its entries come first. A relative
    path starts at the folder of the configuration file."""
    models: tuple[ModelPriceConfig, ...] = ()
    """Prices of your own, before those of the price list."""
    factors: tuple[FactorConfig, ...] = ()
    """Factors on listed prices."""
    aliases: tuple[AliasConfig, ...] = ()
    """Names that the price list cannot know. The first that fits applies: those with a tenant, project or service
    before those without, and whole names before those with a `*`."""

    @property
    def empty(self) -> bool:
        return not (self.models or self.factors or self.aliases)

    @field_validator("models")
    @classmethod
    def _once(cls, models: tuple[ModelPriceConfig, ...]) -> tuple[ModelPriceConfig, ...]:
        _refuse_twice(
            "models", ((each.provider, each.model.lower(), each.service_tier, each.since) for each in models), "since"
        )
        return models

    @field_validator("aliases")
    @classmethod
    def _named_once(cls, aliases: tuple[AliasConfig, ...]) -> tuple[AliasConfig, ...]:
        _refuse_twice(
            "aliases", ((each.name.lower(), each.tenant, each.project, each.service) for each in aliases), "service"
        )
        return aliases


def _refuse_twice(what: str, keys: Iterable[tuple[object, ...]], difference: str) -> None:
    seen: dict[tuple[object, ...], int] = {}
    for number, key in enumerate(keys):
        if key in seen:
            raise ValueError(
                f"{what} {seen[key]} and {number} are about the same; keep one, or give them another {difference}"
            )
        seen[key] = number
