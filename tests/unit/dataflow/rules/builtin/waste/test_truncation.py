"""TRUNCATION on both sides of everything it compares."""

from typing import Any

import pytest

from tests.unit.dataflow.rules.traffic import NOON, Shard, calls, observed, only
from tokensense_otel.core.call import Call, Tokens


def shard(**options: float) -> Shard:
    return Shard(only("TRUNCATION", **options))


def ended(count: int, reason: str = "stop", *, first: int = 1, **changes: Any) -> list[Call]:
    return calls(count, first=first, finish_reason=reason, **changes)


@pytest.mark.parametrize(("whole", "fires"), [(90, True), (91, False)])
def test_it_fires_at_a_tenth_of_the_answers(whole: int, fires: bool) -> None:
    """10 of 100 answers are a tenth; 10 of 101 are less."""
    rules = shard()
    rules.post(ended(whole))
    assert bool(rules.post(ended(10, "length", first=200))) == fires


@pytest.mark.parametrize(("cut", "fires"), [(9, False), (10, True)])
def test_a_few_among_few_are_no_finding(cut: int, fires: bool) -> None:
    """Nine cut answers among twenty-nine may be chance; ten are not."""
    rules = shard()
    rules.post(ended(20))
    assert bool(rules.post(ended(cut, "length", first=200))) == fires


@pytest.mark.parametrize(("count", "fires"), [(19, False), (20, True)])
def test_it_wants_twenty_answers(count: int, fires: bool) -> None:
    """Nineteen answers prove nothing although all were cut."""
    assert bool(shard().post(ended(count, "max_tokens"))) == fires


@pytest.mark.parametrize(
    "reason",
    ["length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded", "truncated"],
)
def test_every_spelling_is_understood(reason: str) -> None:
    """What providers and instrumentations call it makes no difference."""
    assert shard().post(ended(20, reason))


@pytest.mark.parametrize("reason", ["stop", "end_turn", "tool_calls", "content_filter", "safety", "error"])
def test_other_ends_are_none(reason: str) -> None:
    """Answers that came to an end, or were stopped for another reason, were not cut off."""
    assert shard().post(ended(200, reason)) == []


def test_what_nobody_tells_is_no_answer() -> None:
    """Calls without a finish reason are neither whole nor cut: they do not dilute the share."""
    rules = shard()
    rules.post(calls(500, first=1_000))
    assert rules.post(ended(20, "length"))


@pytest.mark.parametrize(("limit", "fires"), [(15, False), (16, True)])
def test_an_answer_meant_to_be_short_is_not_cut(limit: int, fires: bool) -> None:
    """A limit of 15 tokens is a yes or no; one of 16 cuts. Without a told limit the answer's length is it."""
    assert bool(shard().post(ended(40, "length", tokens=Tokens(1_000, limit)))) == fires
    assert bool(shard().post(ended(40, "length", tokens=Tokens(1_000, 500), max_output=limit))) == fires


def test_failed_calls_and_embeddings_are_none_of_its_business() -> None:
    """A call that failed has no answer that could be cut, and neither has an embedding."""
    assert shard().post(ended(200, "length", error_type="timeout")) == []
    assert shard().post(ended(200, "length", operation="embeddings")) == []


def test_the_evidence_proves_it() -> None:
    """Shares, dollars of the cut answers, the limit that was told, and how many had not begun to answer."""
    rules = shard(min_truncated=5)
    rules.post(ended(15))
    rules.post(ended(3, "length", first=100, max_output=512, tokens=Tokens(1_000, 512)))

    (insight,) = rules.post(ended(2, "length", first=200, tokens=Tokens(1_000, 400, reasoning=400), start=NOON + 1))

    assert observed(insight) == {
        "truncated_calls": 5,
        "calls": 20,
        "truncated_share": 0.25,
        # 5 × 1,000 × 2.50 + (3 × 512 + 2 × 400) × 10, by the million
        "truncated_usd": "0.03586",
        "average_truncated_output_tokens": 467.2,
        "average_max_output_tokens": 512.0,
        "cut_while_still_reasoning": 2,
    }
    assert insight.evidence["spend_30d_usd"] == "0.03586"
    assert insight.estimated_monthly_savings_usd is None


def test_a_reversal_takes_the_answer_back() -> None:
    """Answers that turn out to be none are not counted."""
    rules = shard(min_truncated=4)
    rules.post(ended(36))
    some = ended(4, "length", first=100)
    rules.post(some[:3])
    rules.reverse(some[:1])
    assert rules.post(some[3:]) == []
    assert rules.post(some[:1])


def test_answers_without_a_price_are_counted_without_dollars() -> None:
    """A model without a price fires on the share alone, its dollars unknown."""
    (insight,) = shard().post(ended(20, "length", request_model="house-model"))
    assert observed(insight)["truncated_usd"] is None
    assert "$" not in insight.summary
