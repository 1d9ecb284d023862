"""Prices in the form that a call is priced with: integers for each date, hour, service tier and context length.

Made from genai-prices (https://github.com/pydantic/genai-prices), whose own calculation takes about 170 µs a call.
Its rules are kept: the last active dated price wins, a variant replaces single prices, and a context-length tier
reprices the whole call (a cliff), decided by all input tokens, cached ones included.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, time
from decimal import Decimal

import msgspec
from genai_prices.types import (
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from tokensense_otel.core.money import nanos

DAY_NS = 86_400_000_000_000

_FIELDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
    "audio_cache_read": "cache_audio_read_mtok",
    "image_input": "input_image_mtok",
    "image_cache_read": "cache_image_read_mtok",
}
_MEDIA = ("output_image_mtok", "output_video_mtok")


class Rates(msgspec.Struct, frozen=True):
    """Nano-dollars for a million tokens of each class, `None` where the class has no price of its own.

    `request` is nano-dollars for each call on top. `id` names the entry: provider/model, then what chose it.
    """

    id: str
    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    audio_cache_read: int | None = None
    image_input: int | None = None
    image_cache_read: int | None = None
    request: int = 0
    media_output: int | None = None
    """The dearest of images and video in the output, which emitters do not tell from text."""


class Entry(msgspec.Struct, frozen=True):
    """The prices of one model and service tier while they are valid.

    `bands` are (input tokens above which it applies, rates), highest first; the last one starts at −1. There is none
    where the model has no price on that day. `note` says why these prices are not certain; the true ones then lie
    between them and `other`.
    """

    bands: tuple[tuple[int, Rates], ...]
    note: str = ""
    other: tuple[tuple[int, Rates], ...] = ()


class Schedule(msgspec.Struct, frozen=True):
    """All entries of one model and service tier: a row for each date on which prices change, a column for each hour."""

    days: tuple[int, ...]
    times: tuple[int, ...]
    entries: tuple[tuple[Entry, ...], ...]

    def at(self, time_ns: int) -> Entry:
        """The entry valid at a Unix time in nanoseconds."""
        row = self.entries[bisect_right(self.days, time_ns) - 1 if len(self.days) > 1 and time_ns >= 0 else 0]
        return row[bisect_right(self.times, time_ns % DAY_NS) - 1 if len(self.times) > 1 else 0]

    def row(self, time_ns: int) -> int:
        """Which of `days` it belongs to."""
        return bisect_right(self.days, time_ns) - 1 if time_ns >= 0 else 0

    @property
    def latest(self) -> Rates | None:
        """The rates of the newest entry for a short context; `None` where there is no price on any day."""
        return next((row[0].bands[-1][1] for row in reversed(self.entries) if row[0].bands), None)


def band(bands: tuple[tuple[int, Rates], ...], input_tokens: int) -> Rates:
    """The rates for a call with so many input tokens, cached ones included."""
    for above, rates in bands:
        if input_tokens > above:
            return rates
    return bands[-1][1]


def compile_schedule(provider: str, model: ModelInfo, service_tier: str) -> Schedule:
    """Compile one model's prices. `service_tier` is empty for standard, else `batch`, `flex`, `priority`, `fast`, …"""
    variants = [variant for variant in model.price_variants or () if _asks_for(variant, service_tier)]
    constraints = [price.constraint for price in model.prices] if isinstance(model.prices, list) else []
    constraints += [variant.constraint for variant in variants]
    starts = {each.start_date for each in constraints if isinstance(each, StartDateConstraint)}
    hours = {time(0, tzinfo=UTC)}
    for each in constraints:
        if isinstance(each, TimeOfDateConstraint):
            hours |= {_utc(each.start_time), _utc(each.end_time)}
    days = [date(1970, 1, 1), *sorted(starts)]
    times = sorted(hours)
    return Schedule(
        days=tuple(_ns(datetime.combine(day, times[0])) for day in days),
        times=tuple((each.hour * 3600 + each.minute * 60 + each.second) * 1_000_000_000 for each in times),
        entries=tuple(
            tuple(_entry(provider, model, service_tier, variants, datetime.combine(day, each)) for each in times)
            for day in days
        ),
    )


def either(one: Schedule, two: Schedule, note: str) -> Schedule:
    """The prices of `one`, where nobody can tell that they are not those of `two`."""
    days = sorted({*one.days, *two.days})
    times = sorted({*one.times, *two.times})

    def entry(moment_ns: int) -> Entry:
        first, second = one.at(moment_ns), two.at(moment_ns)
        if not second.bands or first.note or _same_prices(first, second):
            return first
        return msgspec.structs.replace(first, note=note, other=second.bands)

    return Schedule(tuple(days), tuple(times), tuple(tuple(entry(day + at) for at in times) for day in days))


def noted(schedule: Schedule, note: str) -> Schedule:
    """The same prices, none of them certain any more."""
    return msgspec.structs.replace(
        schedule,
        entries=tuple(
            tuple(entry if entry.note else msgspec.structs.replace(entry, note=note) for entry in row)
            for row in schedule.entries
        ),
    )


def _same_prices(one: Entry, two: Entry) -> bool:
    return [(above, msgspec.structs.replace(rates, id="")) for above, rates in one.bands] == [
        (above, msgspec.structs.replace(rates, id="")) for above, rates in two.bands
    ]


def _entry(provider: str, model: ModelInfo, service_tier: str, variants: list[PriceVariant], when: datetime) -> Entry:
    name = f"{provider}/{model.id}"
    if when.date() > date(1970, 1, 1):
        name += f"@{when.date()}"
    if when.time() > time(0):
        name += f"T{when:%H:%M}"
    context = _context(service_tier)
    standard = _bands(name, model.get_prices(when, context))
    if not service_tier:
        return Entry(standard)
    tiered = [(above, msgspec.structs.replace(rates, id=f"{rates.id}:{service_tier}")) for above, rates in standard]
    if any(variant.constraint is None or variant.constraint.active(when) for variant in variants):
        return Entry(tuple(tiered))
    note = f"no {service_tier} price is listed for that date; standard price used"
    dates = [each.constraint.start_date for each in variants if isinstance(each.constraint, StartDateConstraint)]
    if not dates:
        return Entry(standard, note)
    later = model.get_prices(datetime.combine(min(dates), when.timetz()), context)
    return Entry(standard, note, _bands(name, later))


def _bands(name: str, prices: ModelPrice) -> tuple[tuple[int, Rates], ...]:
    found: dict[str, Decimal | TieredPrices] = {key: value for key, value in vars(prices).items() if value is not None}
    starts = {tier.start for value in found.values() if isinstance(value, TieredPrices) for tier in value.tiers}
    bands = []
    for above in [*sorted(starts, reverse=True), -1]:
        rates = {field: nanos(_price(found[key], above)) for field, key in _FIELDS.items() if key in found}
        request = nanos(_price(found["requests_kcount"], above) / 1000) if "requests_kcount" in found else 0
        media = [nanos(_price(found[key], above)) for key in _MEDIA if key in found]
        suffix = f"#over-{above}" if above >= 0 else ""
        bands.append((above, Rates(name + suffix, request=request, media_output=max(media, default=None), **rates)))
    return tuple(bands)


def _price(value: Decimal | TieredPrices, above: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    return next((tier.price for tier in reversed(value.tiers) if above >= tier.start), value.base)


def _asks_for(variant: PriceVariant, service_tier: str) -> bool:
    context = _context(service_tier)
    return bool(service_tier) and all(context.get(key) == value for key, value in variant.when.items())


def _context(service_tier: str) -> dict[str, str]:
    # The same question is asked under three names: OpenAI's and Google's tiers, everybody's batch, Anthropic's fast.
    return dict.fromkeys(("service_tier", "processing", "speed"), service_tier) if service_tier else {}


def _utc(value: time) -> time:
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return datetime.combine(date(2000, 1, 1), value).astimezone(UTC).timetz()


def _ns(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000_000
