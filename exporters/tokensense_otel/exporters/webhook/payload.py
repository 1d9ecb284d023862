"""The webhook's body: type, time and the insight itself (Standard Webhooks 1.0.0, "Payload structure")."""

from tokensense_otel.core.config import JsonObject
from tokensense_otel.core.insight import Insight, to_dict


def encode_event(insight: Insight) -> JsonObject:
    """`{"type": "insight.firing", "timestamp": …, "data": Insight}`; the time is the event's, not the attempt's."""
    return {
        "type": f"insight.{insight.status}",
        "timestamp": insight.resolved_at or insight.detected_at,
        "data": to_dict(insight),
    }
