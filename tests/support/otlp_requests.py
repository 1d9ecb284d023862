"""Small OTLP trace requests, valid in every part, for tests of what carries them."""

from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

_START_NS = 1_767_225_600_000_000_000


def sound_span(number: int) -> Span:
    """A chat span that is span and trace `number`."""
    return Span(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        name="chat gpt-4o",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=_START_NS,
        end_time_unix_nano=_START_NS + 1_000_000_000,
        attributes=[
            KeyValue(key="gen_ai.request.model", value=AnyValue(string_value="gpt-4o")),
            KeyValue(key="gen_ai.usage.input_tokens", value=AnyValue(int_value=1000)),
        ],
    )


def trace_request(spans: Iterable[Span]) -> ExportTraceServiceRequest:
    """One resource, one scope."""
    service = KeyValue(key="service.name", value=AnyValue(string_value="cart"))
    scope = ScopeSpans(spans=spans)
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=Resource(attributes=[service]), scope_spans=[scope])]
    )
