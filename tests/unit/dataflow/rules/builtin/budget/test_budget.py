"""BUDGET: thresholds, periods by the calendar, the pace, and what belongs to a budget."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from tests.unit.dataflow.rules.traffic import (
    DAY,
    HOUR,
    MIDNIGHT,
    MINUTE,
    SECOND,
    Shard,
    a_call,
    calls,
    observed,
    only,
    statuses,
)
from tokensense_otel.core.call import Tokens
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.dataflow.rules.builtin.budget.budget import Budget
from tokensense_otel.dataflow.rules.builtin.budget.periods import bounds

CENT = Tokens(0, 1_000)
"""gpt-4o: 1,000 tokens out at 10 USD a million are one cent."""


def budget(**changes: Any) -> Shard:
    """A shard with one budget: a dollar a day for team checkout."""
    settings: dict[str, Any] = {"name": "web", "scope": {"team": "checkout"}, "amount_usd": 1, "period": "day"}
    return Shard(only("BUDGET", budgets=[settings | changes]))


def cents(count: int, *, start: int = MIDNIGHT, step: int = 10 * MINUTE, **changes: Any) -> list[Any]:
    return calls(count, start=start, step=step, tokens=CENT, **changes)


def thresholds(told: list[Insight]) -> list[str]:
    return [insight.scope["threshold"] for insight in told]


def test_each_threshold_is_told_once() -> None:
    """At 50, 80 and 100 cents of a dollar a finding of its own fires, and not a cent before."""
    shard = budget()
    spent = cents(100, start=MIDNIGHT + 10 * HOUR, step=SECOND)
    fired: list[Insight] = []
    for some, expected in ((49, []), (1, ["50%"]), (29, []), (1, ["80%"]), (19, []), (1, ["100%"])):
        told, spent = shard.post(spent[:some]), spent[some:]
        assert thresholds(told) == expected
        fired += told

    assert len({insight.episode_id for insight in fired}) == 3
    assert fired[2].scope == {"budget": "web", "threshold": "100%", "team": "checkout"}
    assert fired[2].severity == "high"


def test_a_jump_past_several_tells_the_highest() -> None:
    """One call from nothing to 90 percent is one finding, which names both thresholds that were crossed."""
    shard = budget()
    (insight,) = shard.post([a_call(1, MIDNIGHT + 12 * HOUR, tokens=Tokens(0, 90_000))])

    assert insight.scope["threshold"] == "80%"
    assert observed(insight)["crossed_percent"] == [50, 80]
    assert (observed(insight)["spent_usd"], observed(insight)["spent_percent"]) == ("0.9", 90.0)
    assert insight.estimated_monthly_savings_usd is None


def test_it_is_over_when_the_period_is() -> None:
    """At midnight in the budget's time zone its findings resolve, although nothing comes, and the next day begins at
    nothing."""
    shard = budget(timezone="Europe/Berlin", thresholds=[50])
    fired = shard.post(cents(50, start=MIDNIGHT + 12 * HOUR, step=SECOND))
    assert statuses(fired) == [Status.FIRING]

    # Berlin is an hour ahead of UTC in November.
    assert shard.advance(MIDNIGHT + 23 * HOUR - 1) == []
    (over,) = shard.advance(MIDNIGHT + 23 * HOUR)
    assert (over.status, over.resolved_at) == (Status.RESOLVED, "2026-11-02T23:00:00Z")
    assert shard.post(cents(49, start=MIDNIGHT + DAY, step=SECOND)) == []
    (again,) = shard.post(cents(1, start=MIDNIGHT + DAY + HOUR))
    assert again.episode_id != fired[0].episode_id


def test_a_late_call_counts_for_its_own_period() -> None:
    """Yesterday's call that comes today is none of today's spend."""
    shard = budget(thresholds=[50])
    shard.post(cents(49, start=MIDNIGHT + DAY + HOUR, step=SECOND))
    assert shard.post(cents(5, start=MIDNIGHT + 20 * HOUR), now_ns=MIDNIGHT + DAY + 2 * HOUR) == []

    assert statuses(shard.post(cents(1, start=MIDNIGHT + DAY + 3 * HOUR))) == [Status.FIRING]


def test_what_was_taken_back_is_not_spent() -> None:
    """A reversed call leaves the budget, and a finding that rested on it resolves."""
    shard = budget(thresholds=[50])
    spent = cents(50, start=MIDNIGHT + 12 * HOUR, step=SECOND)
    shard.post(spent)

    assert statuses(shard.reverse(spent[-1:])) == [Status.RESOLVED]
    assert statuses(shard.post(spent[-1:])) == [Status.FIRING]


@pytest.mark.parametrize(
    ("scope", "belongs"),
    [
        ({}, True),
        ({"team": "checkout"}, True),
        ({"team": ["search", "checkout"], "model": "gpt-4o"}, True),
        ({"team": "search"}, False),
        ({"team": "checkout", "feature": "titles"}, False),
        ({"project": "default"}, True),
        ({"project": "other"}, False),
        ({"provider": "openai", "environment": ""}, True),
    ],
)
def test_a_budget_is_for_its_scope(scope: dict[str, Any], belongs: bool) -> None:
    """Every name in the scope has to match the call; an empty scope is all of the tenant."""
    assert bool(budget(scope=scope, thresholds=[50]).post(cents(50, step=SECOND))) is belongs


def test_a_tenants_budget_is_for_all_its_projects() -> None:
    """Half from one project and half from another are the whole, unless the budget names one of them; another
    tenant's calls are another matter."""
    half = cents(25, step=SECOND)
    more = cents(25, start=MIDNIGHT + HOUR, step=SECOND, project="shop")

    assert len(budget(scope={}, thresholds=[50]).post(half + more)) == 1
    assert budget(scope={"project": "shop"}, thresholds=[50]).post(half + more) == []
    assert budget(scope={}, thresholds=[50]).post(half + cents(25, step=SECOND, tenant="acme")) == []


def test_unpriced_calls_are_counted_beside() -> None:
    """Calls without a price make no threshold true, and are told where one is."""
    shard = budget(thresholds=[50])
    assert shard.post(calls(200, start=MIDNIGHT, request_model="in-house", provider="self")) == []
    (insight,) = shard.post(cents(50, start=MIDNIGHT + HOUR, step=SECOND))

    assert (observed(insight)["unpriced_calls"], observed(insight)["unpriced_tokens"]) == (200, 210_000)
    assert "200 calls without a price" in insight.summary


def test_a_crash_changes_nothing() -> None:
    """What was spent before a snapshot counts after it, and what was told is not told again."""
    shard = budget()
    shard.post(cents(60, step=SECOND, start=MIDNIGHT + 12 * HOUR))
    shard.crash()

    assert "50%" not in thresholds(shard.post(cents(20, step=SECOND, start=MIDNIGHT + 13 * HOUR)))
    assert "80%" in thresholds(shard.told)


def test_a_pace_that_will_not_last_is_told_before_a_threshold() -> None:
    """A month's budget of 720 dollars is a dollar an hour; 14.4 in one hour and 1.2 in five minutes are too fast, and
    the date at which it runs out is told."""
    shard = budget(amount_usd=720, period="month", scope={})
    start = MIDNIGHT + 5 * DAY
    shard.post(cents(24, start=start - DAY, step=HOUR, first=9_000))  # a cent an hour: hardly anything
    told = shard.post(cents(1_440, start=start, step=2 * SECOND))

    assert thresholds(told) == ["pace"]
    # Each cent is two seconds: 14.39 dollars within 48 minutes, and the next one makes it 14.4.
    shown = observed(told[0])
    assert shown["last_hour_usd"] == "14.4"
    # 705.36 are left, which lasts 48:59 hours at 14.40 an hour; at the pace of the whole period it lasts longer.
    assert shown["runs_out"] == {"earliest": "2026-11-09T01:46:58Z", "latest": None}
    assert told[0].started_at == "2026-11-07T00:47:58Z"


def test_an_even_pace_is_not_told() -> None:
    """Spending that makes the budget last is no finding, and neither are working hours at four times the even pace."""
    shard = budget(amount_usd=720, period="month", scope={})
    for day in range(4):
        assert shard.post(cents(3_200, start=MIDNIGHT + day * DAY + 9 * HOUR, step=9 * SECOND)) == []


def test_the_pace_is_over_when_the_hour_is() -> None:
    """After the burst it stays open while the last hour, or the last six, are too fast, and resolves then."""
    shard = budget(amount_usd=720, period="month", scope={})
    shard.post(cents(1_500, start=MIDNIGHT + 5 * DAY, step=2 * SECOND))
    (over,) = shard.advance(MIDNIGHT + 5 * DAY + 7 * HOUR)

    assert over.status is Status.RESOLVED


@pytest.mark.parametrize(
    ("period", "zone", "moment", "start", "end"),
    [
        ("day", "UTC", "2026-11-24T12:00+00:00", "2026-11-24T00:00+00:00", "2026-11-25T00:00+00:00"),
        # Clocks go forward in Berlin on 29 March 2026, and back on 25 October: 23 and 25 hours.
        ("day", "Europe/Berlin", "2026-03-29T12:00+02:00", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),
        ("day", "Europe/Berlin", "2026-10-25T23:30+01:00", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("week", "America/New_York", "2026-11-01T12:00-05:00", "2026-10-26T00:00-04:00", "2026-11-02T00:00-05:00"),
        ("month", "Asia/Tokyo", "2026-12-31T23:59+09:00", "2026-12-01T00:00+09:00", "2027-01-01T00:00+09:00"),
        ("month", "UTC", "2028-02-29T23:59+00:00", "2028-02-01T00:00+00:00", "2028-03-01T00:00+00:00"),
        # In Beirut there is no midnight on 29 March 2026: clocks go from 00:00 to 01:00.
        ("day", "Asia/Beirut", "2026-03-29T01:00+03:00", "2026-03-28T22:00+00:00", "2026-03-30T00:00+03:00"),
    ],
)
def test_periods_follow_the_calendar(period: Any, zone: str, moment: str, start: str, end: str) -> None:
    """Days, weeks and months begin at midnight where the budget is, whatever the clocks do."""
    wanted = tuple(int(datetime.fromisoformat(each).timestamp()) * SECOND for each in (start, end))

    assert bounds(int(datetime.fromisoformat(moment).timestamp()) * SECOND, period, zone) == wanted


def test_every_moment_of_a_year_is_in_its_period() -> None:
    """Periods follow one another without a gap or an overlap, in zones whose clocks change at midnight too."""
    for zone in ("Europe/Berlin", "Asia/Beirut", "America/Havana", "Pacific/Auckland"):
        at = int(datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)).timestamp()) * SECOND
        for _ in range(365):
            start, end = bounds(at, "day", zone)
            assert start <= at < end
            assert bounds(end - 1, "day", zone) == (start, end)
            at = end


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"timezone": "Europe/Atlantis"}, "there is no time zone 'Europe/Atlantis'"),
        ({"period": "fortnight"}, "'day', 'week' or 'month'"),
        ({"thresholds": [0]}, "a threshold is a percentage"),
        ({"scope": {"squad": "x"}}, "squad"),
        ({"amount_usd": 0}, "greater than 0"),
    ],
)
def test_wrong_budgets_are_refused(wrong: dict[str, Any], said: str) -> None:
    """What cannot be meant is refused with what to write."""
    with pytest.raises(ValidationError, match=said):
        Budget.model_validate({"name": "web", "amount_usd": 1} | wrong)


def test_two_budgets_need_two_names() -> None:
    """Findings go by the budget's name, so it has to be its own."""
    with pytest.raises(ValidationError, match="two budgets are called 'web'"):
        only("BUDGET", budgets=[{"name": "web", "amount_usd": 1}, {"name": "web", "amount_usd": 2}])
