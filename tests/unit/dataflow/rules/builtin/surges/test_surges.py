"""SPIKE and COST_SPIKE against the season: what is usual at an hour of the week, and what moved."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataflow.rules.traffic import DAY, HOUR, MIDNIGHT, MINUTE, Shard, a_call, observed, only, statuses
from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.core.insight import Insight, Status

OFFICE = (9, 10, 11, 12, 13, 14, 15, 16)
WEEKS = 3
TODAY = WEEKS * 7
"""A Monday."""


def hour(day: int, at: int, count: int, **changes: Any) -> list[Call]:
    """So many calls spread evenly over one hour. Each of gpt-4o costs 0.003 dollars."""
    start = MIDNIGHT + day * DAY + at * HOUR
    return [
        a_call((day * 24 + at) * 10_000 + number + 1, start + number * HOUR // count, **changes)
        for number in range(count)
    ]


def office(days: range, *, count: int = 20, growth: float = 1.0, **changes: Any) -> list[Call]:
    """Working days of twenty calls an hour, and weekends of one."""
    made: list[Call] = []
    for day in days:
        busy = count if day % 7 < 5 else 1
        for at in OFFICE:
            made += hour(day, at, max(1, round(busy * growth**day)), **changes)
    return made


def spike(**options: Any) -> Shard:
    return Shard(only("SPIKE", **options))


def cost_spike(**options: Any) -> Shard:
    return Shard(only("COST_SPIKE", **{"min_usd": 0.1} | options))


def test_a_monday_after_a_weekend_is_no_spike() -> None:
    """A Monday with twenty times the calls of Sunday is a Monday; three weeks of them tell nothing."""
    assert spike(min_calls=1).post(office(range(TODAY + 5))) == []


def test_the_first_days_tell_nothing() -> None:
    """A team that begins on any day of the week is not told in its first two weeks, weekends and Mondays included."""
    for first in range(7):
        assert spike(min_calls=1).post(office(range(first, first + 14))) == []


def test_steady_growth_is_no_spike() -> None:
    """A team that grows by five percent a day, five times as much within five weeks, is never told."""
    assert spike(min_calls=1).post(office(range(35), growth=1.05)) == []


def test_the_end_of_a_holiday_is_no_spike() -> None:
    """After a week without anybody the usual Monday is told by nobody."""
    shard = spike(min_calls=1)

    assert shard.post(office(range(TODAY))) == []
    assert shard.post(office(range(TODAY + 7, TODAY + 12))) == []


def test_a_busy_day_is_no_spike() -> None:
    """Two and a half times as much in every hour of a day is within what is allowed."""
    shard = spike(min_calls=1)
    shard.post(office(range(TODAY)))

    assert shard.post(office(range(TODAY, TODAY + 1), count=50)) == []


@pytest.mark.parametrize(("count", "expected"), [(100, []), (101, [Status.FIRING])])
def test_an_hour_has_to_be_above_five_times_the_usual(count: int, expected: list[Status]) -> None:
    """Where twenty calls are usual at ten, a hundred are not above five times it; with one more it fires at once."""
    shard = spike(min_calls=1, six_hour_multiplier=100)
    shard.post(office(range(TODAY)))
    shard.post(hour(TODAY, 9, 20))
    told = shard.post(hour(TODAY, 10, count))

    assert statuses(told) == expected
    if told:
        assert (observed(told[0])["calls"], observed(told[0])["usual_calls"]) == (101, 20)
        assert told[0].evidence["window"]["from"] == "2026-11-23T10:00:00Z"
        assert told[0].summary == "101 calls within an hour, where 20 are usual at this time of the week."


def test_six_hours_have_to_be_above_two_and_a_half_times_the_usual() -> None:
    """Four times as much in every hour: 80 at nine are too few calls, and at ten the 101st is above two and a half
    times the 40 of the six hours that end there."""
    shard = spike()
    shard.post(office(range(TODAY)))
    told = [shard.post(hour(TODAY, at, 80)) for at in OFFICE]

    assert [bool(each) for each in told] == [False, True] + 6 * [False]
    (insight,) = told[1]
    assert (observed(insight)["calls"], observed(insight)["usual_calls"]) == (101, 40)
    assert insight.evidence["window"]["from"] == "2026-11-23T05:00:00Z"


def test_a_saturday_is_measured_by_saturdays() -> None:
    """What a weekday has in an hour is a spike on a Saturday, although it is far below the mean of the week."""
    shard = spike(min_calls=50)
    shard.post(office(range(TODAY + 5)))

    assert statuses(shard.post(hour(TODAY + 5, 11, 60))) == [Status.FIRING]


def test_a_few_calls_more_are_not_worth_telling() -> None:
    """At night nothing is usual: a quarter of a usual day's 160 calls is nothing to tell, and one more is."""
    shard = spike(min_calls=1)
    shard.post(office(range(TODAY)))

    assert shard.post(hour(TODAY, 3, 40)) == []
    assert statuses(shard.post(hour(TODAY, 4, 1))) == [Status.FIRING]


def test_a_job_that_starts_late_is_no_spike() -> None:
    """A nightly job that comes at two or at three is known at both hours and at the ones beside them."""
    shard = spike(min_calls=1)
    for day in range(TODAY):
        shard.post(hour(day, 2 + day % 2, 300))

    assert shard.post(hour(TODAY, 4, 300)) == []


def test_an_incident_does_not_hide_the_next() -> None:
    """A Monday that was ten times as busy two weeks ago changes nothing in what is told today."""
    shard = spike()
    shard.post(office(range(TODAY - 14)))
    assert shard.post(office(range(TODAY - 14, TODAY - 13), count=200)) != []
    shard.post(office(range(TODAY - 13, TODAY)))
    shard.advance(MIDNIGHT + TODAY * DAY)

    assert statuses(shard.post(hour(TODAY, 10, 150)))[:1] == [Status.FIRING]


def test_it_stays_open_into_the_next_hour_and_resolves_after_it() -> None:
    """The hour before counts too, so a surge that goes on is one finding, and one that ended is soon over."""
    shard = spike()
    shard.post(office(range(TODAY)))
    told = shard.post(hour(TODAY, 9, 20) + hour(TODAY, 10, 150) + hour(TODAY, 11, 150))
    assert statuses(told) == [Status.FIRING, Status.UPDATE]

    over = shard.advance(MIDNIGHT + TODAY * DAY + 18 * HOUR)
    assert statuses(over) == [Status.RESOLVED]


def test_the_same_calls_at_another_price_are_a_cost_spike() -> None:
    """Ten times the tokens per call: no more calls than ever, ten times the dollars, and all of it is tokens."""
    shard = cost_spike()
    shard.post(office(range(TODAY), feature="titles", service="web"))
    insight, *_ = shard.post(hour(TODAY, 9, 20, feature="titles", service="web", tokens=Tokens(10_000, 500)))

    assert insight.scope == {"team": "checkout", "feature": "titles"}
    # Until nine twenty calls of 0.003, 0.06, are usual in six hours; the seventh of 0.03 is above three times that.
    assert (observed(insight)["spend_usd"], observed(insight)["usual_spend_usd"]) == ("0.21", "0.06")
    # 13 calls fewer at the mean of both prices, 0.0165; 0.027 more for each at the mean of both numbers, 13.5.
    assert parts(insight) == {"volume": "-0.2145", "mix": "0", "tokens": "0.3645", "cache": "0", "price": "0"}
    assert insight.evidence["what_moved"]["top_services"] == [{"service": "web", "change_usd": "0.15"}]
    assert insight.evidence["what_moved"]["top_models"] == [{"model": "openai/gpt-4o", "change_usd": "0.15"}]
    assert insight.summary.endswith("Most of it: more tokens per call.")
    assert insight.estimated_monthly_savings_usd is None


def parts(insight: Insight) -> dict[str, str]:
    causes: dict[str, str] = insight.evidence["what_moved"]["change_by_cause_usd"]
    return causes


def test_another_model_is_mix() -> None:
    """The same calls on a model that is eleven times as dear: what moved is the mix of models, and both are named."""
    shard = cost_spike()
    shard.post(office(range(TODAY)))
    insight, *_ = shard.post(hour(TODAY, 9, 20, request_model="gpt-4"))

    causes = {cause: Decimal(value) for cause, value in parts(insight).items()}
    assert max(causes, key=lambda cause: causes[cause]) == "mix"
    assert sum(causes.values()) == Decimal(insight.evidence["what_moved"]["change_usd"])
    models = [each["model"] for each in insight.evidence["what_moved"]["top_models"]]
    assert models == ["openai/gpt-4", "openai/gpt-4o"]


def test_a_lost_prompt_cache_is_told_as_such() -> None:
    """Where nine tenths of long prompts were read from the cache and nothing is any more, the cause is the cache."""
    shard = cost_spike(hour_multiplier=1.5, six_hour_multiplier=1.5)
    cached = Tokens(50_000, 1, cache_read=49_000)
    shard.post(office(range(TODAY), tokens=cached))
    (insight, *_) = shard.post(office(range(TODAY, TODAY + 1), tokens=Tokens(50_000, 1)))

    causes = {cause: Decimal(value) for cause, value in parts(insight).items()}
    assert max(causes, key=lambda cause: causes[cause]) == "cache"


@pytest.mark.parametrize(("least", "told"), [(0.33, True), (0.34, True), (0.61, False)])
def test_a_minimum_of_dollars_is_needed(least: float, told: bool) -> None:
    """Twenty calls of 0.03 are 0.60: below the minimum nothing is told, however many times as much it is."""
    shard = cost_spike(min_usd=least)
    shard.post(office(range(TODAY)))

    assert bool(shard.post(hour(TODAY, 9, 20, tokens=Tokens(10_000, 500)))) is told


def test_an_open_finding_does_not_flap_around_the_minimum() -> None:
    """Where six hours are just above the minimum of dollars, and the next six just below it, it is one finding."""
    shard = cost_spike(min_usd=0.6)
    shard.post(office(range(TODAY)))
    dear = Tokens(10_000, 500)
    # From seven on the six hours have 0.30, and up to 0.57 with what comes then.
    told = shard.post(
        hour(TODAY, 1, 21, tokens=dear) + hour(TODAY, 6, 10, tokens=dear) + hour(TODAY, 7, 9, tokens=dear)
    )

    assert Status.RESOLVED not in statuses(told)
    assert statuses(told)[0] is Status.FIRING


def test_unpriced_calls_are_no_dollars() -> None:
    """Any number of calls without a price makes no cost spike; they are counted in the evidence."""
    shard = cost_spike()
    shard.post(office(range(TODAY)))
    assert shard.post(hour(TODAY, 9, 500, request_model="in-house", provider="self")) == []
    insight, *_ = shard.post(hour(TODAY, 10, 20, tokens=Tokens(10_000, 500)))

    assert observed(insight)["unpriced_calls_today"] == 500


def test_features_are_told_apart() -> None:
    """One feature's spike is not another's, and not that of calls without a feature."""
    shard = cost_spike()
    for feature in ("", "titles", "search"):
        shard.post(office(range(TODAY), feature=feature))
    (insight,) = shard.post(
        hour(TODAY, 9, 20, feature="search")
        + hour(TODAY, 10, 20)
        + hour(TODAY, 10, 20, feature="titles", tokens=Tokens(10_000, 500))
    )

    assert insight.scope["feature"] == "titles"


def test_what_was_taken_back_is_not_spent() -> None:
    """Reversed calls are neither in the hour nor in what is usual."""
    shard = cost_spike()
    shard.post(office(range(TODAY)))
    wrong = hour(TODAY, 9, 10, tokens=Tokens(10_000, 500))
    shard.post(wrong)
    shard.reverse(wrong)

    assert shard.post(hour(TODAY, 9, 10, tokens=Tokens(10_000, 500))) == []


def test_late_calls_of_the_evening_belong_to_the_evening() -> None:
    """After midnight the hours before it are still those of the day before, and calls that come late are of theirs."""
    shard = spike(min_calls=1)
    for day in range(TODAY):
        for at in (21, 22, 23):
            shard.post(hour(day, at, 20))
    shard.post(hour(TODAY, 21, 20) + hour(TODAY + 1, 0, 1))
    late = hour(TODAY, 23, 101)

    assert statuses(shard.post(late, now_ns=MIDNIGHT + (TODAY + 1) * DAY + MINUTE)) == [Status.FIRING]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=6), st.booleans())
def test_crashes_change_nothing(cuts: list[int], money: bool) -> None:
    """Stopped and restored anywhere, the same calls tell the same, with the same ids."""
    after = office(range(TODAY - 1, TODAY)) + hour(TODAY, 9, 60) + hour(TODAY, 10, 160) + hour(TODAY, 23, 9)
    after += hour(TODAY + 1, 0, 200, tokens=Tokens(10_000, 500)) + hour(TODAY + 1, 2, 2)
    made = []
    for crashes in ((), sorted(cuts)):
        shard = cost_spike() if money else spike(min_calls=50)
        shard.post(office(range(TODAY - 1)))
        done = 0
        for cut in (*crashes, len(after)):
            shard.post(after[done:cut])
            done = max(done, cut)
            shard.crash()
        shard.advance(MIDNIGHT + (TODAY + 1) * DAY + 9 * HOUR)
        made.append(shard.told)

    assert made[0] == made[1] != []
