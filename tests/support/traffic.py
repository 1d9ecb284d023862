"""OTLP requests of whole traces, in the shape of the OpenTelemetry GenAI conventions (v1.41)."""

from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.support.calls import NOON, SECOND
from tests.support.spans import an_otlp_span, key_values


def a_span(number: int, attributes: Mapping[str, Any], *, trace: int, parent: int = 0, end_ns: int = NOON) -> Span:
    """Span `number` of trace number `trace`, one second long."""
    span = an_otlp_span(attributes, number=number, parent=parent, start_ns=end_ns - SECOND, end_ns=end_ns)
    span.trace_id = trace.to_bytes(16, "big")
    return span


def chat(model: str = "gpt-4o", *, input_tokens: int = 1000, output_tokens: int = 50) -> dict[str, Any]:
    """The attributes of one chat call to OpenAI."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": input_tokens,
        "gen_ai.usage.output_tokens": output_tokens,
    }


def a_request(spans: Iterable[Span], resource: Mapping[str, Any]) -> ExportTraceServiceRequest:
    """One resource, one scope."""
    group = ResourceSpans(resource=Resource(attributes=key_values(resource)), scope_spans=[ScopeSpans(spans=spans)])
    return ExportTraceServiceRequest(resource_spans=[group])
