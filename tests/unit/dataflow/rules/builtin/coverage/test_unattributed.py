"""UNATTRIBUTED on both sides of everything it compares."""

from typing import Any

import msgspec
import pytest

from tests.unit.dataflow.rules.traffic import DAY, HOUR, NOON, Shard, calls, observed, only, statuses
from tokensense_otel.core.call import Call, Source
from tokensense_otel.core.insight import Severity, Status


def shard(**options: float) -> Shard:
    return Shard(only("UNATTRIBUTED", **options))


def nobodys(count: int, *, first: int = 5_000, **changes: Any) -> list[Call]:
    plain: dict[str, Any] = {"team": "", "service": "web"}
    return calls(count, first=first, start=NOON + HOUR, **plain | changes)


@pytest.mark.parametrize(("owned", "fires"), [(359, True), (360, False)])
def test_more_than_a_tenth_of_the_dollars_fires(owned: int, fires: bool) -> None:
    """40 of 399 calls of one price are more than a tenth of the spend; 40 of 400 are a tenth."""
    rules = shard()
    rules.post(calls(owned))
    assert bool(rules.post(nobodys(40))) == fires


def test_the_evidence_says_whose_it_may_be() -> None:
    """Shares, dollars, and the services and models that brought them, the biggest first."""
    rules = shard()
    rules.post(calls(60))
    rules.post(nobodys(9, request_model="gpt-4o-mini", service="cron"))

    (insight,) = rules.post(nobodys(34, first=9_000))

    assert (insight.status, insight.severity) == (Status.FIRING, Severity.LOW)
    assert insight.scope == {"project": "default"}
    # 33 calls of 0.3 cents and nine of 0.018 are the first to reach ten cents.
    assert observed(insight) == {
        "calls_without_team": 42,
        "calls": 102,
        "share_of_calls": 0.412,
        "usd_without_team": "0.10062",
        "usd": "0.28062",
        "share_of_usd": 0.359,
        "from": [
            {"service": "web", "model": "gpt-4o", "calls": 33, "usd": "0.099"},
            {"service": "cron", "model": "gpt-4o-mini", "calls": 9, "usd": "0.00162"},
        ],
    }
    assert insight.summary == "$0.10 of $0.28 (36%) in 24h had no team; the objective is at most 10%."


def test_teams_meet_in_one_project_and_projects_do_not() -> None:
    """All teams' calls are the whole that the share is of; another project's calls are not."""
    rules = shard()
    rules.post(calls(180, team="a"))
    rules.post(calls(180, team="b", first=1_000))
    rules.post(calls(900, team="", project="other", first=2_000))
    assert [insight.project for insight in rules.told] == ["other"]
    assert rules.post(nobodys(40, first=8_000)) == []
    (insight,) = rules.post(nobodys(1, first=9_000))
    assert insight.scope == {"project": "default"}


@pytest.mark.parametrize(("count", "fires"), [(99, False), (100, True)])
def test_a_hundred_calls_are_the_least(count: int, fires: bool) -> None:
    """99 calls of nobody's are too few to say anything."""
    assert bool(shard().post(nobodys(count))) == fires


@pytest.mark.parametrize(("count", "fires"), [(33, False), (34, True)])
def test_pennies_are_nobodys_business(count: int, fires: bool) -> None:
    """33 calls cost 9.9 cents and stay below the minimum of ten; 34 do not, though the share is above a tenth."""
    rules = shard()
    rules.post(calls(200))
    assert bool(rules.post(nobodys(count))) == fires


@pytest.mark.parametrize(("nameless", "fires"), [(22, False), (23, True)])
def test_without_prices_the_share_is_one_of_calls(nameless: int, fires: bool) -> None:
    """Where most calls have no price, 22 of 222 calls are below a tenth and 23 of 223 above."""
    rules = shard()
    rules.post(calls(200, request_model="house-model"))
    told = rules.post(nobodys(nameless, request_model="house-model"))
    assert bool(told) == fires
    if told:
        assert observed(told[0])["usd"] is None
        assert "23 of 223 calls" in told[0].summary


def test_a_sum_of_calls_counts_as_many() -> None:
    """A hundred calls of which only metrics tell, in one line, are a hundred."""
    metered = msgspec.structs.replace(nobodys(1)[0], count=100, source=Source.METER)
    cost = msgspec.structs.replace(metered.cost, low=10**9, high=10**9)
    (insight,) = shard().post([msgspec.structs.replace(metered, cost=cost)])
    assert observed(insight)["from"] == [{"service": "web", "model": "gpt-4o", "calls": 100, "usd": "1"}]


def test_a_team_named_late_takes_it_back() -> None:
    """When the books learn whose the calls are, the finding is over a quarter of an hour later."""
    rules = shard()
    rules.post(calls(200))
    some = nobodys(40)
    assert statuses(rules.post(some)) == [Status.FIRING]

    rules.reverse(some)
    rules.post(calls(40, first=5_000, start=NOON + HOUR, service="web"))

    assert statuses(rules.advance(NOON + 3 * HOUR)) == [Status.RESOLVED]


@pytest.mark.parametrize(("left", "over"), [(50, False), (49, True)])
def test_a_quiet_night_is_not_the_end_of_it(left: int, over: bool) -> None:
    """While it is open half of the calls are enough to go on: at fifty it stays, at forty-nine there is too little."""
    rules = shard()
    some = nobodys(100)
    assert statuses(rules.post(some)) == [Status.FIRING]
    rules.reverse(some[left:])
    assert statuses(rules.advance(NOON + 3 * HOUR)) == ([Status.RESOLVED] if over else [])


def test_it_is_no_saving() -> None:
    """To know whose it is costs nothing and saves nothing by itself; what it was is shown."""
    rules = shard()
    (insight,) = rules.post(nobodys(100))
    assert insight.estimated_monthly_savings_usd is None
    assert insight.evidence["spend_30d_usd"] == "0.3"
    assert "tokensense.team" in insight.suggested_fix
    assert "of web" in insight.suggested_fix


def test_it_ends_with_its_window() -> None:
    """A day later nothing is left of it."""
    rules = shard()
    rules.post(nobodys(100))
    assert statuses(rules.advance(NOON + DAY + 3 * HOUR)) == [Status.RESOLVED]
