"""Spans for tests: OTLP requests from plain dicts, and facts where a test is about accounting only."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.support.calls import NOON, SECOND
from tokensense_otel.core.call import Call, Dimensions, Tokens
from tokensense_otel.dataflow.facts import Kind, SpanFacts
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser

TRACE = bytes(15) + b"\x07"


def span_id(number: int) -> bytes:
    return number.to_bytes(8, "big")


def any_value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    return AnyValue()


def key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def an_otlp_span(
    attributes: Mapping[str, Any] | None = None,
    *,
    number: int = 1,
    parent: int = 0,
    name: str = "chat",
    start_ns: int = NOON,
    end_ns: int = NOON + SECOND,
    **fields: Any,
) -> Span:
    return Span(
        trace_id=TRACE,
        span_id=span_id(number),
        parent_span_id=span_id(parent) if parent else b"",
        name=name,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=end_ns,
        attributes=key_values(attributes or {}),
        **fields,
    )


def a_request(*spans: Span, scope: str = "", resource: Mapping[str, Any] | None = None) -> ExportTraceServiceRequest:
    scoped = ScopeSpans(spans=spans)
    scoped.scope.name = scope
    group = ResourceSpans(resource=Resource(attributes=key_values(resource or {})), scope_spans=[scoped])
    return ExportTraceServiceRequest(resource_spans=[group])


def normalised(*spans: Span, scope: str = "", resource: Mapping[str, Any] | None = None) -> list[SpanFacts]:
    """The facts of these spans with the default configuration."""
    normaliser = Normaliser(NormaliseConfig(), b"salt")
    facts, rejected = normaliser.spans(a_request(*spans, scope=scope, resource=resource), tenant="default", project="")
    assert rejected == 0
    return facts


def call_of(attributes: Mapping[str, Any], *, scope: str = "", name: str = "chat", **fields: Any) -> Call:
    """The call that one span with these attributes tells of."""
    (facts,) = normalised(an_otlp_span(attributes, name=name, **fields), scope=scope)
    assert facts.call is not None
    return facts.call


def facts_of_span(
    number: int,
    kind: Kind = Kind.CALL,
    *,
    parent: int = 0,
    own: Dimensions | None = None,
    resource: Dimensions | None = None,
    tokens: Tokens | None = None,
    trace_id: bytes = TRACE,
    project: str = "",
    tenant: str = "default",
    **call: Any,
) -> SpanFacts:
    """Facts with a call of 100 tokens in and 10 out for CALL and CANDIDATE, and for others if `tokens` are given."""
    told: Call | None = None
    if kind in (Kind.CALL, Kind.CANDIDATE, Kind.DETAIL) or tokens is not None:
        fields: dict[str, Any] = {
            "provider": "openai",
            "request_model": "gpt-4o",
            "start_ns": NOON,
            "end_ns": NOON + SECOND,
            "scope": f"scope-{number}",
        }
        told = Call(
            tenant=tenant,
            trace_id=trace_id,
            span_id=span_id(number),
            tokens=Tokens(100, 10) if tokens is None else tokens,
            root=not parent,
            **(fields | call),
        )
    return SpanFacts(
        tenant,
        trace_id,
        span_id(number),
        span_id(parent) if parent else b"",
        kind,
        own or Dimensions(),
        resource or Dimensions(),
        project,
        told,
    )
