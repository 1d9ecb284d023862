import pytest

from tests.support.calls import SECOND, a_call
from tokensense_otel.core.call import Cost, Tokens
from tokensense_otel.core.tally import Tallies, Tally, What


def test_a_reversal_takes_out_what_its_posting_put_in() -> None:
    """Calls are counted by tenant, service and dialect, inferred ones apart, and reversed to zero."""
    plain, inferred = a_call(dialect="litellm"), a_call(dialect="litellm", notes=("told from the total",))
    calls = Tally("default", "cart", What.DIALECT, "litellm")
    doubtful = Tally("default", "cart", What.INFERRED, "litellm")
    tallies = Tallies()
    tallies.post(1, plain)
    tallies.post(1, inferred)
    assert tallies == {calls: 2, doubtful: 1}
    tallies.post(-1, inferred)
    assert tallies == {calls: 1, doubtful: 0}


def test_counts_add_up() -> None:
    """Two sets of counters make one."""
    one, two = (Tally("t", "", What.CORRECTION, name) for name in ("a", "b"))
    tallies = Tallies({one: 1})
    tallies.add({one: 2, two: 3})
    assert tallies == {one: 3, two: 3}


@pytest.mark.parametrize(
    ("error_type", "first_token_ns", "gaps"), [("", None, 1), ("429", None, 0), ("timeout", SECOND, 1)]
)
def test_calls_without_usage_are_counted_where_they_are_a_gap(
    error_type: str, first_token_ns: int | None, gaps: int
) -> None:
    """A success and a broken stream lack usage; a call that was refused before any answer does not."""
    silent = a_call(
        dialect="litellm", tokens=Tokens(), cost=Cost(), error_type=error_type, first_token_ns=first_token_ns
    )
    tallies = Tallies()
    tallies.post(1, silent)
    assert tallies.get(Tally("default", "cart", What.NO_USAGE, "litellm"), 0) == gaps
    tallies.post(-1, silent)
    assert not any(tallies.values())
