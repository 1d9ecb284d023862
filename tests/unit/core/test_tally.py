from tests.support.calls import a_call
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
