"""Usage sums tell what is known, and a reversal takes out exactly what its posting put in."""

from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.calls import NOON, a_call
from tokensense_otel.core.call import Call, Cost, CostKind, Dimensions, Posting, Tokens
from tokensense_otel.core.usage import Usage, usage_key, usage_rows

counts = st.none() | st.integers(0, 10_000)
tokens = st.builds(Tokens, input=counts, output=counts, cache_read=counts, cache_write=counts, reasoning=counts)
costs = st.builds(
    lambda kind, low, more: Cost(kind, low, low + more),
    st.sampled_from(CostKind),
    st.integers(0, 10**9),
    st.integers(0, 99),
)
calls = st.builds(
    lambda t, c, e, r: a_call(tokens=t, cost=c, error_type=e, reported_cost=r),
    tokens,
    costs,
    st.sampled_from(["", "timeout"]),
    st.none() | st.integers(1, 10**9),
)


def sums(*postings: Posting) -> Usage:
    usage = Usage()
    for posting in postings:
        usage.post(posting)
    return usage


@given(calls, calls)
def test_a_reversal_undoes_its_posting_to_the_last_field(kept: Call, taken_back: Call) -> None:
    """Sums after +a +b −b are the sums after +a."""
    assert sums(Posting(1, kept), Posting(1, taken_back), Posting(-1, taken_back)) == sums(Posting(1, kept))


@dataclass
class Row:
    """A row of one call."""

    call: Call

    @property
    def values(self) -> dict[str, object]:
        posting = Posting(1, self.call)
        return usage_rows([(usage_key(posting), sums(posting))])[0]


def test_a_class_of_tokens_that_nobody_reported_is_null_not_zero() -> None:
    """Unknown reasoning is null, reported zero is zero."""
    row = Row(a_call(tokens=Tokens(input=5, output=0))).values

    assert (row["output_tokens"], row["reasoning_tokens"], row["cache_read_tokens"]) == (0, None, None)


def test_a_call_without_a_price_has_no_cost() -> None:
    """Cost is null and the call is listed as unpriced."""
    row = Row(a_call(cost=Cost())).values

    assert (row["cost_usd"], row["unpriced_calls"], row["unknown_usage_calls"]) == (None, 1, 0)


def test_a_successful_call_without_usage_is_listed_as_unknown() -> None:
    """Usage that nobody reported is a gap in the books and is counted as one."""
    row = Row(a_call(tokens=Tokens(), cost=Cost())).values

    assert (row["cost_usd"], row["unpriced_calls"], row["unknown_usage_calls"]) == (None, 0, 1)


def test_a_call_refused_before_any_answer_is_an_error_and_no_gap() -> None:
    """A failed call without usage counts as an error; once tokens flowed, what they cost is unknown."""
    refused = a_call(tokens=Tokens(), cost=Cost(), error_type="429")
    broken_off = msgspec.structs.replace(refused, first_token_ns=5)

    assert (Row(refused).values["errors"], Row(refused).values["unknown_usage_calls"]) == (1, 0)
    assert (Row(broken_off).values["errors"], Row(broken_off).values["unknown_usage_calls"]) == (1, 1)


def test_rows_group_by_what_was_asked_and_name_what_is_missing() -> None:
    """A dimension that nothing named is a row of its own, `unattributed`."""
    some = [a_call(), a_call(dimensions=Dimensions()), a_call(end_ns=NOON + 7200 * 10**9)]
    cells = [(usage_key(Posting(1, call)), sums(Posting(1, call))) for call in some]

    assert [(row["team"], row["calls"]) for row in usage_rows(cells, ("team",))] == [
        ("unattributed", 1),
        ("checkout", 2),
    ]


@pytest.mark.parametrize(
    ("low", "high", "reported", "disputed"),
    [
        (10_000_000, 10_000_000, 10_200_000, False),
        (10_000_000, 10_000_000, 10_200_001, True),
        (10_000_000, 10_000_000, 9_800_000, False),
        (10_000_000, 10_000_000, 9_799_999, True),
        (10_000_000, 20_000_000, 20_400_000, False),
        (10_000_000, 20_000_000, 20_400_001, True),
        (10_000_000, 20_000_000, 15_000_000, False),
        (100, 100, 600, False),
        (100, 100, 601, True),
        (0, 0, 501, True),
    ],
)
def test_a_reported_cost_is_disputed_beyond_two_per_cent(low: int, high: int, reported: int, disputed: bool) -> None:
    """Outside our bounds by more than 2 % of the nearer one, and by more than half a micro-dollar."""
    call = a_call(cost=Cost(CostKind.ESTIMATED, low, high), reported_cost=reported)
    assert call.disputed is disputed


def test_nothing_is_disputed_without_both() -> None:
    """Neither a cost that nobody reported nor one that we do not know."""
    assert not a_call().disputed
    assert not a_call(cost=Cost(), reported_cost=10**9).disputed


def test_what_emitters_say_is_summed_beside_ours() -> None:
    """Two of three calls have a reported cost, of which one is a third off; null where no call has any."""
    calls = [a_call(), a_call(reported_cost=10_000_000), a_call(reported_cost=15_000_000)]
    usage = sums(*(Posting(1, call) for call in calls))
    (row,) = usage_rows([(usage_key(Posting(1, calls[0])), usage)])

    assert (row["reported_calls"], row["reported_cost_usd"], row["disputed_calls"]) == (2, "0.025", 1)
    assert row["cost_usd"] == "0.03"
    assert Row(a_call()).values["reported_cost_usd"] is None


def test_tokens_without_a_price_are_counted() -> None:
    """Input and output of unpriced calls, as far as they are known."""
    calls = [a_call(cost=Cost()), a_call(cost=Cost(), tokens=Tokens(7, None)), a_call()]
    assert sums(*(Posting(1, call) for call in calls)).unpriced_tokens == 1_050 + 7
