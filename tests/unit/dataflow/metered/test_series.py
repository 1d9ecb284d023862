"""One time series: what was used between its points is a function of the set of points."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.dataflow.accounting.series import Amount, Series

START = 1_000


def totals(*points: tuple[int, int], watched_ns: int = 0, start_ns: int = START) -> list[Amount]:
    """Amounts of a cumulative series of (time, total)."""
    series = Series(False, start_ns)
    for time_ns, value in points:
        series.take(start_ns, time_ns, value)
    return series.amounts(watched_ns or min(time_ns for time_ns, _ in points))


def test_totals_become_what_was_used_between_them() -> None:
    """5 until 1,060, then 3 more until 1,120."""
    assert totals((1_060, 5), (1_120, 8)) == [Amount(1_000, 1_060, 5), Amount(1_060, 1_120, 3)]


def test_exports_while_idle_change_only_when_it_began_to_grow() -> None:
    """The total stood at 5 until 1,180, so the 3 were used after that."""
    assert totals((1_060, 5), (1_120, 5), (1_180, 5), (1_240, 8))[1:] == [Amount(1_180, 1_240, 3)]


def test_a_total_that_falls_adds_nothing() -> None:
    """Within one start a total cannot fall: what is used is the highest total that was told."""
    assert sum(amount.value for amount in totals((1_060, 5), (1_120, 8), (1_180, 7))) == 8


def test_a_series_that_appears_late_grew_since_the_export_before() -> None:
    """Its process exports since 5,000; a total that first shows at 5,060 grew after that, not since the start."""
    assert totals((5_060, 5), watched_ns=5_000) == [Amount(5_000, 5_060, 5)]
    assert totals((5_000, 5), watched_ns=5_000) == [Amount(START, 5_000, 5)]


@pytest.mark.parametrize(("time_ns", "changed"), [(1_120, False), (1_121, True)])
def test_deltas_are_intervals(time_ns: int, changed: bool) -> None:
    """A delta is known by its times and value; the same one again is a resend."""
    series = Series(True, 0)
    assert series.take(1_060, 1_120, 5) == 1_120
    assert (series.take(1_060, time_ns, 5) is not None) is changed
    assert len(series.amounts(0)) == 1 + changed


def test_what_was_closed_stands() -> None:
    """After closing up to 1,060 neither resends of then nor late points of then change anything."""
    series = Series(False, START)
    for time_ns, value in ((1_060, 5), (1_120, 8)):
        series.take(START, time_ns, value)
    series.close(1_060)
    assert series.take(START, 1_060, 5) is None
    assert series.take(START, 1_030, 2) is None
    assert series.amounts(0) == [Amount(1_060, 1_120, 3)]


increments = st.lists(st.integers(0, 9), min_size=1, max_size=12)


@given(steps=increments, seed=st.integers(0, 2**32))
def test_order_and_repeats_do_not_matter(steps: list[int], seed: int) -> None:
    """Points of a growing total, shuffled and twice, tell the same amounts, which add up to the total."""
    points = [(START + 60 * number, sum(steps[:number])) for number in range(1, len(steps) + 1)]
    mixed = random.Random(seed).sample(points * 2, len(points) * 2)
    assert totals(*mixed) == totals(*points)
    assert sum(amount.value for amount in totals(*points)) == sum(steps)


@given(steps=increments, seed=st.integers(0, 2**32))
def test_a_shuffled_delta_series_is_the_same(steps: list[int], seed: int) -> None:
    """The same of intervals."""
    points = [(START + 60 * number, START + 60 * number + 60, value) for number, value in enumerate(steps)]
    series = [Series(True, 0), Series(True, 0)]
    for each, order in zip(series, (points, random.Random(seed).sample(points * 2, len(points) * 2)), strict=True):
        for start_ns, time_ns, value in order:
            each.take(start_ns, time_ns, value)
    assert series[0] == series[1]
    assert sum(amount.value for amount in series[0].amounts(0)) == sum(steps)
