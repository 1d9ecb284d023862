"""What is usual at an hour of the week, on series whose answer is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.dataflow.rules.builtin.surges.baseline import (
    HOUR_NS,
    MEMORY_HOURS,
    Baseline,
    Hours,
    Usual,
    is_weekend,
    median,
    percentile,
)

MONDAY = 20_759  # 2 November 2026, in days since 1970
DAY = 24


def week(day: int) -> list[int]:
    """An office: a hundred an hour from 9 to 17 on weekdays, four at weekends."""
    busy = 4 if is_weekend(day) else 100
    return [busy if 9 <= hour < 17 else 0 for hour in range(DAY)]


def days(count: int, *, until: int = MONDAY, growth: float = 1.0) -> list[int]:
    """The hours of so many days before `until`, each `growth` times the one before it."""
    return [round(value * growth ** (count - back)) for back in range(count, 0, -1) for value in week(until - back)]


def test_a_monday_is_expected_to_be_a_monday() -> None:
    """After a quiet weekend the hours of a Monday are those of other weekdays."""
    baseline = Baseline(MONDAY, days(14))

    assert baseline.usual(10, 1) == Usual(100, 100, 0)
    assert baseline.usual(14, 6) == Usual(600, 600, 0)
    assert baseline.whole_day() == Usual(800, 800, 0)


def test_a_saturday_is_expected_to_be_a_saturday() -> None:
    """At a weekend the hours of weekdays do not count."""
    assert Baseline(MONDAY + 5, days(35, until=MONDAY + 5)).whole_day().expected == 32


def test_an_hour_next_to_the_working_hours_may_be_as_high_as_they_are() -> None:
    """A day that begins an hour early is no surprise: `high` looks an hour to both sides."""
    assert Baseline(MONDAY, days(14)).usual(8, 1) == Usual(0, 100, 0)


def test_one_incident_does_not_become_usual() -> None:
    """The median of four Mondays does not mind one of them having been ten times as busy."""
    hours = days(35)
    for hour in range(DAY):
        hours[(35 - 14) * DAY + hour] *= 10

    assert Baseline(MONDAY, hours).usual(10, 1).expected == 100


def test_growth_is_followed() -> None:
    """A team that grows by five percent a day is expected to be where it got to, within the rounding."""
    grown = round(100 * 1.05**28)
    usual = Baseline(MONDAY, days(28, growth=1.05)).usual(10, 1)

    # Today would be the next step; the whole week before today is what it is lifted to.
    assert grown * 0.94 <= usual.expected <= grown * 1.06


def test_a_holiday_does_not_lower_what_is_expected() -> None:
    """After a week without anything, the medians are still those of the weeks before it."""
    hours = days(28) + [0] * 7 * DAY

    assert Baseline(MONDAY, hours).usual(10, 1).expected == 100


@pytest.mark.parametrize(("count", "seasonal"), [(13, False), (14, True)])
def test_a_season_takes_two_weeks(count: int, seasonal: bool) -> None:
    """With thirteen full days there is none yet."""
    assert Baseline(MONDAY, days(count)).seasonal is seasonal


def test_days_may_be_left_out() -> None:
    """With a gap of one day everything is as it would be without that day."""
    assert Baseline(MONDAY + 1, days(21), gap=1).usual(10, 1) == Usual(100, 100, 0)


def test_noise_is_the_spread() -> None:
    """Mondays of 80, 90, 110 and 120 are 10, 0, 20, 30 from the lower in the middle: 15, as a deviation 23."""
    hours = [0] * 35 * DAY
    for week_back, value in ((1, 80), (2, 90), (3, 110), (4, 120)):
        hours[(35 - 7 * week_back) * DAY + 10] = value
    hours[:DAY] = [200] * DAY  # five weeks back: it keeps the weeks before each of them at one level or above

    assert Baseline(MONDAY, hours).usual(10, 1) == Usual(90, 0, 23)  # on nine tenths of the days there is nothing then


added = st.tuples(st.integers(0, 60 * DAY), st.integers(0, 1_000), st.sampled_from([1, 1, -1]))


@given(st.lists(added, max_size=60))
def test_hours_equal_a_recount(events: list[tuple[int, int, int]]) -> None:
    """Whatever the order, each hour is the sum of what came into it, and what is older than the memory is refused."""
    hours, counted = Hours(), dict[int, int]()
    for hour, value, sign in events:
        taken = hours.add(hour * HOUR_NS + 17, value, sign)
        newest = max([hour, *counted])
        assert taken == (hour > newest - MEMORY_HOURS)
        counted = {at: each for at, each in counted.items() if at > newest - MEMORY_HOURS}
        if taken:
            counted[hour] = counted.get(hour, 0) + sign * value
    other = Hours()
    other.restore(hours.snapshot())

    for at in counted:
        assert hours.between(at, at) == other.between(at, at) == counted[at]
    assert hours.empty is not any(counted.values())


def test_middles() -> None:
    """The middle one; of two in the middle the mean, rounded up; of nothing zero."""
    assert (median([3, 1, 2]), median([1, 2]), median([])) == (2, 2, 0)
    assert (percentile(range(1, 11), 90), percentile([5], 90), percentile([], 90)) == (9, 5, 0)
