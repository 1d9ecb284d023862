"""Bills line by line: whatever was used, the lines add up to the cost, to the nano-dollar."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calls import a_call
from tokensense_otel.core.call import CostKind, Tokens
from tokensense_otel.core.money import nanos
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.pricing.itemised import Line, itemise

CATALOGUE = Catalogue.load()
MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "o3"),
    ("openai", "gpt-4o-audio-preview"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gcp.gemini", "gemini-2.5-pro"),
    ("openai", "no-such-model"),
]


def count(most: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(0, most)


@settings(max_examples=400, deadline=None)
@given(
    model=st.sampled_from(MODELS),
    tier=st.sampled_from(["", "batch", "flex", "priority"]),
    tokens=st.builds(
        Tokens, count(300_000), count(9_000), *[count(2_000)] * 3, count(500), count(90), count(90), count(90)
    ),
)
def test_the_lines_add_up_to_the_cost(model: tuple[str, str], tier: str, tokens: Tokens) -> None:
    """Rounded once, low and high; a call without a known cost has no lines."""
    call = a_call(provider=model[0], request_model=model[1], response_model=model[1], service_tier=tier, tokens=tokens)
    cost, lines = CATALOGUE.cost(call), itemise(CATALOGUE, call)
    if cost.kind is CostKind.UNKNOWN:
        assert lines == []
    assert nanos(sum((line.low for line in lines), Decimal(0))) == cost.low
    assert nanos(sum((line.high for line in lines), Decimal(0))) == cost.high


@pytest.mark.parametrize(
    ("long", "writes"),
    [
        (None, [("cache write", 500, "3.75", "0.001875", "0.003")]),
        (200, [("cache write, 5 min", 300, "3.75", "0.001125"), ("cache write, 1 h", 200, "6", "0.0012")]),
    ],
)
def test_a_line_is_tokens_times_price(long: int | None, writes: list[tuple[str, int, str, str]]) -> None:
    """Claude Sonnet 4.5 lists 3, 0.30, 3.75 (5 min), 6 (1 h) and 15 USD a million; an open lifetime is a range."""
    call = a_call(
        provider="anthropic",
        request_model="claude-sonnet-4-5",
        response_model="claude-sonnet-4-5",
        tokens=Tokens(3000, 400, 1000, 500, long),
    )
    expected: list[tuple[Any, ...]] = [
        ("input", 1500, "3", "0.0045"),
        ("cache read", 1000, "0.3", "0.0003"),
        *writes,
        ("output", 400, "15", "0.006"),
    ]
    assert itemise(CATALOGUE, call) == [
        Line(item, tokens, Decimal(price), Decimal(low), Decimal(high[0] if high else low))
        for item, tokens, price, low, *high in expected
    ]
