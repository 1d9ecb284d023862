"""What a call would have cost in its provider's batch API.

The price list has batch prices from the day on which they were entered. For calls before that day a dated table says
since when the provider has sold its listed models in batches at half their price, so that the listed one applies.
"""

from datetime import UTC, date, datetime
from typing import Final

import msgspec

from tokensense_otel.core.call import Call, Cost, CostKind
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.pricing.names import listed_provider

SOLD_SINCE: Final = {
    # https://platform.openai.com/docs/guides/batch: half price, within 24 hours. Read 2026-11-24.
    "openai": date(2024, 4, 15),
    # https://claude.com/blog/message-batches-api: "less than 24 hours and costs 50% less". Read 2026-11-24.
    "anthropic": date(2024, 10, 8),
    # https://developers.googleblog.com/en/scale-your-ai-workloads-batch-mode-gemini-api/: 50 %. Read 2026-11-24.
    "google": date(2025, 7, 7),
}
_SINCE_NS: Final = {
    provider: int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000
    for provider, day in SOLD_SINCE.items()
}


def batch_cost(call: Call, catalogue: Catalogue) -> Cost | None:
    """The cost in a batch, `None` where the model has no batch price or the call does not cost more than that."""
    paid = call.cost
    if paid.kind is CostKind.UNKNOWN:
        return None
    batch = catalogue.cost(msgspec.structs.replace(call, service_tier="batch"))
    if ":batch" in batch.price_id:
        return batch if batch.high < paid.low else None
    # Not listed for that day: the lower bound is the price that was listed later, or else the standard one.
    since_ns = _SINCE_NS.get(listed_provider(call.provider))
    if since_ns is None or call.end_ns < since_ns or batch.low >= paid.low:
        return None
    return msgspec.structs.replace(batch, high=batch.low)
