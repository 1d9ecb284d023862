"""LONG_PROMPTS on both sides of everything it compares."""

import pytest

from tests.unit.dataflow.rules.traffic import NOON, Shard, a_call, calls, observed, only
from tokensense_otel.core.call import Tokens
from tokensense_otel.core.insight import Severity


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


def test_the_saving_is_what_the_overlong_part_cost() -> None:
    """Each prompt cut to the threshold is the alternative; what was cached is shown and priced as cached."""
    (insight,) = long().post(calls(20, tokens=Tokens(3_000, 10, cache_read=1_500)))

    assert observed(insight)["cached_share"] == 0.5
    # as sent: 1,500 × 2.50 + 1,500 × 1.25 + 10 × 10; cut: 500 × 2.50 + 1,500 × 1.25 + 10 × 10; 20 times, by the million
    assert insight.evidence["spend_30d_usd"] == "0.1145"
    assert insight.evidence["alternative_30d_usd"] == "0.0645"
    assert insight.estimated_monthly_savings_usd == "0.05"


def test_short_prompts_of_the_slice_save_nothing() -> None:
    """A prompt that is not too long is part of the spend and none of the saving."""
    shard = long()
    shard.post(calls(10, tokens=Tokens(2_000, 0), first=100))
    told = shard.post(calls(10, tokens=Tokens(4_000, 0)))

    # 10 × 2,000 × 2.50 + 10 × 4,000 × 2.50 spent; 10 × 2,000 × 2.50 saved, by the million
    assert told[-1].evidence["spend_30d_usd"] == "0.15"
    assert told[-1].estimated_monthly_savings_usd == "0.05"
