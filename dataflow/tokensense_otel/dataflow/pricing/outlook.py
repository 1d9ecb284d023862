"""Unit prices of a model around a moment: what they are, what they were before, what they will be."""

from typing import Final

import msgspec

from tokensense_otel.dataflow.pricing.rates import Rates, Schedule

CLASSES: Final = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")


class UnitPrices(msgspec.Struct, frozen=True, array_like=True):
    """Nano-dollars for a million tokens of each of `CLASSES`, `None` where the class has no price, then nano-dollars
    for a million requests. Reasoning without a price of its own costs what output does. `id` names the price entry."""

    id: str
    amounts: tuple[int | None, ...]


class Outlook(msgspec.Struct, frozen=True):
    """The prices of a short context at a moment. `up_to` is the most input tokens that they are for, `None` without
    such a limit.

    `before` were the last ones that differ, until `since_ns`; `after` will be the next ones, from `until_ns` on. Both
    are `None` where the list knows of none.
    """

    now: UnitPrices
    up_to: int | None = None
    before: UnitPrices | None = None
    since_ns: int = 0
    after: UnitPrices | None = None
    until_ns: int = 0


def outlook(schedule: Schedule, row: int) -> Outlook | None:
    """The outlook from a row of a schedule; `None` where it has no price, or another one by the hour."""
    now = _prices(schedule, row)
    if now is None or len(schedule.times) > 1:
        return None
    bands = schedule.entries[row][0].bands
    first = last = row
    while first > 0 and _same(_prices(schedule, first - 1), now):
        first -= 1
    while last + 1 < len(schedule.days) and _same(_prices(schedule, last + 1), now):
        last += 1
    after = _prices(schedule, last + 1) if last + 1 < len(schedule.days) else None
    return Outlook(
        now=now,
        up_to=bands[-2][0] if len(bands) > 1 else None,
        before=_prices(schedule, first - 1) if first > 0 else None,
        since_ns=schedule.days[first],
        after=after,
        until_ns=schedule.days[last + 1] if after is not None else 0,
    )


def _prices(schedule: Schedule, row: int) -> UnitPrices | None:
    bands = schedule.entries[row][0].bands
    return _by_class(bands[-1][1]) if bands else None


def _by_class(rates: Rates) -> UnitPrices:
    reasoning = rates.output if rates.reasoning is None else rates.reasoning
    classes = (rates.input, rates.cache_read, rates.cache_write, rates.cache_write_1h, rates.output, reasoning)
    return UnitPrices(rates.id, (*classes, rates.request * 1_000_000))


def _same(one: UnitPrices | None, two: UnitPrices) -> bool:
    return one is not None and one.amounts == two.amounts
