"""CACHE_WASTE on both sides of everything it compares, and in bounded memory."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataflow.rules.traffic import NOON, Shard, a_call, calls, observed, only
from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.core.insight import Severity


def waste(**options: Any) -> Shard:
    return Shard(only("CACHE_WASTE", **options))


def test_it_fires_at_the_fiftieth_equal_prompt() -> None:
    """Forty-nine say nothing; the fiftieth fires."""
    shard = waste()
    assert shard.post(calls(49, prompt_hash="abc")) == []

    (insight,) = shard.post([a_call(50, NOON + 1, prompt_hash="abc")])
    assert (insight.severity, insight.scope) == (Severity.MEDIUM, {"team": "checkout", "prompt_hash": "abc"})


@pytest.mark.parametrize(("cached", "fires"), [(None, True), (0, True), (1, False)])
def test_one_repeat_with_cached_tokens_is_enough_to_be_silent(cached: int | None, fires: bool) -> None:
    """Cached tokens on any of the repeats mean that a cache works; zero and unreported do not."""
    shard = waste()
    shard.post(calls(30, prompt_hash="abc"))
    shard.post([a_call(31, prompt_hash="abc", tokens=Tokens(1_000, 50, cached))])

    assert bool(shard.post(calls(40, first=40, prompt_hash="abc"))) == fires


def test_teams_prompts_and_failures_are_kept_apart() -> None:
    """Other prompts, other teams, failed calls and calls without a hash never add up to fifty."""
    shard = waste()
    shard.post(calls(49, prompt_hash="abc"))

    assert shard.post(calls(49, first=100, prompt_hash="other")) == []
    assert shard.post(calls(49, first=200, prompt_hash="abc", team="search")) == []
    assert shard.post(calls(49, first=300, prompt_hash="abc", error_type="429")) == []
    assert shard.post(calls(99, first=400)) == []


def test_the_saving_is_what_the_repeats_cost() -> None:
    """All but the first of the equal calls could have been answered from a cache; the prompt cache spares less."""
    (insight,) = waste().post(calls(50, prompt_hash="abc", tokens=Tokens(2_000, 50)))

    # 50 × (2,000 × 2.50 + 50 × 10) spent, 49 of them for repeats; 49 × 2,000 × (2.50 − 1.25) by the prompt cache
    assert insight.evidence["spend_30d_usd"] == "0.275"
    assert insight.estimated_monthly_savings_usd == "0.2695"
    assert insight.evidence["repeats_in_window_usd"] == "0.2695"
    assert insight.evidence["prompt_cache_would_save_in_window_usd"] == "0.1225"
    assert observed(insight) == {
        "calls": 50,
        "repeats": 49,
        "repeats_served_by_prompt_cache": 0,
        "calls_that_report_cached_tokens": 0,
        "input_tokens": 100_000,
        "cached_tokens": 0,
    }


@pytest.mark.parametrize(
    ("model", "count", "saving"),
    [
        ("gpt-4", 2_000, "3.087"),  # 49 × (2,000 × 30 + 50 × 60): it has no prompt cache
        ("gpt-4o", 1_023, "0.1498175"),  # 49 × (1,023 × 2.50 + 50 × 10): too short for it
    ],
)
def test_where_no_prompt_cache_could_help_it_spares_nothing(model: str, count: int, saving: str) -> None:
    """Without a prompt cache, or below its minimum, only a cache of answers helps."""
    (insight,) = waste().post(calls(50, prompt_hash="abc", request_model=model, tokens=Tokens(count, 50)))

    assert insight.estimated_monthly_savings_usd == saving
    assert insight.evidence["prompt_cache_would_save_in_window_usd"] == "0"


def test_unpriced_repeats_save_nothing_known() -> None:
    """Without a price it fires, and no sum is made up."""
    (insight,) = waste().post(calls(50, prompt_hash="abc", request_model="house-model"))

    assert insight.estimated_monthly_savings_usd is None
    assert insight.evidence["repeats_in_window_usd"] is None


@pytest.mark.parametrize(("cached", "words"), [(0, "no cached tokens were reported"), (None, "nothing was said")])
def test_reported_zero_and_nothing_reported_are_told_apart(cached: int | None, words: str) -> None:
    """Both fire; the summary says which it was."""
    (insight,) = waste().post(calls(50, prompt_hash="abc", tokens=Tokens(1_000, 50, cached)))
    assert words in insight.summary


def test_repeats_that_the_prompt_cache_served_are_told_when_asked_for() -> None:
    """With `served_too` what was still paid is the waste, with the served part in numbers of its own."""
    shard = waste(served_too=True)
    (insight,) = shard.post(calls(50, prompt_hash="abc", tokens=Tokens(2_000, 50, 1_800)))

    assert observed(insight)["repeats_served_by_prompt_cache"] == 50
    assert observed(insight)["cached_tokens"] == 90_000
    # 50 × (200 × 2.50 + 1,800 × 1.25 + 50 × 10) spent; the last 200 tokens are what the prompt cache left
    assert insight.estimated_monthly_savings_usd == "0.15925"  # 49 × 0.00325
    assert insight.evidence["prompt_cache_would_save_in_window_usd"] == "0.01225"  # 49 × 200 × 1.25
    assert "partly" in insight.title


def flood(count: int, *, first: int = 1_000) -> list[Call]:
    """`count` calls, each prompt twice in a row."""
    return [a_call(first + number, NOON + number * 2, prompt_hash=f"h{number // 2}") for number in range(count)]


def test_the_number_of_prompts_is_bounded_and_heavy_ones_survive() -> None:
    """A prompt sent often is found in a flood of others, with no more keys than allowed, and the rest is reported."""
    shard = waste(max_keys=100)
    heavy = calls(50, prompt_hash="heavy", step=100)
    told = shard.post(sorted([*heavy, *flood(2_500)], key=lambda call: call.end_ns))

    assert [insight.scope["prompt_hash"] for insight in told] == ["heavy"]
    table = shard.shard._tables["CACHE_WASTE"]
    assert len(table.items()) == 100
    assert table.other.keys >= 1_250 + 1 - 100


def test_prompts_that_come_once_take_no_key() -> None:
    """A thousand prompts that never return are none too many for a hundred keys."""
    shard = waste(max_keys=100)
    shard.post([a_call(number, NOON + number, prompt_hash=f"h{number}") for number in range(1_000)])

    assert shard.shard._tables["CACHE_WASTE"].items() == []


prompts = st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=300)


@settings(max_examples=60, deadline=None)
@given(prompts)
def test_nothing_is_made_up_for_want_of_memory(sent: list[tuple[int, bool]]) -> None:
    """With far too few keys, whatever fires is true: that prompt was sent so often and never with cached tokens."""
    shard = waste(max_keys=3, min_repeats=5)
    seen: dict[str, list[bool]] = {}
    for number, (prompt, cached) in enumerate(sent):
        name = f"p{prompt}"
        seen.setdefault(name, []).append(cached)
        tokens = Tokens(1_000, 50, 500 if cached else 0)
        for insight in shard.post([a_call(number, NOON + number, prompt_hash=name, tokens=tokens)]):
            history = seen[insight.scope["prompt_hash"]]
            if insight.status == "firing":
                assert len(history) >= 5
                assert not any(history)


def test_a_forgotten_prompt_that_was_cached_stays_silent() -> None:
    """Giving up a key does not forget that its prompt is cached, not even across a restart."""
    shard = waste(max_keys=2, min_repeats=5)
    shard.post(calls(2, prompt_hash="cached", tokens=Tokens(1_000, 50, 900)))
    shard.post(flood(20, first=100))
    shard.crash()

    assert shard.post(calls(20, first=200, prompt_hash="cached")) == []


def test_an_open_finding_is_not_given_up() -> None:
    """Keys whose finding is open outlive any flood; when only such keys are left, new ones are not taken."""
    shard = waste(max_keys=2, min_repeats=2)
    shard.post(calls(2, prompt_hash="a"))
    shard.post(calls(2, prompt_hash="b", first=10))
    assert shard.post(calls(5, prompt_hash="c", first=20)) == []

    kept = {key[-1] for key, _ in shard.shard._tables["CACHE_WASTE"].items()}
    assert kept == {"a", "b"}


def test_a_first_call_that_was_cached_is_remembered_while_it_waits() -> None:
    """A prompt whose only call had cached tokens stays silent when it returns, even after thousands of others came."""
    shard = waste(min_repeats=5)
    shard.post(calls(1, prompt_hash="cached", tokens=Tokens(1_000, 50, 900)))
    shard.post([a_call(100 + number, NOON + number, prompt_hash=f"h{number}") for number in range(3_000)])

    assert shard.post(calls(20, first=9_000, start=NOON + 5_000, prompt_hash="cached")) == []
