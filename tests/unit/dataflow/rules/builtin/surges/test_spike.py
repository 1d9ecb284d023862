"""SPIKE on both sides of everything it compares."""

import pytest

from tests.unit.dataflow.rules.traffic import DAY, HOUR, MIDNIGHT, MINUTE, Shard, calls, observed, only, statuses
from tokensense_otel.core.insight import Severity, Status


def spike(**options: float) -> Shard:
    return Shard(only("SPIKE", **options))


def history(shard: Shard, *counts: int) -> int:
    """Calls of whole days; the number of the day after them."""
    for number, count in enumerate(counts):
        shard.post(calls(count, start=MIDNIGHT + number * DAY + 8 * HOUR, first=1 + 10_000 * number))
    return len(counts)


def today(shard: Shard, number: int, count: int) -> list[Status]:
    return statuses(shard.post(calls(count, start=MIDNIGHT + number * DAY + 8 * HOUR, first=10_000 * number + 1)))


@pytest.mark.parametrize(("count", "expected"), [(120, []), (121, [Status.FIRING])])
def test_today_has_to_be_above_three_times_the_mean(count: int, expected: list[Status]) -> None:
    """Against a mean of forty, 120 calls are not above three times it; 121 are."""
    shard = spike()
    number = history(shard, 30, 40, 50)

    assert today(shard, number, count) == expected


@pytest.mark.parametrize(("days", "expected"), [(2, []), (3, [Status.FIRING])])
def test_three_days_of_history_are_needed(days: int, expected: list[Status]) -> None:
    """With two days before today nothing is a spike; with three it may be."""
    shard = spike()
    number = history(shard, *[10] * days)

    assert today(shard, number, 150) == expected


@pytest.mark.parametrize(("count", "expected"), [(99, []), (100, [Status.FIRING])])
def test_a_hundred_calls_are_needed(count: int, expected: list[Status]) -> None:
    """Three times very little is no spike before there are a hundred calls."""
    shard = spike()
    number = history(shard, 1, 1, 1)

    assert today(shard, number, count) == expected


def test_a_day_without_calls_counts_as_zero() -> None:
    """Days after the first one lower the mean even when nothing happened on them."""
    shard = spike()
    history(shard, 120)  # and nothing on the next three days: a mean of 30 over four

    assert today(shard, 4, 90) == []
    (insight,) = shard.post(calls(20, start=MIDNIGHT + 4 * DAY + 9 * HOUR, first=90_000))[:1]
    assert observed(insight) == {
        "calls_today": 100,
        "daily_calls_before": [120, 0, 0, 0],
        "calls": 100,
        "usual_calls": 30,
    }


@pytest.mark.parametrize(("count", "expected"), [(300, []), (301, [Status.FIRING])])
def test_the_mean_is_over_seven_days(count: int, expected: list[Status]) -> None:
    """The eighth day back does not count any more."""
    shard = spike()
    number = history(shard, 9_000, *[100] * 7)

    assert today(shard, number, count) == expected


def test_it_is_over_after_midnight() -> None:
    """A new day begins at zero calls, and a quarter of an hour later the finding is resolved."""
    shard = spike()
    number = history(shard, 10, 10, 10)
    assert today(shard, number, 150) == [Status.FIRING]

    midnight = MIDNIGHT + (number + 1) * DAY
    assert shard.advance(midnight + 14 * MINUTE) == []
    (insight,) = shard.advance(midnight + 15 * MINUTE)
    assert (insight.status, insight.resolved_at) == (Status.RESOLVED, "2026-11-06T00:15:00Z")
    assert insight.severity is Severity.LOW


def test_a_late_call_counts_for_its_own_day() -> None:
    """Yesterday's calls that come today raise yesterday."""
    shard = spike()
    number = history(shard, 40, 40, 40)
    today(shard, number, 119)
    late = calls(3, start=MIDNIGHT + (number - 1) * DAY + 9 * HOUR, first=70_000)
    shard.post(late, now_ns=MIDNIGHT + number * DAY + 10 * HOUR)

    # The mean is 41 now, three times it 123.
    assert statuses(shard.post(calls(4, start=MIDNIGHT + number * DAY + 10 * HOUR, first=80_000))) == []
    assert statuses(shard.post(calls(1, start=MIDNIGHT + number * DAY + 11 * HOUR, first=90_000))) == [Status.FIRING]


def test_calls_that_were_taken_back_are_no_history() -> None:
    """A team whose only earlier calls were reversed has no history to compare with."""
    shard = spike()
    wrong = calls(1, start=MIDNIGHT)
    shard.post(wrong)
    shard.reverse(wrong)

    assert today(shard, 4, 500) == []


def test_failed_calls_are_calls() -> None:
    """A storm of failing retries is a spike all the same."""
    shard = spike()
    number = history(shard, 10, 10, 10)
    storm = calls(100, start=MIDNIGHT + number * DAY, first=50_000, error_type="429")

    assert statuses(shard.post(storm)) == [Status.FIRING]


def test_it_tells_no_saving() -> None:
    """A spike is no waste by itself: the spend is shown, a saving is not."""
    shard = spike()
    number = history(shard, 10, 10, 10)
    (insight,) = shard.post(calls(100, start=MIDNIGHT + number * DAY, first=50_000))

    assert insight.estimated_monthly_savings_usd is None
    assert insight.evidence["spend_30d_usd"] == "0.39"  # 130 × 0.003
    assert insight.evidence["window"] == {"from": "2026-11-05T00:00:00Z", "to": "2026-11-05T00:01:39Z"}
