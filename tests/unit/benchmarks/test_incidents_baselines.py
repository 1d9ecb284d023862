"""The baselines do what their products do, at both sides of each threshold."""

import pytest

from benchmarks.incidents.baselines import MINUTE_NS, Spend, langfuse, langwatch, litellm
from benchmarks.incidents.labels import DAY_NS, HOUR_NS

USD = 1_000_000_000
NOON = 12 * HOUR_NS


def days(*dollars: float) -> list[tuple[int, int]]:
    """So much at noon of each day."""
    return [(day * DAY_NS + NOON, round(each * USD)) for day, each in enumerate(dollars)]


def hours(*dollars: float) -> list[tuple[int, int]]:
    """So much at the begin of each hour of day 2 and later."""
    return [(2 * DAY_NS + hour * HOUR_NS, round(each * USD)) for hour, each in enumerate(dollars)]


@pytest.mark.parametrize(("today", "told"), [(30.0, 0), (30.01, 1)])
def test_litellm_tells_more_than_three_times_the_mean_once_a_day(today: float, told: int) -> None:
    """Three times a mean of 10 USD is not told, a cent more is, at the next whole hour and not again that day."""
    alerts = litellm({"ads": Spend(days(*[10.0] * 7, today))}, 0, 8 * DAY_NS)
    later = [each for each in alerts if each.time_ns >= 7 * DAY_NS]
    assert [each.time_ns for each in later] == [7 * DAY_NS + NOON + HOUR_NS] * told


@pytest.mark.parametrize(("today", "told"), [(0.99, 0), (1.0, 1)])
def test_litellm_wants_a_least_amount(today: float, told: int) -> None:
    """A day below a dollar is never told, and without a past a dollar is enough."""
    assert len(litellm({"ads": Spend([(3 * DAY_NS, round(today * USD))])}, 0, 4 * DAY_NS)) == told


@pytest.mark.parametrize(("now", "told"), [(3.99, 0), (4.0, 1)])
def test_langwatch_tells_twice_the_mean_of_six_windows(now: float, told: int) -> None:
    """Twice a mean of 2 USD is told, five minutes into the hour, and not again within a window."""
    spend = Spend(hours(*[2.0] * 6, now))
    since = 2 * DAY_NS + 6 * HOUR_NS
    alerts = langwatch({"ads": spend}, DAY_NS, since + HOUR_NS, HOUR_NS)
    assert [each.time_ns for each in alerts if each.time_ns >= since] == [since + 5 * MINUTE_NS] * told


def test_langwatch_passes_over_small_baselines() -> None:
    """A thousand times 9.9 cents is not told."""
    spend = Spend(hours(*[0.099] * 6, 99.0))
    since = 2 * DAY_NS + 6 * HOUR_NS
    alerts = langwatch({"ads": spend}, DAY_NS, since + HOUR_NS // 2, HOUR_NS)
    assert [each for each in alerts if each.time_ns >= since] == []


def test_langfuse_tells_a_crossing_half_a_minute_late() -> None:
    """What crosses the threshold is told at the next minute and 30 seconds, once until it is below again."""
    spend = Spend([(3 * HOUR_NS, 5 * USD), (3 * HOUR_NS + MINUTE_NS, 5 * USD), (6 * HOUR_NS, 11 * USD)])
    alerts = langfuse(spend, 0, 9 * HOUR_NS, HOUR_NS, 9 * USD)
    late = MINUTE_NS + MINUTE_NS // 2
    assert [each.time_ns for each in alerts] == [3 * HOUR_NS + MINUTE_NS + late, 6 * HOUR_NS + late]
    assert langfuse(spend, 0, 9 * HOUR_NS, HOUR_NS, 11 * USD) == []


def test_spend_is_of_what_ended_within_its_bounds() -> None:
    """A call that ended at the begin counts, one that ended at the end does not."""
    spend = Spend([(10, 1), (20, 2), (30, 4)])
    assert (spend.between(10, 30), spend.between(11, 31), spend.between(0, 10)) == (3, 6, 0)
