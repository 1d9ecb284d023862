"""What spend is made of: parts by hour and day, and what is told to have moved."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dataflow.rules.traffic import CATALOGUE, HOUR, NOON
from tokensense_otel.dataflow.rules.builtin.surges.decomposition import Sums, Weights
from tokensense_otel.dataflow.rules.builtin.surges.movement import (
    KEPT_DAYS,
    KEPT_HOURS,
    MOST_PARTS,
    OTHER,
    Parts,
    moved,
    weights_of,
)

events = st.tuples(
    st.integers(0, 15 * 24),
    st.sampled_from("abc"),
    st.sampled_from("xy"),
    st.integers(1, 9),
    st.sampled_from([1, 1, -1]),
)


@given(st.lists(events, max_size=50))
def test_parts_equal_a_recount(some: list[tuple[int, str, str, int, int]]) -> None:
    """Whatever the order, every hour and day that is kept has exactly what came into it, before and after a restart."""
    parts, seen, newest = Parts(), list[tuple[int, tuple[str, str], int]](), 0
    for hour, who, model, value, sign in some:
        newest = max(newest, hour)
        if hour // 24 > newest // 24 - KEPT_DAYS:
            seen.append((hour, (who, model), sign * value))
        parts.add(hour * HOUR + 5, (who, model), Sums(1, value, 0, 0, value), sign)
    other = Parts()
    other.restore(parts.snapshot())

    for each in (parts, other):
        for day in range(max(0, newest // 24 - KEPT_DAYS + 1), newest // 24 + 1):
            spent = sum(value for hour, _, value in seen if hour // 24 == day)
            assert sum(sums.nanos for sums in each.days(day, day).values()) == spent
        kept = each.hours(newest - KEPT_HOURS + 1, newest)
        lately = [(part, value) for hour, part, value in seen if hour > newest - KEPT_HOURS]
        for part in {part for part, _ in lately}:
            assert kept[part].nanos == sum(value for at, value in lately if at == part)


def test_many_parts_are_put_together() -> None:
    """Beyond the cap further parts are one, and nothing is lost or invented; what is taken back leaves that one."""
    parts = Parts()
    for number in range(MOST_PARTS + 5):
        parts.add(NOON, (f"f{number}", "m"), Sums(1, 0, 0, 0, 10))
    day = parts.days(NOON // (24 * HOUR), NOON // (24 * HOUR))
    assert len(day) == MOST_PARTS + 1
    assert day[OTHER] == Sums(5, 0, 0, 0, 50)

    parts.add(NOON, (f"f{MOST_PARTS + 1}", "m"), Sums(1, 0, 0, 0, 10), -1)
    assert parts.days(NOON // (24 * HOUR), NOON // (24 * HOUR))[OTHER].nanos == 40


def test_weights_are_list_prices() -> None:
    """A cached token of gpt-4o costs half of a fresh one, an output token four times as much; what has no price has
    the weight of one."""
    found = weights_of(["openai/gpt-4o", "self/in-house"], CATALOGUE, NOON)

    assert found == {"openai/gpt-4o": Weights(Fraction(1, 2), Fraction(4))}


def test_what_moved_adds_up() -> None:
    """Causes, and the changes of all features, add up to the change; the largest come first, up or down."""
    before = {
        ("a", "openai/gpt-4o"): Sums(100, 1_000, 0, 100, 4_000),
        ("b", "openai/gpt-4o"): Sums(10, 100, 0, 10, 400),
    }
    now = {("a", "openai/gpt-4o"): Sums(10, 100, 0, 10, 400), ("c", "openai/gpt-4"): Sums(5, 50, 0, 5, 1_900)}
    told = moved(before, now, Fraction(1, 2), CATALOGUE, NOON, ("feature", "model"))

    # 400 + 1,900 now, half of 4,400 before.
    assert Decimal(told["change_usd"]) == Decimal("0.0000001")
    assert sum(Decimal(each) for each in told["change_by_cause_usd"].values()) == Decimal("0.0000001")
    assert told["top_features"] == [
        {"feature": "c", "change_usd": "0.0000019"},
        {"feature": "a", "change_usd": "-0.0000016"},
        {"feature": "b", "change_usd": "-0.0000002"},
    ]
