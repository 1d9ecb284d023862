"""The real OTLP of `tests/testdata/captures`, as requests."""

from collections.abc import Iterator
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

CAPTURES = Path(__file__).parent.parent / "testdata" / "captures"
NAMES = sorted(folder.name for folder in CAPTURES.iterdir() if folder.is_dir())


def trace_requests(name: str) -> list[ExportTraceServiceRequest]:
    """The trace requests of one capture, in order of arrival."""
    files = sorted((CAPTURES / name).glob("*.traces.pb"))
    return [ExportTraceServiceRequest.FromString(file.read_bytes()) for file in files]


def log_requests(name: str) -> list[ExportLogsServiceRequest]:
    files = sorted((CAPTURES / name).glob("*.logs.pb"))
    return [ExportLogsServiceRequest.FromString(file.read_bytes()) for file in files]


def metric_requests(name: str) -> list[ExportMetricsServiceRequest]:
    files = sorted((CAPTURES / name).glob("*.metrics.pb"))
    return [ExportMetricsServiceRequest.FromString(file.read_bytes()) for file in files]


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from scope.spans
