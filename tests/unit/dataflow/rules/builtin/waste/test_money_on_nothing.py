"""What holds for every rule about money that bought nothing: books that can be taken back, whatever the batches."""

import random as random_
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataflow.rules.traffic import CATALOGUE, HOUR, NOON, SECOND, Shard, a_call, only
from tokensense_otel.core.call import Call, Posting, Tokens
from tokensense_otel.core.insight import Status
from tokensense_otel.dataflow.rules import RuleSet, RuleShard

RULES: dict[str, dict[str, Any]] = {
    "ERROR_SPEND": {"min_calls": 3, "min_errors": 2, "min_usd": 0.001},
    "RETRY_WASTE": {"min_attempts": 2, "min_usd": 0.001},
    "TRUNCATION": {"min_calls": 3, "min_truncated": 2},
    "REASONING_OVERSPEND": {"min_calls": 2, "min_usd": 0.001},
    "BATCH_ELIGIBLE": {"min_calls": 4, "min_days": 2, "min_usd": 0.001},
    "UNATTRIBUTED": {"min_calls": 3, "min_usd": 0.001},
    "PRICE_CHANGE": {"min_usd": 0.001},
}
"""Each with thresholds that a few calls cross."""
DEFAULTS = RuleSet()
SETS = {rule: only(rule, **options) for rule, options in RULES.items()}

TOKENS = (Tokens(1_000, 50), Tokens(9_000, 900, 4_000, reasoning=890), Tokens(), Tokens(5_000, 30, reasoning=0))
shapes = st.fixed_dictionaries(
    {
        "hour": st.integers(0, 4 * 24),
        "second": st.integers(0, 20),
        "team": st.sampled_from(["a", "b", ""]),
        "model": st.sampled_from(["gpt-4o", "gpt-5.6-terra", "house-model"]),
        "tokens": st.sampled_from(TOKENS),
        "error_type": st.sampled_from(["", "", "timeout"]),
        "finish_reason": st.sampled_from(["stop", "length", ""]),
        "prompt_hash": st.sampled_from(["", "p", "q"]),
        "streaming": st.sampled_from([False, False, False, True]),
    }
)


def made(number: int, shape: dict[str, Any]) -> Call:
    """A call near the day on which gpt-5.6-terra became cheaper, 30 July 2026."""
    values = dict(shape)
    values["request_model"] = values.pop("model")
    at = NOON - 97 * 24 * HOUR + values.pop("hour") * HOUR + values.pop("second") * SECOND
    return a_call(number, at, feature="f", **values)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=25, deadline=None)
@given(some=st.lists(shapes, min_size=1, max_size=30), random=st.randoms(use_true_random=False))
def test_what_is_taken_back_leaves_nothing(rule: str, some: list[dict[str, Any]], random: random_.Random) -> None:
    """After all calls were posted and taken back, in other orders, no sum of any key is left and nothing fires."""
    shard = Shard(SETS[rule])
    calls = [made(number, shape) for number, shape in enumerate(some, 1)]
    now = max(call.end_ns for call in calls)
    shard.post(calls, now_ns=now)
    random.shuffle(calls)
    shard.reverse(calls, now_ns=now)
    table = shard.shard._tables[rule]
    for key, series in table.items():
        assert not any(series.window.totals), key
        assert not any(series.month.totals)
        assert table.rule.judge(series, SETS[rule].defaults.of(rule)) is None
        assert all(time_ns < series.bounds()[0] for time_ns, _ in series.samples)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=25, deadline=None)
@given(some=st.lists(shapes, min_size=1, max_size=40), random=st.randoms(use_true_random=False))
def test_batches_and_crashes_change_nothing(rule: str, some: list[dict[str, Any]], random: random_.Random) -> None:
    """The same postings in other batches, with restarts in between, tell the same; no saving is above the spend."""
    rules = SETS[rule]
    postings: list[Posting] = []
    posted: list[Call] = []
    for number, shape in enumerate(some, 1):
        posted.append(made(number, shape))
        postings.append(Posting(1, posted[-1]))
        if random.random() < 0.2:
            postings.append(Posting(-1, posted.pop(random.randrange(len(posted)))))
    now = max(posting.call.end_ns for posting in postings)
    one = RuleShard(rules, CATALOGUE).ingest(postings, [], now)

    shard, told = RuleShard(rules, CATALOGUE), []
    while postings:
        count = random.randint(1, 5)
        told += shard.ingest(postings[:count], [], now)
        del postings[:count]
        if random.random() < 0.3:
            shard = RuleShard.restore(rules, CATALOGUE, shard.snapshot())

    assert told == one
    for insight in one:
        if insight.status is not Status.RESOLVED and insight.estimated_monthly_savings_usd is not None:
            assert Decimal(insight.estimated_monthly_savings_usd) <= Decimal(insight.evidence["spend_30d_usd"])


@settings(max_examples=100, deadline=None)
@given(shapes)
def test_observing_is_pure(shape: dict[str, Any]) -> None:
    """What a call means does not depend on what was asked before, and the call stays as it was."""
    call = made(1, shape)
    before = msgspec.msgpack.encode(call)
    for name in RULES:
        rule: Any = DEFAULTS.rules[name]
        config = DEFAULTS.defaults.of(name)
        assert rule.observe(call, config, CATALOGUE) == rule.observe(call, config, CATALOGUE)
    assert msgspec.msgpack.encode(call) == before
