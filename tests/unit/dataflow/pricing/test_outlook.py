"""Unit prices around a moment: what they were before and will be next."""

import msgspec

from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.dataflow.pricing import Catalogue, PricesConfig
from tokensense_otel.dataflow.pricing.outlook import outlook
from tokensense_otel.dataflow.pricing.rates import DAY_NS, Entry, Rates, Schedule


def priced(*inputs: int | None) -> Schedule:
    """A schedule whose input price changes each day."""
    entries = tuple(
        (Entry(()) if amount is None else Entry(((-1, Rates(f"p/m@{day}", amount, 2)),)),)
        for day, amount in enumerate(inputs)
    )
    return Schedule(tuple(day * DAY_NS for day in range(len(inputs))), (0,), entries)


def test_it_sees_one_change_back_and_one_ahead() -> None:
    """In the middle of three prices the first one is before and the third one after, each with its moment."""
    seen = outlook(priced(1, 3, 5), 1)
    assert seen is not None
    assert (seen.before, seen.since_ns) == (msgspec.structs.replace(seen.now, id="p/m@0", amounts=amounts(1)), DAY_NS)
    assert (seen.after, seen.until_ns) == (
        msgspec.structs.replace(seen.now, id="p/m@2", amounts=amounts(5)),
        2 * DAY_NS,
    )


def amounts(sent: int) -> tuple[int | None, ...]:
    return sent, None, None, None, 2, 2, 0


def test_dates_on_which_nothing_changed_are_passed_over() -> None:
    """A new entry with the same prices is no change: the days of equal prices are one."""
    seen = outlook(priced(1, 3, 3, 3, 5), 2)
    assert seen is not None
    assert (seen.since_ns, seen.until_ns) == (DAY_NS, 4 * DAY_NS)


def test_at_the_ends_there_is_nothing_more() -> None:
    """A price that always was has none before it, one that stays has none after it; days without a price have none."""
    seen = outlook(priced(1), 0)
    assert seen is not None
    assert (seen.before, seen.after, seen.since_ns, seen.until_ns, seen.up_to) == (None, None, 0, 0, None)
    assert outlook(priced(None, 1), 0) is None
    later = outlook(priced(None, 1), 1)
    assert later is not None
    assert later.before is None


def test_prices_by_the_hour_have_no_outlook() -> None:
    """Where the price depends on the hour, there is not one price to compare."""
    daily = priced(1)
    assert (
        outlook(msgspec.structs.replace(daily, times=(0, 1), entries=((*daily.entries[0], *daily.entries[0]),)), 0)
        is None
    )


def test_a_long_context_has_prices_of_its_own() -> None:
    """The outlook is for the short context, and says up to how many tokens."""
    one = Schedule((0,), (0,), ((Entry(((200, Rates("long", 9)), (-1, Rates("short", 1)))),),))
    seen = outlook(one, 0)
    assert seen is not None
    assert (seen.now.id, seen.up_to) == ("short", 200)


def test_the_catalogue_answers_for_a_call() -> None:
    """The user's own dated prices are part of the outlook; a model without a price has none."""
    own = {"model": "house", "provider": "us", "input": 1, "output": 2}
    prices = PricesConfig.model_validate(
        {"models": [{**own, "through": "1970-01-10"}, {**own, "input": 3, "since": "1970-01-11"}]}
    )
    catalogue = Catalogue.load(prices)
    call = Call(
        trace_id=b"", span_id=b"", start_ns=0, end_ns=0, provider="us", request_model="house", tokens=Tokens(1, 1)
    )
    seen = catalogue.outlook(call)
    assert seen is not None
    assert seen.after is not None
    assert (seen.now.amounts[0], seen.after.amounts[0], seen.until_ns) == (10**9, 3 * 10**9, 10 * DAY_NS)
    assert catalogue.outlook(msgspec.structs.replace(call, request_model="nobody's")) is None
