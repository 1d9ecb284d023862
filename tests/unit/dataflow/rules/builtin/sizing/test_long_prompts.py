"""LONG_PROMPTS on both sides of everything it compares."""

import pytest

from tests.unit.dataflow.rules.traffic import HOUR, NOON, Shard, a_call, calls, observed, only, statuses
from tokensense_otel.core.call import Tokens
from tokensense_otel.core.insight import Severity, Status


def long() -> Shard:
    return Shard(only("LONG_PROMPTS"))


def test_it_fires_at_the_twentieth_call() -> None:
    """Nineteen long prompts say nothing; the twentieth fires."""
    shard = long()
    assert shard.post(calls(19, tokens=Tokens(3_000, 10))) == []

    (insight,) = shard.post([a_call(20, NOON + 1, tokens=Tokens(3_000, 10))])
    assert (insight.severity, insight.scope) == (Severity.MEDIUM, {"team": "checkout", "model": "gpt-4o"})


@pytest.mark.parametrize(("last", "fires"), [(2_000, False), (2_001, True)])
def test_the_average_input_has_to_be_above_two_thousand(last: int, fires: bool) -> None:
    """Twenty prompts of 2,000 are not above it; one token more in one of them is."""
    shard = long()
    shard.post(calls(19, tokens=Tokens(2_000, 10)))

    assert bool(shard.post([a_call(20, tokens=Tokens(last, 10))])) == fires


def test_calls_without_known_input_and_embeddings_do_not_count() -> None:
    """Only prompts whose length is known are averaged, and what is embedded is no prompt."""
    shard = long()
    shard.post(calls(19, tokens=Tokens(3_000, 10)))

    assert shard.post(calls(5, first=30, tokens=Tokens(output=10))) == []
    assert shard.post(calls(5, first=40, tokens=Tokens(3_000), operation="embeddings")) == []


@pytest.mark.parametrize(("read", "fires"), [(None, True), (0, True), (1_999, True), (2_000, False), (4_000, False)])
def test_what_came_from_the_cache_is_no_part_of_it(read: int | None, fires: bool) -> None:
    """Of 4,000 tokens more than 2,000 have to be paid in full; where nobody says what was cached, all are."""
    assert bool(long().post(calls(20, tokens=Tokens(4_000, 10, read)))) == fires


def test_the_saving_is_what_the_overlong_part_cost() -> None:
    """What was not cached, cut to the threshold, is the alternative; what was cached stays and is shown."""
    (insight,) = long().post(calls(20, tokens=Tokens(4_500, 10, cache_read=1_500)))

    assert observed(insight)["cached_share"] == 0.333
    assert (observed(insight)["average_input_tokens"], observed(insight)["average_uncached_tokens"]) == (4_500, 3_000)
    # as sent: 3,000 × 2.50 + 1,500 × 1.25 + 10 × 10; cut: 2,000 × 2.50 + 1,500 × 1.25 + 10 × 10; 20 of each, a million
    assert insight.evidence["spend_30d_usd"] == "0.1895"
    assert insight.evidence["alternative_30d_usd"] == "0.1395"
    assert insight.estimated_monthly_savings_usd == "0.05"
    assert "33% of the input came from a cache" in insight.summary


def test_it_shows_what_repeats() -> None:
    """Of twenty prompts, sixteen of one kind and four of their own, all with one beginning, shares repeat."""
    shard = long()
    same = calls(16, tokens=Tokens(3_000, 10), prompt_hash="same", prefix_hash="begin")
    own = [a_call(50 + n, tokens=Tokens(3_000, 10), prompt_hash=f"p{n}", prefix_hash="begin") for n in range(4)]
    (insight,) = shard.post([*own, *same])

    # 15 of 20 were sent before, and 19 of 20 began as one before
    assert observed(insight)["repeated_prompt_share"] == 0.75
    assert observed(insight)["repeated_beginning_share"] == 0.95


def test_without_hashes_and_cached_counts_it_says_that_nobody_tells() -> None:
    """Unknown shares are null, not zero."""
    (insight,) = long().post(calls(20, tokens=Tokens(3_000, 10)))

    seen = observed(insight)
    assert seen["cached_share"] is seen["repeated_prompt_share"] is seen["repeated_beginning_share"] is None
    assert "not reported" in insight.summary


def test_an_open_finding_is_over_below_nine_tenths() -> None:
    """It fires above 2,000 and is over only once the average is no more than 1,800."""
    shard = long()
    shard.post(calls(20, tokens=Tokens(2_100, 0)))
    shard.post(calls(20, first=100, start=NOON + HOUR, tokens=Tokens(1_600, 0)))  # 1,850 on average
    assert shard.advance(NOON + 2 * HOUR) == []

    shard.post(calls(20, first=200, start=NOON + 2 * HOUR, tokens=Tokens(1_700, 0)))  # 1,800
    assert statuses(shard.advance(NOON + 3 * HOUR)) == [Status.RESOLVED]


def test_short_prompts_of_the_slice_save_nothing() -> None:
    """A prompt that is not too long is part of the spend and none of the saving."""
    shard = long()
    shard.post(calls(10, tokens=Tokens(2_000, 0), first=100))
    told = shard.post(calls(10, tokens=Tokens(4_000, 0)))

    # 10 × 2,000 × 2.50 + 10 × 4,000 × 2.50 spent; 10 × 2,000 × 2.50 saved, by the million
    assert told[-1].evidence["spend_30d_usd"] == "0.15"
    assert told[-1].estimated_monthly_savings_usd == "0.05"
