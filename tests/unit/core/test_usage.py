"""Usage sums tell what is known, and a reversal takes out exactly what its posting put in."""

from dataclasses import dataclass

import msgspec
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
    lambda t, c, e: a_call(tokens=t, cost=c, error_type=e), tokens, costs, st.sampled_from(["", "timeout"])
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
