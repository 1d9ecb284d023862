"""Calls as OTLP: spans of the OpenTelemetry GenAI conventions (v1.41), requests, files that `replay` reads."""

import gzip
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from benchmarks.incidents.calls import Made
from tests.support.spans import any_value, key_values

_SCOPE: Final = InstrumentationScope(name="opentelemetry.instrumentation.openai_v2", version="2.3b0")
_TOOLS: Final = '[{"type":"function","name":"search"},{"type":"function","name":"read"}]'
_FAILED: Final = Status(code=Status.STATUS_CODE_ERROR)


@lru_cache(maxsize=20_000)
def _pair(key: str, value: Any, _kind: str) -> KeyValue:
    return KeyValue(key=key, value=any_value(list(value) if isinstance(value, tuple) else value))


def trace_request(calls: Iterable[Made]) -> bytes:
    """One export request, a resource for each service and version."""
    resources: dict[tuple[str, ...], list[Span]] = {}
    for made in calls:
        lane = made.lane
        resource = (lane.service, lane.team, lane.project, made.shape.version)
        resources.setdefault(resource, []).append(_tool(made) if made.tool else _chat(made))
    groups = [
        ResourceSpans(resource=_resource(*names), scope_spans=[ScopeSpans(scope=_SCOPE, spans=spans)])
        for names, spans in resources.items()
    ]
    return ExportTraceServiceRequest(resource_spans=groups).SerializeToString()


@lru_cache(maxsize=4_096)
def _resource(service: str, team: str, project: str, version: str) -> Resource:
    attributes = {"service.name": service, "service.version": version, "deployment.environment.name": "production"}
    if team:
        attributes["tokensense.team"] = team
    if project:
        attributes["tokensense.project"] = project
    return Resource(attributes=key_values(attributes))


def _span(made: Made, name: str, attributes: dict[str, Any]) -> Span:
    span = Span(
        trace_id=made.trace.to_bytes(16, "big"),
        span_id=made.span.to_bytes(8, "big"),
        # The caller's span, which a Collector that passes on GenAI spans only leaves out.
        parent_span_id=(made.trace & 0xFFFF_FFFF_FFFF | 1).to_bytes(8, "big"),
        name=name,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=made.end_ns - made.took_ns,
        end_time_unix_nano=made.end_ns,
        attributes=[_pair(key, value, type(value).__name__) for key, value in attributes.items()],
    )
    if made.error:
        span.status.CopyFrom(_FAILED)
    return span


def _chat(made: Made) -> Span:
    shape = made.shape
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": shape.operation,
        "gen_ai.provider.name": shape.provider,
        "gen_ai.request.model": shape.model,
        "tokensense.feature": made.lane.feature,
    }
    if made.error:
        attributes["error.type"] = made.error
    if made.input is not None:
        attributes["gen_ai.response.model"] = shape.model
        attributes["gen_ai.usage.input_tokens"] = made.input
        if shape.operation == "chat":
            attributes["gen_ai.usage.output_tokens"] = made.output
            attributes["gen_ai.response.finish_reasons"] = (made.finish,)
        if made.cached is not None:
            attributes["gen_ai.usage.cache_read.input_tokens"] = made.cached
        if made.written is not None:
            attributes["gen_ai.usage.cache_creation.input_tokens"] = made.written
        if made.reasoning is not None:
            attributes["gen_ai.usage.reasoning.output_tokens"] = made.reasoning
    if shape.streaming:
        attributes["gen_ai.request.stream"] = True
        if made.first_token_s:
            attributes["gen_ai.response.time_to_first_chunk"] = made.first_token_s
    if shape.tools:
        attributes["gen_ai.tool.definitions"] = _TOOLS
    if shape.priced_tier:
        attributes["openai.response.service_tier"] = shape.priced_tier
    named = {
        "tokensense.prompt.hash": made.prompt,
        "tokensense.prefix.hash": made.prefix,
        "user.id": made.user,
        "gen_ai.conversation.id": made.session,
    }
    attributes |= {key: value for key, value in named.items() if value}
    return _span(made, f"{shape.operation} {shape.model}", attributes)


def _tool(made: Made) -> Span:
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": made.tool,
        "gen_ai.tool.call.arguments": made.arguments,
        "gen_ai.conversation.id": made.session,
        "tokensense.feature": made.lane.feature,
    }
    return _span(made, f"execute_tool {made.tool}", attributes)


def memory_request(readings: Iterable[tuple[str, int, int, int | None]]) -> bytes:
    """`faas.mem_usage` of functions: (function, time in ns, bytes used, bytes allocated or `None`)."""
    functions: dict[tuple[str, int | None], list[HistogramDataPoint]] = {}
    for function, time_ns, used, allocated in readings:
        point = HistogramDataPoint(
            start_time_unix_nano=time_ns - 60_000_000_000,
            time_unix_nano=time_ns,
            count=1,
            sum=used,
            min=used,
            max=used,
            bucket_counts=[1],
        )
        functions.setdefault((function, allocated), []).append(point)
    groups = []
    for (function, allocated), points in functions.items():
        attributes: dict[str, Any] = {"service.name": function, "faas.name": function}
        if allocated is not None:
            attributes["faas.max_memory"] = allocated
        metric = Metric(
            name="faas.mem_usage",
            unit="By",
            histogram=Histogram(
                data_points=points, aggregation_temporality=AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
            ),
        )
        resource = Resource(attributes=key_values(attributes))
        groups.append(ResourceMetrics(resource=resource, scope_metrics=[ScopeMetrics(metrics=[metric])]))
    return ExportMetricsServiceRequest(resource_metrics=groups).SerializeToString()


def write(folder: Path, number: int, signal: str, body: bytes) -> None:
    """One request in one file: `0001.traces.pb.gz`."""
    (folder / f"{number:05d}.{signal}.pb.gz").write_bytes(gzip.compress(body, compresslevel=1, mtime=0))
