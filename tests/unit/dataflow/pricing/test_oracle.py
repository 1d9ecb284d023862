"""Costs against the slow oracle, to the nano-dollar: on every call of the captures, and on calls of every kind.

Where ours deliberately differs from genai-prices' own calculation is listed in `DIFFERENCES`, each with its test below.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import StartDateConstraint, TimeOfDateConstraint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.books import facts_of
from tests.support.captures import NAMES
from tests.unit.dataflow.pricing import oracle
from tests.unit.dataflow.pricing.calls import call, ns
from tokensense_otel.core.call import Call, Cost, CostKind, Tokens
from tokensense_otel.core.money import nanos
from tokensense_otel.dataflow.pricing import Catalogue

CATALOGUE = Catalogue.load()

DIFFERENCES: Final = {
    "cache reads have no listed price": "theirs charges them as input; ours as nothing to input",
    "cache writes have no listed price; input price used": "as theirs, but ours says that it is an estimate",
    "one-hour cache writes have no listed price; the short one used": "as theirs, but ours says that it is an estimate",
    "how much of the output was images or video was not reported": "theirs takes it all for text; ours says to where",
    "standard price used": "a tier without a price (on that day, or of a model of another provider): ours has bounds",
    "no listed price; the cost is at least this": "a class without any price is free in theirs; ours says so",
    "a regional from a global inference profile": "theirs takes one; ours has both",
}
"""A part of the reason that ours gives, and what differs. No other reason occurs for usage that is known in full."""


def same(cost: Cost, theirs: int, call: Call) -> None:
    """The same to the nano-dollar; a listed price with more than nine decimals is read to nine, so one off there."""
    off = 1 if oracle.decimals(oracle.prices(call)) > 9 else 0
    if cost.kind is CostKind.KNOWN:
        assert abs(cost.low - theirs) <= off
    else:
        assert cost.low - off <= theirs <= cost.high + off
        assert any(part in cost.reason for part in DIFFERENCES), cost.reason


@pytest.mark.parametrize("folder", NAMES)
def test_every_call_of_a_capture_costs_what_the_oracle_says(folder: str) -> None:
    """Real calls of real instrumentations; where the lifetime of cache writes is open, at both ends of the estimate."""
    calls = [facts.call for many in facts_of(folder) for facts in many if facts.call and facts.call.tokens.known]
    for each in calls:
        cost = CATALOGUE.cost(each)
        tokens = each.tokens
        if not each.model:
            assert cost.kind is CostKind.UNKNOWN
            continue
        generates = each.operation != "embeddings" and oracle.prices(each).output_mtok is not None
        if tokens.input is None or (generates and tokens.output is None) or "a regional from a global" in cost.reason:
            assert cost.kind is CostKind.ESTIMATED
            continue
        assert cost.low == nanos(oracle.cost(each, one_hour=tokens.cache_write_1h or 0))
        longest = tokens.cache_write if tokens.cache_write_1h is None else tokens.cache_write_1h
        assert cost.high == nanos(oracle.cost(each, one_hour=longest))
        assert (cost.kind is CostKind.KNOWN) == (cost.low == cost.high)


def listed(each: Call) -> bool:
    try:
        oracle.listed(each)
    except LookupError:
        return False
    return True


MODELS = [(provider.id, model.id) for provider in get_snapshot().providers for model in provider.models]
FIRST, LAST = ns("2023-01-01T00:00:00") // 10**9, ns("2027-06-30T23:59:59") // 10**9


@st.composite
def tokens(draw: st.DrawFn) -> Tokens:
    """Usage in which every class is known and fits into what it is part of; audio and images only without a cache."""
    count = draw(st.integers(0, 2_000) | st.integers(0, 1_500_000))
    output = draw(st.integers(0, 200_000))
    reasoning = draw(st.integers(0, output))
    if draw(st.booleans()):
        read = draw(st.integers(0, count))
        write = draw(st.integers(0, count - read))
        return Tokens(count, output, read, write, draw(st.integers(0, write)), reasoning)
    audio = draw(st.integers(0, count))
    spoken = draw(st.integers(0, output - reasoning))
    return Tokens(count, output, 0, 0, 0, reasoning, audio, spoken, draw(st.integers(0, count - audio)))


@settings(max_examples=1_500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    named=st.sampled_from(MODELS),
    used=tokens(),
    second=st.integers(FIRST, LAST),
    tier=st.sampled_from(["", "", "batch", "flex", "priority", "fast"]),
)
def test_any_call_costs_what_the_oracle_says(named: tuple[str, str], used: Tokens, second: int, tier: str) -> None:
    """Whatever the provider, model, usage, second and tier: a known cost is theirs, an estimate has theirs within."""
    each = call(named[1], used, provider=named[0], end_ns=second * 10**9, tier=tier)
    cost = CATALOGUE.cost(each)
    if cost.kind is CostKind.UNKNOWN:
        # An id need not be a name: `regional.…` stands for names that begin with us., eu. and so on.
        assert "is not priced by tokens" in cost.reason or not listed(each)
        return
    same(cost, nanos(oracle.cost(each)), each)


def moments(provider: str, model: str) -> list[int]:
    """The seconds around every moment at which the list changes a model's prices."""
    found = next(
        each for one in get_snapshot().providers if one.id == provider for each in one.models if each.id == model
    )
    constraints = [each.constraint for each in found.prices] if isinstance(found.prices, list) else []
    constraints += [variant.constraint for variant in found.price_variants or ()]
    days = {each.start_date for each in constraints if isinstance(each, StartDateConstraint)}
    timed = [each for each in constraints if isinstance(each, TimeOfDateConstraint)]
    hours = {moment.hour for each in timed for moment in (each.start_time, each.end_time)}
    at = [datetime(day.year, day.month, day.day, hour, tzinfo=UTC) for day in days for hour in {0, *hours}]
    return [int(moment.timestamp()) + offset for moment in at for offset in (-1, 0)]


CHANGING = [named for named in MODELS if moments(*named)]


@pytest.mark.parametrize("tier", ["", "batch", "priority"])
def test_every_change_of_a_price_happens_in_its_second(tier: str) -> None:
    """Of each model whose listed price ever changes: the last second before, and the first second of, each change."""
    assert len(CHANGING) > 200
    for provider, model in CHANGING:
        for second in moments(provider, model):
            each = call(model, Tokens(1_000, 100, 0, 0, 0), provider=provider, end_ns=second * 10**9, tier=tier)
            cost = CATALOGUE.cost(each)
            if cost.kind is not CostKind.UNKNOWN:
                same(cost, nanos(oracle.cost(each)), each)


def test_a_call_is_priced_at_its_end() -> None:
    """A call that begins a second before a price changes, and ends in that very second, has the new price."""
    o3 = call("o3", Tokens(1_000, 1_000), end_ns=ns("2025-06-10T00:00:00"))
    assert o3.start_ns < ns("2025-06-10T00:00:00")

    assert CATALOGUE.cost(o3).low == nanos(Decimal("0.01"))  # 1,000 × 2 + 1,000 × 8; before: 1,000 × 10 + 1,000 × 40


@pytest.mark.parametrize(
    ("each", "reason", "low", "high"),
    [
        # 1,000 × 30 − 400 × 30 … 1,000 × 30
        (call("gpt-4", Tokens(1_000, 0, 400)), "cache reads have no listed price", "0.018", "0.03"),
        # 1,000 × 2.50
        (call("gpt-4o", Tokens(1_000, 0, 0, 400)), "cache writes have no listed price", "0.0025", "0.0025"),
        # 100 × 10 … 100 × 32
        (call("gpt-image-1.5", Tokens(0, 100)), "images or video", "0.001", "0.0032"),
        # 1,000 × 2.50, batch is listed from 2026-10-14 on
        (
            call("gpt-4o", Tokens(1_000, 0), tier="batch", end_ns=ns("2026-10-13T00:00:00")),
            "standard price used",
            "0.00125",
            "0.0025",
        ),
        # 1,000 × 3 (global) … 1,000 × 3.30 (regional)
        (
            call("claude-sonnet-4-5-20250929", Tokens(1_000, 0), provider="aws.bedrock"),
            "a regional from a global",
            "0.003",
            "0.0033",
        ),
        # 1,000 × 0.02, and no price for output of an embedding
        (call("text-embedding-3-small", Tokens(1_000, 5)), "the cost is at least this", "0.00002", "0.00002"),
    ],
)
def test_the_differences_are_estimates(each: Call, reason: str, low: str, high: str) -> None:
    """Where the list or the usage leaves something open, ours says what, and has theirs within its bounds."""
    cost = CATALOGUE.cost(each)

    assert (cost.kind, cost.low, cost.high) == (CostKind.ESTIMATED, nanos(Decimal(low)), nanos(Decimal(high)))
    assert reason in cost.reason
    same(cost, nanos(oracle.cost(each)), each)


def test_impossible_usage_is_no_error() -> None:
    """Where theirs raises, more cached than sent, ours bounds the cost and says why."""
    each = call("gpt-4o", Tokens(100, 0, 600))
    with pytest.raises(ValueError, match="cannot exceed"):
        oracle.cost(each)

    assert "more tokens were cached than sent" in CATALOGUE.cost(each).reason


def test_an_unlisted_model_is_unknown_to_both() -> None:
    """Where theirs raises, ours is unknown, and never nothing."""
    each = call("my-finetune", Tokens(1_000, 100))
    with pytest.raises(LookupError):
        oracle.cost(each)

    assert CATALOGUE.cost(each).kind is CostKind.UNKNOWN
