"""ERROR_SPEND on both sides of everything it compares."""

from typing import Any

import msgspec
import pytest

from tests.unit.dataflow.rules.traffic import DAY, MINUTE, NOON, Shard, a_call, calls, observed, only, statuses
from tokensense_otel.core.call import Call, Cost, CostKind, Tokens
from tokensense_otel.core.insight import Severity, Status

# 1,000 × 2.50 + 50 × 10 by the million on gpt-4o
CALL_USD = 0.003


def shard(**options: float | str) -> Shard:
    return Shard(only("ERROR_SPEND", **options))


def failed(count: int, *, first: int = 500, **changes: Any) -> list[Call]:
    return calls(count, first=first, **{"error_type": "timeout", **changes})


def test_it_fires_at_the_dollar_that_crosses_the_minimum() -> None:
    """33 failed calls cost 9.9 cents and say nothing; the 34th makes it 10.2 and fires."""
    rules = shard()
    rules.post(calls(10))
    assert rules.post(failed(33)) == []

    (insight,) = rules.post(failed(1, first=600))

    assert (insight.status, insight.severity) == (Status.FIRING, Severity.MEDIUM)
    assert insight.scope == {"team": "checkout", "model": "gpt-4o"}
    assert observed(insight) == {
        "failed_calls": 34,
        "calls": 44,
        "error_share": 0.773,
        "failed_usd": {"low": "0.102", "high": "0.102"},
        "share_of_usd": 0.773,  # all calls cost the same
        "failed_calls_without_usage": 0,
        "failed_calls_without_price": 0,
        "error_types": [{"name": "timeout", "calls": 34, "usd": "0.102"}],
    }
    assert insight.estimated_monthly_savings_usd == insight.evidence["spend_30d_usd"] == "0.102"


@pytest.mark.parametrize(("successes", "fires"), [(760, True), (761, False)])
def test_the_share_of_failures_counts(successes: int, fires: bool) -> None:
    """40 of 800 calls are five percent; 40 of 801 are less."""
    rules = shard()
    rules.post(calls(successes))
    assert bool(rules.post(failed(40, first=2_000))) == fires


@pytest.mark.parametrize(("count", "fires"), [(19, False), (20, True)])
def test_a_few_calls_prove_nothing(count: int, fires: bool) -> None:
    """Nineteen calls are too few, whatever they cost."""
    assert bool(shard().post(failed(count, tokens=Tokens(100_000, 50)))) == fires


@pytest.mark.parametrize(("count", "fires"), [(9, False), (10, True)])
def test_a_few_failures_are_no_finding(count: int, fires: bool) -> None:
    """Nine failures may be chance, however dear; ten are not."""
    rules = shard()
    rules.post(calls(20))
    assert bool(rules.post(failed(count, tokens=Tokens(100_000, 50)))) == fires


def test_refused_calls_cost_nothing_and_are_listed() -> None:
    """Calls without usage bring no dollars: they never fire alone, and are listed where others do."""
    rules = shard()
    assert rules.post(failed(500, error_type="429", tokens=Tokens())) == []

    told = rules.post(failed(40, first=2_000))

    assert observed(told[0])["failed_calls_without_usage"] == 500
    assert observed(told[0])["failed_usd"] == {"low": "0.102", "high": "0.102"}
    assert observed(told[0])["error_types"][1] == {"name": "429", "calls": 500, "usd": None}
    assert "of 500 more of them nobody knows the cost" in told[0].summary


def test_calls_without_a_price_are_no_zero_dollars() -> None:
    """Failed calls of a model without a price never fire: what they cost is unknown."""
    assert shard().post(failed(500, request_model="house-model")) == []


def test_an_estimate_stays_two_bounds_and_the_lower_one_decides() -> None:
    """Calls between 1 and 9 cents reach ten cents with the tenth, by the lower bound."""
    rules = shard(min_calls=1)
    cost = Cost(CostKind.ESTIMATED, 10_000_000, 90_000_000, "a", "b", "why")
    some = [msgspec.structs.replace(call, cost=cost) for call in failed(10)]
    assert rules.post(some[:9]) == []

    (insight,) = rules.post(some[9:])

    assert observed(insight)["failed_usd"] == {"low": "0.1", "high": "0.9"}
    assert insight.estimated_monthly_savings_usd == "0.1"


def test_teams_and_models_are_kept_apart() -> None:
    """Failures of another team or model do not add up to a finding."""
    rules = shard()
    rules.post(failed(33))
    assert rules.post(failed(33, first=1_000, team="search")) == []
    assert rules.post(failed(33, first=2_000, request_model="gpt-4o-2024-11-20")) == []


def test_it_is_over_when_the_calls_leave_the_window() -> None:
    """A day later nothing is left of it, and it resolves a quarter of an hour after that."""
    rules = shard()
    rules.post(failed(40, step=1))
    told = rules.advance(NOON + DAY + 60 * MINUTE)
    assert statuses(told) == [Status.RESOLVED]


def test_a_reversal_takes_calls_and_dollars_back() -> None:
    """Calls that turn out to be none leave nothing behind: the 34th of those that stay fires."""
    rules = shard()
    some = failed(33)
    rules.post(some)
    rules.reverse(some[:5])
    assert rules.post(failed(5, first=900)) == []

    (insight,) = rules.post([a_call(950, NOON + MINUTE, error_type="timeout")])

    assert observed(insight)["failed_usd"]["low"] == "0.102"
    assert observed(insight)["error_types"] == [{"name": "timeout", "calls": 34, "usd": "0.102"}]
