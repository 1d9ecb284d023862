"""Rounding, and that the quick way through a bill is the same as the long one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dataflow.pricing.calls import call
from tokensense_otel.core.call import CostKind, Tokens
from tokensense_otel.dataflow.pricing.bill import bounds, half_even
from tokensense_otel.dataflow.pricing.catalogue import Catalogue
from tokensense_otel.dataflow.pricing.overlay import NOBODY

CATALOGUE = Catalogue.load()
MODELS = [("openai", "gpt-4o"), ("openai", "gpt-4"), ("anthropic", "claude-sonnet-4-5"), ("perplexity", "sonar-pro")]

count = st.integers(0, 400_000)
maybe = st.none() | st.integers(0, 1_000)


@pytest.mark.parametrize(
    ("total", "rounded"),
    [(1_499_999, 1), (1_500_000, 2), (1_500_001, 2), (2_499_999, 2), (2_500_000, 2), (2_500_001, 3), (0, 0)],
)
def test_halves_go_to_the_even_neighbour(total: int, rounded: int) -> None:
    """A bill is rounded once, half to even, to whole nano-dollars."""
    assert half_even(total) == rounded


@given(
    model=st.sampled_from(MODELS),
    tokens=st.builds(Tokens, st.none() | count, st.none() | count, maybe, maybe, maybe, maybe),
)
def test_the_everyday_way_equals_the_long_way(model: tuple[str, str], tokens: Tokens) -> None:
    """For any usage, `Catalogue.cost` equals the bounds of the long calculation on the same rates."""
    cost = CATALOGUE.cost(call(model[1], tokens, provider=model[0]))
    if not tokens.known:
        assert cost.kind is CostKind.UNKNOWN
        return
    schedule = CATALOGUE._plans[(model[0], "", "", model[1], "", NOBODY)].schedule
    assert schedule is not None
    entry = schedule.at(call("x", tokens).end_ns)
    rates = next(rates for above, rates in entry.bands if (tokens.input or 0) > above or above < 0)
    low, high, reasons = bounds(rates, tokens, generates=True)

    assert (cost.low, cost.high) == (half_even(low), half_even(high))
    assert (cost.kind is CostKind.ESTIMATED) == bool(reasons)
    assert cost.reason == "; ".join(reasons)


@given(tokens=st.builds(Tokens, count, count, maybe, maybe, maybe, maybe, maybe, maybe, maybe))
def test_a_bill_is_never_upside_down(tokens: Tokens) -> None:
    """The lowest bill is never above the highest and never negative, whatever was reported."""
    for provider, model in [*MODELS, ("openai", "gpt-4o-realtime-preview"), ("openai", "gpt-image-1.5")]:
        cost = CATALOGUE.cost(call(model, tokens, provider=provider))
        assert 0 <= cost.low <= cost.high
        assert cost.kind is not CostKind.KNOWN or cost.low == cost.high
