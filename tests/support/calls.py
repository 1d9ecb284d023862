"""Calls and insights for tests: one with every field plausible, changed where a test cares."""

from typing import Any

import msgspec

from tokensense_otel.core.call import Call, Cost, CostKind, Dimensions, Posting, Tokens
from tokensense_otel.core.insight import Insight, Severity, Status, rfc3339, stable_id

NOON = 1_767_268_800_000_000_000
"""2026-01-01T12:00:00Z, in Unix nanoseconds."""
SECOND = 1_000_000_000


def a_call(**changes: Any) -> Call:
    """A known call of one second at noon, 1,000 tokens in and 50 out, one cent."""
    call = Call(
        trace_id=bytes(15) + b"\x01",
        span_id=bytes(7) + b"\x01",
        start_ns=NOON,
        end_ns=NOON + SECOND,
        provider="openai",
        request_model="gpt-4o",
        response_model="gpt-4o-2024-08-06",
        tokens=Tokens(input=1000, output=50, cache_read=0),
        cost=Cost(CostKind.KNOWN, 10_000_000, 10_000_000, "openai/gpt-4o", "test"),
        dimensions=Dimensions(team="checkout", feature="summary", service="cart"),
    )
    return msgspec.structs.replace(call, **changes)


def posted(*calls: Call) -> list[Posting]:
    return [Posting(1, call) for call in calls]


def an_insight(status: Status = Status.FIRING, *, episode: str = "ep_1", **changes: Any) -> Insight:
    """A SPIKE of team checkout."""
    insight = Insight(
        id=stable_id("in", episode, status.value),
        episode_id=episode,
        status=status,
        rule="SPIKE",
        severity=Severity.LOW,
        tenant="default",
        project="default",
        scope={"team": "checkout"},
        title="checkout calls 4× its usual",
        summary="400 calls today, 100 on the mean of the last 7 days.",
        evidence={"calls_today": 400},
        suggested_fix="Look for a retry loop.",
        estimated_monthly_savings_usd=None,
        started_at=rfc3339(NOON),
        detected_at=rfc3339(NOON),
        resolved_at=rfc3339(NOON + 900 * SECOND) if status is Status.RESOLVED else None,
    )
    return msgspec.structs.replace(insight, **changes)
