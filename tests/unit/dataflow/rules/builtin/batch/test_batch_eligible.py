"""BATCH_ELIGIBLE: jobs that recur, near-misses that only look like them, and both sides of what it compares."""

from typing import Any

import pytest

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
from tokensense_otel.core.call import Call, Dimensions, Task, Tokens
from tokensense_otel.core.insight import Severity, Status


def shard(**options: float) -> Shard:
    return Shard(only("BATCH_ELIGIBLE", **options))


def job(days: int, *, per_day: int = 60, hour: float = 2, first: int = 1, **changes: Any) -> list[Call]:
    """A nightly job: `per_day` calls, ten seconds apart."""
    return [
        call
        for day in range(days)
        for call in calls(
            per_day,
            first=first + day * 1_000,
            start=MIDNIGHT + day * DAY + round(hour * HOUR),
            step=10 * SECOND,
            **{"feature": "digest", **changes},
        )
    ]


def test_it_fires_on_the_third_night() -> None:
    """Two nights may be a coincidence; the third fires as soon as its hour has a burst."""
    rules = shard()
    assert rules.post(job(2)) == []

    (insight,) = rules.post(job(3)[120:])

    assert (insight.status, insight.severity) == (Status.FIRING, Severity.LOW)
    assert insight.scope == {"team": "checkout", "feature": "digest", "model": "gpt-4o"}
    seen = observed(insight)
    # A night counts from a tenth of the busiest one's calls on.
    assert (seen["calls"], seen["days_with_calls"]) == (126, 3)
    assert seen["hours_utc"] == {"02:00": 126}
    assert seen["share_in_these_hours"] == 1.0
    # 126 calls of 0.3 cents, at half the price in a batch
    assert (seen["spend_usd"], seen["batch_would_save_usd"]) == ("0.378", "0.189")
    assert insight.estimated_monthly_savings_usd == "0.189"
    assert insight.evidence["price_ids"] == ["openai/gpt-4o", "openai/gpt-4o@2026-10-14:batch"]


@pytest.mark.parametrize(
    "changes",
    [
        {"streaming": True},
        {"first_token_ns": 300_000_000},
        {"dimensions": Dimensions(team="checkout", feature="digest", user="u")},
        {"dimensions": Dimensions(team="checkout", feature="digest", session="s")},
        {"dimensions": Dimensions(team="checkout", feature="digest", agent="a")},
        {"task": Task.TOOLS_CALLED},
        {"service_tier": "batch"},
        {"request_model": "house-model"},
        {"provider": "azure.ai.openai", "request_model": "o3-2025-04-16"},
        {"error_type": "timeout"},
        {"tokens": Tokens()},
    ],
    ids=[
        "streams",
        "first_token",
        "user",
        "session",
        "agent",
        "tools",
        "batched",
        "unpriced",
        "no_batch_price",
        "failed",
        "no_usage",
    ],
)
def test_near_misses_stay_silent(changes: dict[str, Any]) -> None:
    """Somebody waits, the price is the batch price already, or none is known: a week of nights never fires."""
    assert shard().post(job(7, per_day=100, **changes)) == []


@pytest.mark.parametrize("hours", [range(9, 17), range(24), range(8, 13)], ids=["office", "all day", "mornings"])
def test_steady_traffic_is_no_job(hours: range) -> None:
    """Calls spread over five hours of the day or more never fire, though nobody is known to wait."""
    steady = sorted(
        (call for hour in hours for call in job(7, per_day=20, hour=hour, first=1 + 20 * hour)),
        key=lambda call: call.end_ns,
    )
    assert shard().post(steady) == []


def test_bursts_at_other_hours_each_day_are_no_job() -> None:
    """Somebody who runs something once a day, whenever it suits, has no job that recurs."""
    rules = shard()
    for day, hour in enumerate((9, 14, 20, 11, 16, 22, 13)):
        burst = calls(100, first=1 + day * 1_000, start=MIDNIGHT + day * DAY + hour * HOUR, feature="digest")
        assert rules.post(burst) == []


@pytest.mark.parametrize(("noise", "fires"), [(25, True), (26, False)])
def test_four_of_five_calls_have_to_be_in_the_bursts(noise: int, fires: bool) -> None:
    """Beside three nights of 100 calls each, 25 others a day are a fifth; one a day more is too much."""
    others = [
        a_call(50_000 + day * 100 + index, MIDNIGHT + day * DAY + 8 * HOUR + index * 30 * MINUTE, feature="digest")
        for day in range(3)
        for index in range(noise)
    ]
    every = sorted([*job(3, per_day=100), *others], key=lambda call: call.end_ns)
    rules = Shard(only("BATCH_ELIGIBLE", hysteresis=1, min_calls=300 + 3 * noise))
    assert bool(rules.post(every)) == fires


def test_a_job_that_crosses_the_hour_is_one() -> None:
    """A job from ten to the hour on, an hour long, takes two hours of the clock and fires all the same."""
    told = shard().post(job(3, per_day=360, hour=1 + 50 / 60))
    assert statuses(told)[0] is Status.FIRING


@pytest.mark.parametrize(("count", "fires"), [(33, False), (34, True)])
def test_a_hundred_calls_are_the_least(count: int, fires: bool) -> None:
    """Three nights of 33 calls are 99, of 34 are 102."""
    assert bool(shard().post(job(3, per_day=count))) == fires


def test_one_call_that_somebody_waits_for_keeps_it_silent_for_a_week() -> None:
    """One streaming call silences the key until it is out of the seven days."""
    rules = shard()
    rules.post([a_call(90_000, MIDNIGHT, feature="digest", streaming=True)])
    assert rules.post(job(7)) == []
    assert rules.post(job(8)[420:]) != []


def test_taking_the_streaming_call_back_lets_it_speak() -> None:
    """A call that turned out to be none silences nothing."""
    rules = shard()
    waited = a_call(90_000, MIDNIGHT, feature="digest", streaming=True)
    rules.post([waited])
    rules.post(job(3))
    assert rules.reverse([waited], MIDNIGHT + 3 * DAY) != []


def test_it_ends_when_the_job_ends() -> None:
    """A week after the last nights nothing is left to say."""
    rules = shard()
    rules.post(job(3))
    assert statuses(rules.advance(MIDNIGHT + 11 * DAY)) == [Status.RESOLVED]


def test_a_key_that_was_given_up_remembers_who_waited() -> None:
    """In too little memory a key that streamed is not taken for a job when it comes back."""
    rules = shard(max_keys=1)
    rules.post([a_call(90_000, MIDNIGHT, feature="digest", streaming=True)])
    rules.post(calls(3, start=MIDNIGHT + MINUTE, feature="other", first=70_000))
    assert rules.post(job(4)) == []


def test_traffic_from_before_the_price_was_listed_is_priced_by_what_the_provider_sold() -> None:
    """The list has gpt-4o in batches since October 2026; OpenAI has sold them since April 2024, and not before."""
    july, march = -100 * DAY, -1_000 * DAY
    assert observed(shard().post(shifted(job(3), july))[0])["batch_would_save_usd"] == "0.189"
    assert shard().post(shifted(job(7), march)) == []


def shifted(some: list[Call], by: int) -> list[Call]:
    return [a_call(number, call.end_ns + by, feature="digest") for number, call in enumerate(some, 1)]
