"""Rolling histograms against the values themselves."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.dataflow.rules.evaluation.histogram import Histogram, RollingHistogram, bucket_of, middle

ERROR = 0.0434
"""(2^(1/8) − 1) / (2^(1/8) + 1)."""
SIZE, COUNT = 10, 6

values = st.integers(0, 10**13)


@given(st.integers(2, 10**13))
def test_the_middle_of_a_bucket_is_near_all_of_it(value: int) -> None:
    """What stands for a value is at most 4.34 % off it, and half a unit for rounding."""
    assert abs(middle(bucket_of(value)) - value) <= ERROR * value + 0.5


@given(st.integers(1, 10**13))
def test_buckets_are_those_of_the_specification(value: int) -> None:
    """Bucket i + 1 covers (2^(i/8), 2^((i+1)/8)], so exact powers of two end a bucket."""
    bucket = bucket_of(value)
    upper, lower = 2 ** (bucket / 8), 2 ** ((bucket - 1) / 8)
    assert value <= upper * (1 + 1e-12)
    assert value > lower * (1 - 1e-12)
    octave = value.bit_length()
    assert bucket_of(1 << octave) == 8 * octave


def test_zero_has_a_bucket_of_its_own() -> None:
    """No duration is a negative number, and zero is told from one."""
    assert [middle(bucket_of(value)) for value in (0, 1, 2)] == [0, 1, 2]


@given(st.lists(values, min_size=1, max_size=200), st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_quantile_is_near_the_true_one(some: list[int], share: float) -> None:
    """The nearest-rank quantile of the values, within the error."""
    histogram = Histogram()
    for value in some:
        histogram.add(value)
    true = sorted(some)[max(1, math.ceil(round(share * len(some), 6))) - 1]
    found = histogram.quantile(share)
    assert found is not None
    assert abs(found - true) <= ERROR * true + 0.5


@given(st.lists(values, max_size=50), st.lists(values, max_size=50))
def test_histograms_add_up_and_come_apart(kept: list[int], more: list[int]) -> None:
    """Merged and taken back, single or whole, what stays is what was kept."""
    whole, first, second = Histogram(), Histogram(), Histogram()
    for value in kept:
        first.add(value)
    for value in more:
        second.add(value)
    whole.merge(first)
    whole.merge(second)
    assert whole.count == len(kept) + len(more)
    for value in more:
        whole.add(value, -1)
    assert (whole.counts, whole.count) == (first.counts, first.count)
    first.merge(Histogram(first.counts.items()), -1)
    assert (first.counts, first.quantile(0.5)) == ({}, None)


event = st.tuples(st.integers(0, 300), st.integers(0, 99), st.sampled_from([1, 1, 1, -1, None]))


@given(st.lists(event, max_size=60), st.integers(0, 60))
def test_a_rolling_one_equals_brute_force(events: list[tuple[int, int, int | None]], cut: int) -> None:
    """In any order, with reversals and a crash anywhere, it is the histogram of the values inside the window."""
    window = RollingHistogram(SIZE * COUNT, SIZE)
    kept: list[tuple[int, int]] = []
    head: int | None = None
    for number, (time, value, sign) in enumerate(events):
        if number == cut:
            state = window.snapshot()
            window = RollingHistogram(SIZE * COUNT, SIZE)
            window.restore(state)
        bucket = time // SIZE
        if sign is None:
            window.advance(time)
            head = max(head, bucket) if head is not None else None
        elif sign > 0 or (time, value) in kept:
            fits = head is None or bucket > head - COUNT
            assert window.add(time, value, sign) == fits
            if fits:
                head = bucket if head is None else max(head, bucket)
                kept.append((time, value)) if sign > 0 else kept.remove((time, value))
        expected = Histogram()
        for at, what in kept:
            if head is not None and head - COUNT < at // SIZE:
                expected.add(what)
        assert window.total.counts == expected.counts
        assert window.total.count == expected.count
        assert window.empty == (not expected.counts)


def test_one_bucket_of_time_can_be_read() -> None:
    """`at` is what came in that bucket, and nothing where nothing came."""
    window = RollingHistogram(SIZE * COUNT, SIZE)
    window.add(15, 8)

    assert window.at(1).quantile(1) == pytest.approx(8, rel=ERROR)
    assert window.at(2).count == 0
