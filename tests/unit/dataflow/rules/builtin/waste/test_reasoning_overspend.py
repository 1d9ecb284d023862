"""REASONING_OVERSPEND on both sides of everything it compares."""

from typing import Any

import pytest

from tests.unit.dataflow.rules.traffic import NOON, Shard, calls, observed, only
from tokensense_otel.core.call import Call, Task, Tokens

MODEL = "o3"  # 2 and 8 USD a million tokens


def shard(**options: float) -> Shard:
    return Shard(only("REASONING_OVERSPEND", **options))


def thinking(
    count: int, reasoning: int | None = 1_000, answer: int = 20, *, first: int = 1, **changes: Any
) -> list[Call]:
    tokens = Tokens(100, answer + (reasoning or 0), reasoning=reasoning)
    plain: dict[str, Any] = {"request_model": MODEL, "feature": "labels", "tokens": tokens, "finish_reason": "stop"}
    return calls(count, first=first, **plain | changes)


def test_it_fires_at_the_fiftieth_call() -> None:
    """49 calls that thought too long say nothing; the fiftieth fires with exact money."""
    rules = shard()
    assert rules.post(thinking(49)) == []

    (insight,) = rules.post(thinking(1, first=50, start=NOON + 1))

    assert insight.scope == {"team": "checkout", "feature": "labels", "model": MODEL}
    assert observed(insight) == {
        "calls_over": 50,
        "short_calls": 50,
        "calls": 50,
        "average_reasoning_tokens": 1000.0,
        "average_answer_tokens": 20.0,
        "reasoning_per_answer_token": 50.0,
        "reasoning_usd": "0.4",  # 50 × 1,000 × 8, by the million
    }
    # 50 × (100 × 2 + 1,020 × 8); the ratio allows 200 tokens of thought, so 800 × 8 of each call are saved
    assert insight.evidence["spend_30d_usd"] == "0.418"
    assert insight.estimated_monthly_savings_usd == "0.32"


@pytest.mark.parametrize(("reasoning", "fires"), [(200, False), (201, True)])
def test_the_ratio_is_ten_tokens_for_each_of_the_answer(reasoning: int, fires: bool) -> None:
    """200 tokens of thought for 20 of answer are within ten to one; 201 are not."""
    assert bool(shard(min_usd=0.01).post(thinking(60, reasoning))) == fires


@pytest.mark.parametrize(("answer", "fires"), [(200, True), (201, False)])
def test_only_short_answers_are_judged(answer: int, fires: bool) -> None:
    """An answer of 200 tokens is short, one of 201 is not."""
    assert bool(shard().post(thinking(60, 9_000, answer))) == fires


@pytest.mark.parametrize(("moderate", "fires"), [(50, True), (51, False)])
def test_half_of_the_short_answers_have_to_be_over(moderate: int, fires: bool) -> None:
    """Fifty over among a hundred short answers fire; among 101 they do not."""
    rules = shard()
    rules.post(thinking(moderate, 100, first=1_000))
    assert bool(rules.post(thinking(50))) == fires


@pytest.mark.parametrize(("reasoning", "fires"), [(249, False), (250, True)])
def test_pennies_are_nobodys_business(reasoning: int, fires: bool) -> None:
    """50 × 250 tokens of thought cost ten cents, the minimum; one token less each does not."""
    assert bool(shard().post(thinking(50, reasoning))) == fires


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": Tokens(100, 1_020)},
        {"error_type": "timeout"},
        {"finish_reason": "length"},
        {"task": Task.TOOLS_CALLED | Task.TOOLS_TOLD},
        {"finish_reason": ""},
        {"request_model": "house-model"},
        {"tokens": Tokens(100, 500, reasoning=900)},
    ],
    ids=["not told", "failed", "cut off", "tool", "perhaps a tool", "no price", "more thought than output"],
)
def test_what_it_cannot_judge_keeps_it_silent(changes: dict[str, Any]) -> None:
    """Calls whose thought is unknown, whose answer is no whole text, or that have no price never fire."""
    assert shard().post(thinking(200, **changes)) == []


@pytest.mark.parametrize(("task", "fires"), [(Task.TOOLS_TOLD, True), (Task.TOOLS_TOLD | Task.TOOLS_OFFERED, False)])
def test_without_tools_no_finish_reason_is_needed(task: int, fires: bool) -> None:
    """A call that is told to have no tools has answered in text; one that had some may have called one."""
    assert bool(shard().post(thinking(60, finish_reason="", task=task))) == fires


def test_a_reversal_takes_the_call_back() -> None:
    """A call that turns out to be none is not counted, nor is its money."""
    rules = shard()
    some = thinking(49)
    rules.post(some)
    rules.reverse(some[:1])
    assert rules.post(thinking(1, first=60)) == []
    (insight,) = rules.post(thinking(1, first=61))
    assert observed(insight)["reasoning_usd"] == "0.4"


def test_features_are_kept_apart_and_a_service_stands_in() -> None:
    """Two features never add up; where no feature is named the service is the place."""
    rules = shard()
    rules.post(thinking(49))
    assert rules.post(thinking(49, first=100, feature="titles")) == []
    (insight,) = rules.post(thinking(50, first=200, feature="", service="web"))
    assert insight.scope == {"team": "checkout", "service": "web", "model": MODEL}
