"""Rolling windows against brute force."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.dataflow.rules.evaluation.windows import Peaks, Rolling

SIZE = 10
COUNT = 6
WIDTH = SIZE * COUNT

# (time, value, sign or `None` to only let time pass there)
event = st.tuples(st.integers(0, 300), st.integers(0, 9), st.sampled_from([1, 1, 1, None]))


def test_events_inside_the_width_are_summed() -> None:
    """A window of sixty covers its newest bucket and the five before it."""
    window = Rolling(WIDTH, COUNT, 2)
    assert window.add(5, (1, 100))
    assert window.add(59, (1, 10))

    assert window.totals == [2, 110]
    assert window.bounds() == (0, 60)


def test_an_event_leaves_when_its_bucket_does() -> None:
    """The bucket of 0…9 is in the window while the newest one is 50…59, and out of it from 60 on."""
    window = Rolling(WIDTH, COUNT, 1)
    window.add(9, (1,))

    assert not window.advance(59)
    assert window.totals == [1]
    assert window.advance(60)
    assert window.totals == [0]
    assert window.empty


def test_a_late_event_lands_where_it_belongs() -> None:
    """An event that is late but inside the window counts, and leaves with its own bucket."""
    window = Rolling(WIDTH, COUNT, 1)
    window.add(55, (1,))
    assert window.add(1, (1,))

    assert window.totals == [2]
    window.advance(60)
    assert window.totals == [1]


def test_an_event_before_the_window_is_refused() -> None:
    """The last moment before the window is refused without a trace; the first moment in it is taken."""
    window = Rolling(WIDTH, COUNT, 1)
    window.add(75, (1,))  # newest bucket 70…79, oldest 20…29

    assert not window.add(19, (1,))
    assert window.totals == [1]
    assert window.add(20, (1,))


def test_a_reversal_leaves_nothing() -> None:
    """What was added and taken out again leaves no bucket behind."""
    window = Rolling(WIDTH, COUNT, 2)
    window.add(5, (1, 7))
    window.add(5, (1, 7), -1)

    assert window.totals == [0, 0]
    assert window.empty


def test_what_was_never_added_is_not_taken_out() -> None:
    """A reversal of more calls than its bucket holds is refused and changes nothing, so that no count is negative."""
    window = Rolling(WIDTH, COUNT, 2)
    window.add(5, (1, 7))

    assert not window.add(15, (1, 7), -1)
    assert not window.add(5, (2, 7), -1)
    assert window.totals == [1, 7]
    assert window.add(15, (0, 0), -1)


def test_time_does_not_run_backwards() -> None:
    """Advancing to an earlier moment changes nothing, nor does advancing a window in which nothing happened."""
    window = Rolling(WIDTH, COUNT, 1)
    assert not window.advance(1_000)
    assert window.head is None
    window.add(100, (1,))
    assert not window.advance(10)
    assert window.head == 10


def test_single_buckets_can_be_read() -> None:
    """`at` gives one bucket's sums and `first` the oldest bucket that counts anything."""
    window = Rolling(WIDTH, COUNT, 1)
    window.add(15, (3,))
    window.add(42, (4,))

    assert [window.at(bucket)[0] for bucket in range(5)] == [0, 3, 0, 0, 4]
    assert window.first() == 1


def test_a_width_is_a_whole_number_of_buckets() -> None:
    """A window that cannot be cut evenly is a programmer's mistake."""
    with pytest.raises(ValueError, match="whole number"):
        Rolling(100, 7, 1)
    with pytest.raises(ValueError, match="whole number"):
        Peaks(100, 7)


@given(st.lists(event, max_size=60), st.integers(0, 60))
def test_sums_equal_brute_force(events: list[tuple[int, int, int | None]], cut: int) -> None:
    """Whatever comes in whatever order, with reversals and a crash anywhere, the sums are those of a list of events."""
    window = Rolling(WIDTH, COUNT, 2)
    kept: list[tuple[int, int]] = []
    head = -1
    for number, (time, value, sign) in enumerate(events):
        if number == cut:
            state = window.snapshot()
            window = Rolling(WIDTH, COUNT, 2)
            window.restore(state)
        bucket = time // SIZE
        if sign is None:
            window.advance(time)
            head = max(head, bucket) if head >= 0 else head
        else:
            fits = head < 0 or bucket > head - COUNT
            assert window.add(time, (1, value)) == fits
            if fits:
                kept.append((time, value))
                head = max(head, bucket)
                if value == 0:
                    # Zeroes are drawn often; each is taken back at once.
                    assert window.add(time, (1, value), -1)
                    kept.pop()
        inside = [each for each in kept if head - COUNT < each[0] // SIZE <= head]
        assert window.totals == [len(inside), sum(each[1] for each in inside)]


@given(st.lists(event, max_size=60), st.integers(0, 60))
def test_peaks_equal_brute_force(events: list[tuple[int, int, int | None]], cut: int) -> None:
    """Count, first, last and highest are those of the observations inside the window, across a crash anywhere."""
    window = Peaks(WIDTH, COUNT)
    kept: dict[int, int] = {}
    head = -1
    for number, (time, value, sign) in enumerate(events):
        if number == cut:
            state = window.snapshot()
            window = Peaks(WIDTH, COUNT)
            window.restore(state)
        if sign is None:
            window.advance(time)
            head = max(head, time // SIZE) if head >= 0 else head
        elif time not in kept:
            fits = head < 0 or time // SIZE > head - COUNT
            assert window.add(time, value) == fits
            if fits:
                kept[time] = value
                head = max(head, time // SIZE)
        inside = {each: kept[each] for each in kept if head - COUNT < each // SIZE <= head}
        expected = (len(inside), min(inside), max(inside), max(inside.values())) if inside else (0, 0, 0, 0)
        assert window.summary() == expected


def test_the_last_observation_again_is_no_second_one() -> None:
    """A resent observation does not count twice; a higher value of the same moment is kept."""
    window = Peaks(WIDTH, COUNT)
    for value in (5, 5, 8):
        assert window.add(12, value)

    assert window.summary() == (1, 12, 12, 8)
