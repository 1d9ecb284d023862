"""What a call costs, slowly and obviously: genai-prices is asked anew for each call."""

from datetime import UTC, datetime
from decimal import Decimal

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices, Usage

from tokensense_otel.core.call import Call

PROVIDERS = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
}
"""OpenTelemetry's name → genai-prices'."""
CONTEXTS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}


def listed(call: Call) -> tuple[Provider, ModelInfo]:
    """By the first of the call's names that the list knows, the one in full before the others.

    Raises LookupError where the list has no such model.
    """
    provider = PROVIDERS.get(call.provider, call.provider)
    for name in filter(None, (call.full_model, call.response_model, call.request_model)):
        try:
            return get_snapshot().find_provider_model(name, None, provider, None)
        except LookupError:
            continue
    raise LookupError(call.model)


def cost(call: Call, *, one_hour: int | None = None) -> Decimal:
    """USD. `one_hour` says how many cache writes live for an hour, where the call does not.

    Raises LookupError where the list has no such model.
    """
    provider, model = listed(call)
    tokens = call.tokens
    usage = Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        cache_write_1h_tokens=tokens.cache_write_1h if one_hour is None else one_hour,
        output_reasoning_tokens=tokens.reasoning,
        input_audio_tokens=tokens.audio_input,
        output_audio_tokens=tokens.audio_output,
        input_image_tokens=tokens.image_input,
    )
    price = model.calc_price(
        usage,
        provider,
        genai_request_timestamp=datetime.fromtimestamp(call.end_ns // 1_000_000_000, UTC),
        price_context=CONTEXTS.get(call.service_tier),
    )
    return price.total_price


def prices(call: Call) -> ModelPrice:
    """The list's prices that `cost` applied."""
    provider, model = listed(call)
    context = CONTEXTS.get(call.service_tier) if any(model is each for each in provider.models) else None
    return model.get_prices(datetime.fromtimestamp(call.end_ns // 1_000_000_000, UTC), context)


def decimals(price: ModelPrice) -> int:
    """How many decimals the finest of these prices has."""
    found = [value for value in vars(price).values() if value is not None]
    flat = [one for value in found for one in _flat(value)]
    return max((-int(one.as_tuple().exponent) for one in flat), default=0)


def _flat(value: Decimal | TieredPrices) -> list[Decimal]:
    return [value] if isinstance(value, Decimal) else [value.base, *(tier.price for tier in value.tiers)]
