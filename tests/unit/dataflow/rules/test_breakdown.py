"""What a number is made of: bounded, reversible, and gone with its window."""

import random as random_

from hypothesis import given, settings
from hypothesis import strategies as st

from tokensense_otel.dataflow.rules.breakdown import BUCKETS, MOST, OTHER, Breakdown

WIDTH = BUCKETS * 10


def test_the_biggest_come_first_and_other_last() -> None:
    """Dollars decide, then calls, then the name; what has no price shows none."""
    parts = Breakdown(WIDTH)
    for name, values in (("a", (1, 1, 5)), ("b", (9, 0, 0)), ("c", (2, 2, 7)), (OTHER, (1, 1, 100)), ("d", (9, 0, 0))):
        parts.add(0, name, values, 1)
    assert parts.top(5) == [("c", 2, 7), ("a", 1, 5), ("b", 9, None), ("d", 9, None), (OTHER, 1, 100)]
    assert parts.top(1) == [("c", 2, 7)]


def test_names_are_bounded_and_nothing_is_lost() -> None:
    """Beyond the names that a bucket follows, the rest is one part, with all their calls."""
    parts = Breakdown(WIDTH)
    for number in range(100):
        parts.add(0, f"n{number:03}", (1, 1, 1), 1)
    told = parts.top(1_000)
    assert len(told) == MOST + 1
    assert told[-1] == (OTHER, 100 - MOST, 100 - MOST)


def test_the_window_moves_on() -> None:
    """What is as old as the window is gone, a bucket younger is not; what is older when it comes is left out."""
    parts = Breakdown(WIDTH)
    parts.add(0, "a", (1, 1, 1), 1)
    parts.add(10, "b", (1, 1, 1), 1)
    parts.advance(WIDTH)
    assert [name for name, _, _ in parts.top(9)] == ["b"]
    parts.add(9, "late", (1, 1, 1), 1)
    assert [name for name, _, _ in parts.top(9)] == ["b"]


postings = st.lists(st.tuples(st.integers(0, 300), st.sampled_from("abcdef"), st.integers(0, 9)), max_size=60)


@settings(max_examples=100, deadline=None)
@given(postings, st.randoms(use_true_random=False))
def test_what_is_taken_back_leaves_nothing(some: list[tuple[int, str, int]], random: random_.Random) -> None:
    """After every posting was taken back, in any order and across a restart, no part is left."""
    parts = Breakdown(10 * WIDTH)
    for time_ns, name, nanos in some:
        parts.add(time_ns, name, (1, 1, nanos), 1)
    again = Breakdown(10 * WIDTH)
    again.restore(parts.snapshot())
    assert again.top(9) == parts.top(9)
    random.shuffle(some)
    for time_ns, name, nanos in some:
        again.add(time_ns, name, (1, 1, nanos), -1)
    assert again.top(9) == []


def test_a_snapshot_of_another_width_is_left() -> None:
    """Where the window was configured anew the evidence begins again."""
    parts = Breakdown(WIDTH)
    parts.add(0, "a", (1, 1, 1), 1)
    other = Breakdown(2 * WIDTH)
    other.restore(parts.snapshot())
    assert other.top(9) == []
