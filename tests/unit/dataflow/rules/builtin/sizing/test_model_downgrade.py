"""MODEL_DOWNGRADE on both sides of everything it compares."""

import pytest

from tests.unit.dataflow.rules.traffic import HOUR, NOON, Shard, a_call, calls, flagship, observed, only, statuses
from tokensense_otel.core.call import Task, Tokens
from tokensense_otel.core.insight import Severity, Status


def downgrade() -> Shard:
    return Shard(only("MODEL_DOWNGRADE"))


def test_it_fires_at_the_hundredth_qualifying_call() -> None:
    """Ninety-nine say nothing; the hundredth fires and names the sibling with its price for the same tokens."""
    shard = downgrade()
    assert shard.post(flagship(99)) == []

    (insight,) = shard.post(flagship(1, first=100, start=NOON + 1))
    assert insight.severity is Severity.HIGH
    assert insight.scope == {"team": "checkout", "feature": "titles", "model": "claude-opus-4-1"}
    assert "claude-sonnet-4-5" in insight.suggested_fix
    # 100 × (1,000 × 15 + 50 × 75) against 100 × (1,000 × 3 + 50 × 15), by the million
    assert insight.evidence["spend_30d_usd"] == "1.875"
    assert insight.estimated_monthly_savings_usd == "1.5"


@pytest.mark.parametrize(
    ("tokens", "fires"),
    [
        (Tokens(1_000, 99), True),
        (Tokens(1_000, 100), False),
        (Tokens(1_000, 50, reasoning=0), True),
        (Tokens(1_000, 50, reasoning=1), False),
        (Tokens(1_000), False),
    ],
)
def test_each_call_has_to_qualify(tokens: Tokens, fires: bool) -> None:
    """A call counts with fewer than 100 output tokens, known, and no reasoning."""
    shard = downgrade()
    shard.post(flagship(99))

    assert bool(shard.post(flagship(1, first=100, tokens=tokens))) == fires


def test_long_answers_do_not_hold_it_back_and_bring_no_money() -> None:
    """The rule is about the calls that qualify: the share is shown, the spend is theirs alone."""
    shard = downgrade()
    shard.post(flagship(100, first=1_000, tokens=Tokens(1_000, 4_000)))
    (insight,) = shard.post(flagship(100))

    assert observed(insight) == {
        "qualifying_calls": 100,
        "calls": 200,
        "qualifying_share": 0.5,
        "average_output_tokens": 50.0,
        "p50_output_tokens": 51,  # within 4.3 %, of all 200
        "p90_output_tokens": 3_919,
        "longest_output_tokens": 3_919,
        "structured_calls": 0,
        "calls_with_tools_or_reasoning": 0,
    }
    assert insight.evidence["spend_30d_usd"] == "1.875"
    assert int(insight.evidence["sample_trace_ids"][0], 16) == 100


def test_premium_is_not_flagship() -> None:
    """A model below the top class is not judged, nor is a failed call."""
    assert downgrade().post(calls(150)) == []
    assert downgrade().post(flagship(150, error_type="500")) == []


def test_features_are_told_apart_and_services_stand_in() -> None:
    """Two features of one team never add up; without a feature the service is the key."""
    shard = downgrade()
    shard.post(flagship(99, feature="a"))
    assert shard.post(flagship(99, feature="b", first=200)) == []
    shard.post(flagship(99, feature="", service="web", first=400))

    (insight,) = shard.post([a_call(500, provider="anthropic", request_model="claude-opus-4-1", service="web")])
    assert insight.scope == {"team": "checkout", "service": "web", "model": "claude-opus-4-1"}


@pytest.mark.parametrize(
    ("task", "fires"),
    [
        (0, True),
        (Task.TOOLS_TOLD, True),
        (Task.STRUCTURED, True),
        (Task.TOOLS_OFFERED, False),
        (Task.TOOLS_CALLED | Task.TOOLS_TOLD, False),
    ],
)
def test_told_tools_disqualify_a_call(task: int, fires: bool) -> None:
    """The hundredth call counts without tools and where nobody says; with tools it does not."""
    shard = downgrade()
    shard.post(flagship(99))

    assert bool(shard.post(flagship(1, first=100, task=task))) == fires


def test_reversed_calls_leave_neither_counts_nor_lengths() -> None:
    """Long answers that were taken back are in no share and no distribution."""
    shard = downgrade()
    wrong = flagship(50, first=1_000, tokens=Tokens(1_000, 4_000))
    shard.post(wrong)
    shard.reverse(wrong)
    (insight,) = shard.post(flagship(100))

    assert (observed(insight)["calls"], observed(insight)["longest_output_tokens"]) == (100, 51)


def test_a_limit_of_one_is_over_at_none() -> None:
    """Softer than one call is still one: when none is left the finding resolves."""
    shard = Shard(only("MODEL_DOWNGRADE", min_calls=1))
    some = flagship(1)
    shard.post(some)
    shard.reverse(some)

    assert statuses(shard.advance(NOON + HOUR)) == [Status.RESOLVED]
