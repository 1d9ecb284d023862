"""The decomposition of a change of spend: each cause alone, and the sum of all for any two periods."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.dataflow.rules.builtin.surges.decomposition import CAUSES, Sums, Weights, decompose

FIVE = {"a": Weights(Fraction(1, 10), Fraction(5)), "b": Weights(Fraction(1, 2), Fraction(4))}

# 100 calls of 1,000 tokens in (200 of them cached) and 100 out; at 10 a unit: 800 + 200/10 + 100 × 5 = 1,320 units.
PLAIN = Sums(100, 100_000, 20_000, 10_000, 1_320_000)


def only(cause: str, nanos: int) -> dict[str, int]:
    return {each: nanos if each == cause else 0 for each in CAUSES}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (Sums(300, 300_000, 60_000, 30_000, 3_960_000), only("volume", 2_640_000)),
        (Sums(100, 200_000, 40_000, 20_000, 2_640_000), only("tokens", 1_320_000)),
        # Nothing is cached any more: 1,000 + 500 = 1,500 units.
        (Sums(100, 100_000, 0, 10_000, 1_500_000), only("cache", 180_000)),
        (Sums(100, 100_000, 20_000, 10_000, 1_980_000), only("price", 660_000)),
        (PLAIN, only("volume", 0)),
    ],
)
def test_what_only_one_cause_changed_is_all_its_own(now: Sums, expected: dict[str, int]) -> None:
    """Where one factor moved, its part is the whole change and the others are zero."""
    assert decompose({"a": PLAIN}, {"a": now}, FIVE) == expected


def test_another_model_is_mix() -> None:
    """The same calls on a model at twice the price are a change of mix: neither its tokens nor its price moved."""
    assert decompose({"a": PLAIN}, {"b": PLAIN._replace(nanos=2_640_000)}, FIVE) == only("mix", 1_320_000)


def test_two_causes_share_what_they_bring_together() -> None:
    """Twice the calls at twice the price: 100 + 100 alone, and each half of the 100 that only both together bring."""
    before, now = {"a": Sums(1, 10, 0, 0, 100)}, {"a": Sums(2, 20, 0, 0, 400)}

    assert decompose(before, now, {}) == {"volume": 150, "mix": 0, "tokens": 0, "cache": 0, "price": 150}


def test_where_nothing_was_everything_is_volume() -> None:
    """Against no calls at all there is nothing to compare tokens or prices with."""
    assert decompose({}, {"a": PLAIN}, FIVE) == only("volume", 1_320_000)
    assert decompose({"a": PLAIN}, {}, FIVE) == only("volume", -1_320_000)


def test_a_period_of_another_length_is_scaled() -> None:
    """A quarter of four times as much is the same."""
    before = {"a": Sums(*(4 * each for each in PLAIN))}

    assert decompose(before, {"a": PLAIN}, FIVE, Fraction(1, 4)) == only("volume", 0)


def some(calls: int, tokens: int, cached: int, output: int, nanos: int) -> Sums:
    return Sums(calls, tokens, min(cached, tokens), output, nanos)


tokens = st.integers(0, 10**9)
sums = st.builds(some, st.integers(1, 10**6), tokens, tokens, tokens, st.integers(0, 10**15))
period = st.dictionaries(st.sampled_from("abcdef"), sums, max_size=5)


@given(period, period, st.fractions(0, 100, max_denominator=1_000))
def test_the_parts_add_up_to_the_change(before: dict[str, Sums], now: dict[str, Sums], scale: Fraction) -> None:
    """For any two periods the parts are whole nano-dollars whose sum is exactly what the spend changed by."""
    parts = decompose(before, now, FIVE, scale)

    spent = sum(each.nanos for each in now.values()) - round(scale * sum(each.nanos for each in before.values()))
    assert tuple(parts) == CAUSES
    assert sum(parts.values()) == spent


@given(period, period)
def test_the_way_back_is_the_opposite(before: dict[str, Sums], now: dict[str, Sums]) -> None:
    """Going back changes the sign of every part, but for the rounding of one nano-dollar."""
    there, back = decompose(before, now, FIVE), decompose(now, before, FIVE)

    assert all(abs(there[cause] + back[cause]) <= 1 for cause in CAUSES)
