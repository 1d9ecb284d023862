"""An insight: one transition in the life of one finding, with the numbers that prove it.

The same object is printed by the CLI, returned by the API and sent as a webhook's `data`. An *episode* is the whole
life of a finding on one key: pending → firing → (update) → resolved. Ids derive from event time and key only, so a
replay of the same traffic yields the same ids and no new notification.
"""

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec


class Status(StrEnum):
    FIRING = "firing"
    UPDATE = "update"
    RESOLVED = "resolved"


class Severity(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Insight(msgspec.Struct, frozen=True, kw_only=True):
    """The wire object. Times are RFC 3339 UTC; money is a decimal string in USD, `None` where it is unknown.

    `estimated_monthly_savings_usd` is what the last 30 days of the slice would have cost less: it never exceeds what
    the slice did cost (`evidence["spend_30d_usd"]`).
    """

    id: str
    episode_id: str
    status: Status
    rule: str
    severity: Severity
    tenant: str
    project: str
    scope: dict[str, str]
    title: str
    summary: str
    evidence: dict[str, Any]
    suggested_fix: str
    estimated_monthly_savings_usd: str | None
    started_at: str
    detected_at: str
    resolved_at: str | None = None
    links: dict[str, str] = {}


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Insight)


def encode_insight(insight: Insight) -> bytes:
    """The insight as one JSON object; the same insight always gives the same bytes."""
    return _encoder.encode(insight)


def decode_insight(body: bytes | str) -> Insight:
    """The inverse of `encode_insight`.

    Raises:
        msgspec.ValidationError: when `body` is no insight.
    """
    return _decoder.decode(body)


def to_dict(insight: Insight) -> dict[str, Any]:
    """Plain builtins in the order of the wire object."""
    return dict(msgspec.to_builtins(insight))


def stable_id(prefix: str, *parts: str | int) -> str:
    """A short id that depends on `parts` only.

    >>> stable_id("ep", "SPIKE", "checkout", 1767225600)
    'ep_2e5ddd7f0e4b1d1f9fa2e8c1'
    """
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()
    return f"{prefix}_{digest[:24]}"


def rfc3339(time_ns: int) -> str:
    """Unix nanoseconds as RFC 3339 UTC with whole seconds, `2026-01-31T08:00:00Z`."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
