"""What an explanation says, as plain data: the document of `tokensense explain --format json` and of the API.

Ids are hex, times RFC 3339, money and prices decimal strings in USD.
"""

from typing import Any

import msgspec

from tokensense_otel.core.usage import Accounting


class SpanRef(msgspec.Struct, frozen=True, order=True):
    """A span, wherever it is."""

    trace_id: str
    span_id: str


class TokensExplained(msgspec.Struct):
    """One class of tokens. `told_by` is the span whose count it is; `None` where it was inferred (see the notes)."""

    name: str
    count: int
    told_by: SpanRef | None


class LineExplained(msgspec.Struct):
    """A line of the bill: tokens × price for a million. `low_usd` and `high_usd` differ where it is an estimate."""

    item: str
    tokens: int | None
    price_usd: str | None
    low_usd: str
    high_usd: str


class CostExplained(msgspec.Struct):
    """`kind` is known, estimated or unknown; `reason` says why it is not known.

    `reported_usd` is what the emitter says, `disputed` that it is more than 2 % off.
    """

    kind: str
    low_usd: str | None
    high_usd: str | None
    price_id: str
    catalogue: str
    reason: str
    lines: list[LineExplained]
    reported_usd: str | None = None
    disputed: bool = False


class DimensionExplained(msgspec.Struct):
    """`told_by` is the span that named it, or whose resource did; `attribute` is the key it was under.

    All empty for a dimension that nothing named: it is unattributed.
    """

    name: str
    value: str
    place: str
    attribute: str
    told_by: SpanRef | None


class CallExplained(msgspec.Struct):
    """A call as it is on the books."""

    provider: str
    request_model: str
    response_model: str
    operation: str
    response_id: str
    service_tier: str
    error_type: str
    started_at: str
    ended_at: str
    project: str
    tokens: list[TokensExplained]
    cost: CostExplained
    dimensions: list[DimensionExplained]
    notes: list[str]
    """What had to be inferred, and how."""
    full_model: str = ""
    """The model's name with what the others leave out and prices depend on."""


class SpanExplained(msgspec.Struct):
    """What became of a span. `others` are the spans that the reason speaks of; `call` is set if it counts."""

    span_id: str
    parent_id: str
    kind: str
    dialect: str
    scope: str
    told_by: str
    received_at: str | None
    reports: int
    counted: bool
    reason: str
    why: str
    others: list[SpanRef]
    corrections: list[str]
    reported: dict[str, int]
    """The token counts that the span itself reports, by class."""
    call: CallExplained | None = None


class TraceExplained(msgspec.Struct):
    """A trace, or those of its spans that have to do with what was asked."""

    tenant: str
    trace_id: str
    accounting: Accounting
    spans: list[SpanExplained]


class Explanation(msgspec.Struct):
    """`what` is trace, span or response; `name` the whole id. `remarks` say where the books may differ, and why."""

    what: str
    name: str
    traces: list[TraceExplained]
    remarks: list[str]


def to_document(explanation: Explanation) -> dict[str, Any]:
    """The explanation for JSON."""
    document: dict[str, Any] = msgspec.to_builtins(explanation)
    return document
