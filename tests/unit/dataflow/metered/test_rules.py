"""Sums of many calls before the rules: SPIKE counts each of them, and no other rule takes one for a call."""

import msgspec
import pytest

from tests.support.calls import NOON, SECOND, a_call, posted
from tokensense_otel.core.call import Call, Source, Tokens
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RulesConfig, RuleSet, RuleShard

CATALOGUE = Catalogue.load()
DAY = 86_400 * SECOND


def metered(count: int, time_ns: int, number: int = 0, **changes: object) -> Call:
    """So many calls of one interval, to a model for which small answers are a waste."""
    return a_call(
        span_id=number.to_bytes(8, "big"),
        start_ns=time_ns - 60 * SECOND,
        end_ns=time_ns,
        request_model="claude-opus-4-1",
        response_model="claude-opus-4-1",
        provider="anthropic",
        tokens=Tokens(5_000 * count, 10 * count),
        count=count,
        source=Source.METER,
        **changes,
    )


@pytest.mark.parametrize(("today", "fires"), [(300, False), (301, True)])
def test_spike_counts_every_call_of_a_sum(today: int, fires: bool) -> None:
    """100 calls on each of three days, told in one line a day, and more than three times as many today."""
    shard = RuleShard(RuleSet(RulesConfig(), {}), CATALOGUE)
    calls = [metered(100, NOON + day * DAY, day) for day in range(3)] + [metered(today, NOON + 3 * DAY, 3)]
    told = [insight for call in calls for insight in shard.ingest(posted(call), [], call.end_ns)]
    assert [insight.rule for insight in told] == ["SPIKE"] * fires
    for insight in told:
        assert insight.evidence["observed"]["calls_today"] == today
        assert insight.evidence.get("sample_trace_ids", []) == []


@pytest.mark.parametrize(("source", "fires"), [(Source.METER, False), (Source.RECORD, True), (Source.SPAN, True)])
def test_rules_about_single_calls_need_single_calls(source: Source, fires: bool) -> None:
    """200 postings that would be a waste, call by call, are none where each may be any number of calls."""
    shard = RuleShard(RuleSet(RulesConfig(), {}), CATALOGUE)
    calls = [metered(1, NOON + number * SECOND, number) for number in range(200)]
    changed = [msgspec.structs.replace(call, source=source) for call in calls]
    told = shard.ingest(posted(*changed), [], NOON + 300 * SECOND)
    assert bool(told) is fires
