"""MODEL_MISUSE on both sides of everything it compares."""

from typing import Any

import pytest

from tests.unit.dataflow.rules.traffic import DAY, MINUTE, NOON, Shard, a_call, calls, observed, only, statuses
from tokensense_otel.core.call import Task, Tokens
from tokensense_otel.core.insight import Severity, Status


def misuse() -> Shard:
    return Shard(only("MODEL_MISUSE"))


def test_it_fires_at_the_twentieth_successful_call() -> None:
    """Nineteen calls say nothing, the twentieth fires at once and only then."""
    shard = misuse()

    assert shard.post(calls(19)) == []
    (insight,) = shard.post([a_call(20, NOON + 19 * MINUTE)])
    assert (insight.status, insight.rule, insight.severity) == (Status.FIRING, "MODEL_MISUSE", Severity.HIGH)
    assert insight.scope == {"team": "checkout", "model": "gpt-4o"}
    assert shard.post(calls(10, first=21)) == []


@pytest.mark.parametrize(("last_output", "fires"), [(99, True), (100, False)])
def test_the_average_output_has_to_be_below_a_hundred(last_output: int, fires: bool) -> None:
    """Nineteen outputs of 100 and one of 99 average below 100; twenty of 100 do not."""
    shard = misuse()
    shard.post(calls(19, tokens=Tokens(1_000, 100)))

    assert bool(shard.post([a_call(20, tokens=Tokens(1_000, last_output))])) == fires


@pytest.mark.parametrize(
    ("provider", "model", "fires"),
    [
        ("openai", "gpt-4o", True),
        ("openai", "gpt-4o-mini", False),
        ("anthropic", "claude-opus-4-1", True),
        ("anthropic", "claude-haiku-4-5", False),
        ("openai", "text-embedding-3-large", False),
        ("openai", "house-model", False),
    ],
)
def test_only_premium_models_are_judged(provider: str, model: str, fires: bool) -> None:
    """Premium and flagship models fire; cheaper, non-text and unknown ones do not."""
    assert bool(misuse().post(calls(30, provider=provider, request_model=model))) == fires


def test_failed_calls_do_not_count() -> None:
    """Nineteen successes stay below the limit however many calls fail."""
    shard = misuse()
    shard.post(calls(19))

    assert shard.post(calls(50, first=20, error_type="timeout", tokens=Tokens())) == []


def test_embeddings_are_no_short_answers() -> None:
    """An operation without text output is not judged, whatever its model is called."""
    assert misuse().post(calls(30, operation="embeddings")) == []


@pytest.mark.parametrize(("unknown", "fires"), [(10, True), (11, False)])
def test_half_of_the_outputs_have_to_be_known(unknown: int, fires: bool) -> None:
    """Where more calls hide their output than show it, nothing is certain."""
    shard = misuse()
    shard.post(calls(unknown, tokens=Tokens(1_000)))

    assert bool(shard.post(calls(20 - unknown, first=unknown + 1))) == fires


@pytest.mark.parametrize(("gap", "fires"), [(DAY - 15 * MINUTE, True), (DAY, False)])
def test_the_window_is_a_day(gap: int, fires: bool) -> None:
    """A first call 23 h 45 min ago counts to the twenty; one a day ago does not."""
    shard = misuse()
    shard.post(calls(1))

    assert bool(shard.post(calls(19, start=NOON + gap, step=1, first=2))) == fires


def test_a_reversal_before_the_crossing_holds_it_back() -> None:
    """A call that turned out to be none is not counted."""
    shard = misuse()
    some = calls(19)
    shard.post(some)
    shard.reverse(some[:1])

    assert shard.post([a_call(20)]) == []
    assert statuses(shard.post([a_call(21)])) == [Status.FIRING]


def test_a_reversal_after_the_crossing_resolves_it() -> None:
    """When a call is taken back the condition is false, and a quarter of an hour later the finding is over."""
    shard = misuse()
    some = calls(20, step=1)
    shard.post(some)
    assert shard.reverse(some[-1:]) == []

    told = shard.advance(NOON + 60 * MINUTE)
    assert statuses(told) == [Status.RESOLVED]
    assert told[0].episode_id == shard.told[0].episode_id
    assert (told[0].started_at, told[0].resolved_at) == ("2026-11-02T12:00:00Z", "2026-11-02T12:15:00Z")


def test_calls_without_a_team_are_unattributed() -> None:
    """Nobody's calls are judged too, under a name of their own."""
    (insight,) = misuse().post(calls(20, team=""))

    assert insight.scope["team"] == "unattributed"


def test_the_evidence_proves_it() -> None:
    """Thresholds, observed values, window, newest traces, prices and both sums are in the insight."""
    (insight,) = misuse().post(calls(20))
    evidence = insight.evidence

    assert evidence["thresholds"] == {"min_calls": 20, "max_output_tokens": 100, "window": "24h"}
    assert observed(insight) == {
        "calls": 20,
        "calls_with_known_output": 20,
        "average_output_tokens": 50.0,
        "p50_output_tokens": 51,  # within 4.3 %
        "p90_output_tokens": 51,
        "longest_output_tokens": 51,
        "short_share": 1.0,
        "structured_calls": 0,
        "calls_with_tools_or_reasoning": 0,
        "features": [{"name": "unattributed", "calls": 20, "usd": "0.06"}],
    }
    assert evidence["window"] == {"from": "2026-11-01T12:15:00Z", "to": "2026-11-02T12:00:19Z"}
    assert evidence["sample_trace_ids"] == [number.to_bytes(16, "big").hex() for number in (20, 19, 18, 17, 16)]
    # 20 × (1,000 × 2.50 + 50 × 10) on gpt-4o, 20 × (1,000 × 0.15 + 50 × 0.60) on gpt-4o-mini, by the million
    assert (evidence["spend_30d_usd"], evidence["alternative_30d_usd"]) == ("0.06", "0.0036")
    assert insight.estimated_monthly_savings_usd == "0.0564"
    assert evidence["projected_monthly_spend_usd"] == "1.8"  # a day's × 30, and called a projection
    assert evidence["projected_monthly_savings_usd"] == "1.692"
    assert evidence["price_ids"] == ["openai/gpt-4o", "openai/gpt-4o-mini"]
    assert evidence["catalogue"].startswith("genai-prices/")
    assert "gpt-4o-mini" in insight.suggested_fix


def test_unpriced_calls_save_nothing_known() -> None:
    """A premium model of a provider without prices fires, and its money stays unknown rather than zero."""
    (insight,) = misuse().post(calls(20, provider="somebody"))

    assert insight.estimated_monthly_savings_usd is None
    assert insight.evidence["spend_30d_usd"] is None
    assert "catalogue" not in insight.evidence


NOT_SIMPLE: list[dict[str, Any]] = [
    {"task": Task.TOOLS_OFFERED | Task.TOOLS_TOLD},
    {"task": Task.TOOLS_CALLED},
    {"task": Task.OTHER_OUTPUT},
    {"finish_reason": "tool_calls"},
    {"tokens": Tokens(1_000, 50, reasoning=40)},
]


@pytest.mark.parametrize("told", NOT_SIMPLE)
def test_work_that_is_told_not_to_be_simple_is_set_aside(told: dict[str, Any]) -> None:
    """Calls with tools, reasoning or an answer that is no text neither fire nor count, and are listed."""
    assert misuse().post(calls(100, **told)) == []

    shard = misuse()
    shard.post(calls(19))
    assert shard.post(calls(30, first=100, **told)) == []
    (insight,) = shard.post([a_call(20)])
    assert (observed(insight)["calls"], observed(insight)["calls_with_tools_or_reasoning"]) == (20, 30)
    assert insight.evidence["spend_30d_usd"] == "0.06"  # of the twenty alone


@pytest.mark.parametrize(
    "told",
    [
        {"task": Task.TOOLS_TOLD | Task.FORMAT_TOLD},
        {"task": Task.STRUCTURED},
        {"finish_reason": "stop"},
        {"tokens": Tokens(1_000, 50, reasoning=0)},
    ],
)
def test_work_that_is_told_to_be_simple_fires(told: dict[str, Any]) -> None:
    """No tools, no reasoning and structured answers are what the rule looks for."""
    (insight,) = misuse().post(calls(20, **told))
    assert observed(insight)["structured_calls"] == (20 if told.get("task") == Task.STRUCTURED else 0)


def test_a_mean_of_few_long_answers_among_many_short_ones_shows() -> None:
    """Ninety-five answers of one token and five of 1,500 average 76: median, ninth tenth, longest and share tell."""
    shard = misuse()
    told = shard.post(calls(95, tokens=Tokens(1_000, 1), feature="tags"))
    assert [insight.status for insight in told] == [Status.FIRING, Status.UPDATE, Status.UPDATE]
    shard.post(calls(5, first=200, tokens=Tokens(1_000, 1_500), feature="letters"))
    told = shard.post(calls(20, first=300, start=NOON + MINUTE, tokens=Tokens(1_000, 1), feature="tags"))
    told += shard.post(calls(60, first=400, start=NOON + MINUTE, tokens=Tokens(1_000, 1), feature="tags"))

    seen = observed(told[-1])  # at 160 calls, twice the 80 of the update before: 155 of one token, 5 of 1,500
    assert (seen["calls"], seen["average_output_tokens"], seen["short_share"]) == (160, 47.8, 0.969)
    assert (seen["p50_output_tokens"], seen["p90_output_tokens"]) == (1, 1)
    assert abs(seen["longest_output_tokens"] - 1_500) <= 0.043 * 1_500
    assert [(part["name"], part["calls"]) for part in seen["features"]] == [("tags", 155), ("letters", 5)]
    assert "half of them had at most 1" in told[-1].summary
