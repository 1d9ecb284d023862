"""Calls to price."""

from datetime import UTC, datetime

from tokensense_otel.core.call import Call, Tokens


def ns(text: str) -> int:
    """Unix nanoseconds of `2026-11-01T00:00:00` (UTC)."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


NOW = ns("2026-11-01T12:00:00")


def call(
    model: str,
    tokens: Tokens,
    *,
    provider: str = "openai",
    end_ns: int = NOW,
    tier: str = "",
    operation: str = "chat",
    response_model: str = "",
    error: str = "",
) -> Call:
    return Call(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        start_ns=end_ns - 1,
        end_ns=end_ns,
        provider=provider,
        request_model=model,
        response_model=response_model,
        operation=operation,
        tokens=tokens,
        service_tier=tier,
        error_type=error,
    )
