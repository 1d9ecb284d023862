"""The compiled table against genai-prices' own calculation, on every listed model."""

from datetime import UTC, datetime

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider, Usage

from tokensense_otel.core.call import Tokens
from tokensense_otel.core.money import nanos
from tokensense_otel.dataflow.pricing.bill import bounds, half_even
from tokensense_otel.dataflow.pricing.rates import band, compile_schedule

MOMENTS = [
    datetime(2024, 3, 1, 2, 30, tzinfo=UTC),
    datetime(2025, 6, 10, 0, 0, tzinfo=UTC),
    datetime(2026, 10, 14, 8, 15, tzinfo=UTC),
    datetime(2026, 11, 20, 23, 59, tzinfo=UTC),
]
USAGES = [
    Tokens(1_000, 100, 0, 0, 0),
    Tokens(123_457, 7_891, 100_003, 0, 0),
    Tokens(200_001, 11, 1, 1_000, 0),
    Tokens(272_001, 999, 5, 70_000, 30_000),
    Tokens(0, 13, 0, 0, 0),
]
TIERS: list[tuple[str, dict[str, str]]] = [
    ("", {}),
    ("batch", {"processing": "batch"}),
    ("flex", {"service_tier": "flex"}),
    ("priority", {"service_tier": "priority"}),
]

PROVIDERS = get_snapshot().providers


def _theirs(provider: Provider, model: ModelInfo, tokens: Tokens, moment: datetime, context: dict[str, str]) -> int:
    usage = Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        cache_write_1h_tokens=tokens.cache_write_1h,
    )
    price = model.calc_price(usage, provider, genai_request_timestamp=moment, price_context=context or None)
    return nanos(price.total_price)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.id)
def test_every_listed_model_costs_what_the_price_list_says(provider: Provider) -> None:
    """Whatever the model, day, hour, tier and context length, a certain bill equals genai-prices' to the nano-dollar,
    and an uncertain one has it as its upper bound."""
    for number, model in enumerate(provider.models):
        tier, context = TIERS[number % len(TIERS)]
        schedule = compile_schedule(provider.id, model, tier)
        for moment in MOMENTS:
            for tokens in USAGES:
                rates = band(schedule.at(_ns(moment)).bands, tokens.input or 0)
                low, high, reasons = bounds(rates, tokens, generates=True)
                # A listed price with more than nine decimals (float noise in the list) is rounded to nine: within
                # a rounding unit of every class this stays below one nano-dollar for each 500,000 tokens.
                theirs = _theirs(provider, model, tokens, moment, context)
                if rates.media_output is None:
                    assert abs(half_even(high) - theirs) <= 1, (model.id, moment, tokens, reasons)
                else:  # images in the output are not told from text, and theirs takes it all for text
                    assert half_even(low) - 1 <= theirs <= half_even(high), (model.id, moment, tokens, reasons)
                if not reasons:
                    assert low == high
