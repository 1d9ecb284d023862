"""TELEMETRY_SILENT: weeks of sources with habits, and silences that mean something or nothing."""

from collections.abc import Callable
from random import Random

import pytest

from tests.unit.dataflow.rules.traffic import (
    DAY,
    HOUR,
    MIDNIGHT,
    MINUTE,
    SECOND,
    Shard,
    a_call,
    observed,
    only,
    statuses,
)
from tokensense_otel.core.call import Call, Dimensions, Source
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.dataflow.rules.builtin.coverage.silence_series import SilenceSeries

STEP = 6 * MINUTE
WEEK = 7 * DAY
NOON = 2 * WEEK + 12 * HOUR
"""Of the third Monday."""
Habit = Callable[[int], int]
"""Unix nanoseconds from the first Monday → calls in the six minutes that end then."""


def always(_time_ns: int) -> int:
    return 4


def office(time_ns: int) -> int:
    """From eight to six, Monday to Friday."""
    return 4 if time_ns // DAY % 7 < 5 and 8 * HOUR < time_ns % DAY <= 18 * HOUR else 0


def _sent(number: int, end_ns: int, count: int, service: str = "bot", team: str = "checkout") -> Call:
    where = Dimensions(team=team, service=service)
    return (
        a_call(number, end_ns, dimensions=where, count=count, source=Source.METER) if count else a_call(number, end_ns)
    )


class Days:
    """A shard that lives through days; what it told is in `told`. Twenty calls have to be missed, if nothing else is
    said."""

    def __init__(self, **options: object) -> None:
        self.shard = Shard(only("TELEMETRY_SILENT", **{"min_missed_calls": 20} | options))
        self.now = 0

    def live(self, until: int, habit: Habit, **where: str) -> list[Insight]:
        before = len(self.shard.told)
        while self.now < until:
            self.now += STEP
            self.shard.advance(MIDNIGHT + self.now)
            count = habit(self.now)
            if count:
                self.shard.post([_sent(self.now // STEP, MIDNIGHT + self.now, count, **where)])
        return self.shard.told[before:]

    def still(self, until: int) -> list[Insight]:
        return self.live(until, lambda _time_ns: 0)


def test_a_source_that_stops_is_told_and_over_when_it_speaks() -> None:
    """Forty calls an hour, always; twenty of them are missed after half an hour."""
    days = Days()
    assert days.live(NOON, always) == []
    told = days.still(NOON + 3 * HOUR)
    assert statuses(told)[0] is Status.FIRING
    assert told[0].detected_at == "2026-11-16T12:30:00Z"
    assert told[0].scope == {"service": "bot"}
    assert observed(told[0])["missed_calls"] == 20
    assert observed(told[0])["last_call_at"] == "2026-11-16T12:00:00Z"
    assert told[0].estimated_monthly_savings_usd is None
    again = days.live(NOON + 4 * HOUR, always)
    assert statuses(again) == [Status.RESOLVED]


def test_as_it_comes_three_usual_gaps_are_a_silence() -> None:
    """Ten calls would be missed after a quarter of an hour, but six minutes are 4 calls and three times that are 12."""
    days = Days(min_missed_calls=10)
    days.live(NOON, always)
    assert days.still(NOON + HOUR)[0].detected_at == "2026-11-16T12:20:00Z"


def test_a_silence_that_is_usual_is_none() -> None:
    """Nights and weekends of an office-hour service, also the first of them, when no weekend was seen before."""
    assert Days().live(3 * WEEK, office) == []


def test_an_office_hour_service_that_does_not_come_back_is_told() -> None:
    """It falls silent on a Monday evening, when nothing is to be heard, and is missed on Tuesday morning."""
    days = Days()
    days.live(2 * WEEK + 18 * HOUR, office)
    told = days.still(2 * WEEK + 2 * DAY)
    assert statuses(told)[:1] == [Status.FIRING]
    # The hour from eight on is next to one without calls, so only that from nine on counts. As the one before it has
    # nine of ten batches, 36 calls are usual in it at the least: 21 are missed after 35 minutes.
    assert told[0].detected_at == "2026-11-17T09:35:00Z"


@pytest.mark.parametrize(
    "options",
    [{"min_missed_calls": 21}, {"min_silence": "35m"}, {"min_history": "15d"}, {"min_calls": 20_000}],
    ids=str,
)
def test_each_threshold_holds_it_back(options: dict[str, object]) -> None:
    """Half an hour after the last call one more of anything is too much to ask."""
    days = Days(**options)
    days.live(NOON, always)
    assert days.still(NOON + 30 * MINUTE) == []


def test_the_longest_gap_of_late_is_no_silence() -> None:
    """Who was still for 24 minutes of last week, which were 16 calls, is told after three times as long."""
    days = Days()
    days.live(NOON - WEEK, always)
    days.still(NOON - WEEK + 18 * MINUTE)
    days.live(NOON, always)
    told = days.still(NOON + 3 * HOUR)
    assert observed(told[0])["usual_calls_in_the_longest_gap"] == 16
    # With that hour among them 28 an hour are usual at the least, so 48 are missed after an hour and 43 minutes.
    assert told[0].detected_at == "2026-11-16T13:45:00Z"


def test_an_outage_does_not_become_a_habit() -> None:
    """A gap that was told is not one that the source is used to, so the next outage is told as soon."""
    days = Days()
    days.live(NOON, always)
    days.still(NOON + 6 * HOUR)
    days.live(NOON + WEEK, always)
    assert days.still(NOON + WEEK + 3 * HOUR)[0].detected_at == "2026-11-23T12:30:00Z"


def test_a_source_that_calls_less_is_measured_at_its_pace() -> None:
    """A sixth of the usual calls for a week, at random as they always came, is no silence."""
    chance = Random(5)
    days = Days()
    days.live(2 * WEEK, lambda _time_ns: 4 * (chance.random() < 0.6))
    assert days.live(3 * WEEK, lambda _time_ns: 4 * (chance.random() < 0.1)) == []


def test_bursts_with_a_habit_of_their_own_are_quiet() -> None:
    """Sixty calls at each full hour and nothing between; two hours without any are told, one is not."""
    hourly: Habit = lambda time_ns: 60 if time_ns % HOUR == 0 else 0  # noqa: E731
    days = Days()
    assert days.live(2 * WEEK, hourly) == []
    assert days.still(2 * WEEK + 2 * HOUR) == []
    assert statuses(days.still(2 * WEEK + 4 * HOUR))[:1] == [Status.FIRING]


def test_a_job_once_a_day_is_never_missed() -> None:
    """What comes in one hour of the day says nothing of any other, and its hour may move with daylight saving."""
    assert Days().live(3 * WEEK, lambda time_ns: 20 if 5 * HOUR < time_ns % DAY <= 6 * HOUR else 0) == []


def test_an_hour_that_moves_is_no_silence() -> None:
    """When clocks are set back the office opens an hour later in UTC."""
    days = Days()
    days.live(2 * WEEK, office)
    assert days.live(3 * WEEK, lambda time_ns: office(time_ns - HOUR)) == []


def test_when_this_system_was_away_nobody_was_silent() -> None:
    """After six hours in which nothing ran, silence begins when it runs again."""
    days = Days()
    days.live(NOON, always)
    shard = days.shard
    shard.crash()
    shard.told += shard.shard.advance(MIDNIGHT + NOON + 6 * HOUR)
    days.now = NOON + 6 * HOUR
    assert shard.told == []
    assert days.still(NOON + 6 * HOUR + 24 * MINUTE) == []
    assert days.still(NOON + 7 * HOUR)[0].detected_at == "2026-11-16T18:30:00Z"


def test_a_source_that_is_gone_for_good_is_given_up() -> None:
    """After a week the finding is closed, and nobody is told of it again."""
    days = Days()
    days.live(2 * WEEK, always)
    told = days.still(4 * WEEK)
    assert statuses(told)[-1] is Status.RESOLVED
    assert told[-1].resolved_at == "2026-11-23T00:01:00Z"
    assert [insight.status for insight in told].count(Status.FIRING) == 1


def test_teams_of_one_service_are_watched_apart_where_asked() -> None:
    """One team stops, the other goes on: the service is not silent, the team is."""
    for by_team, scope in ((True, {"service": "bot", "team": "search"}), (False, None)):
        days = Days(by_team=by_team)
        while days.now < 2 * WEEK:
            days.live(days.now + STEP, always, team="search")
            days.shard.post([_sent(days.now, MIDNIGHT + days.now + SECOND, 4)])
        told: list[Insight] = []
        while days.now < 2 * WEEK + HOUR:
            told += days.live(days.now + STEP, always)
        assert [insight.scope for insight in told[:1]] == ([scope] if scope else [])


def test_calls_without_a_service_are_nobodys() -> None:
    """Who does not say its name cannot be missed."""
    assert Days().live(2 * WEEK, always, service="") == []


def test_a_restart_changes_nothing() -> None:
    """The same findings, with the same ids, whenever it crashed."""
    plain, crashed = Days(), Days()
    for until in (*range(DAY, NOON, DAY), NOON, *range(NOON + STEP, NOON + 2 * HOUR, STEP)):
        for days in (plain, crashed):
            days.live(until, always if until <= NOON else lambda _time_ns: 0)
        crashed.shard.crash()
    assert plain.shard.told == crashed.shard.told
    assert plain.shard.told


def test_a_reversal_takes_calls_out_and_late_ones_come_in_where_they_belong() -> None:
    """Sums of an hour follow the books; a late call is no end of a silence."""
    series = SilenceSeries()
    series.hear(10 * HOUR + MINUTE, 5, usual=True)
    series.hear(9 * HOUR + MINUTE, 3, usual=True)
    series.take_out(10 * HOUR + MINUTE, 5)
    assert series.calls == {10: 0, 9: 3}
    assert series.since_ns == 10 * HOUR + MINUTE
