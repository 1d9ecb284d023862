"""The three signals and the messages, names and paths that OTLP gives them.

Source: opentelemetry-proto 1.11, `docs/specification.md` and the `collector/*/v1` services.
"""

from dataclasses import dataclass

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tokensense_otel.receiver.log.entry import Signal

Request = ExportTraceServiceRequest | ExportMetricsServiceRequest | ExportLogsServiceRequest
Response = ExportTraceServiceResponse | ExportMetricsServiceResponse | ExportLogsServiceResponse


@dataclass(frozen=True)
class Protocol:
    """How one signal travels. `items` is what the signal's requests are counted in."""

    signal: Signal
    request: type[Request]
    response: type[Response]
    http_path: str
    grpc_service: str
    items: str
    json_key: str


PROTOCOLS: dict[Signal, Protocol] = {
    Signal.TRACES: Protocol(
        Signal.TRACES,
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
        "/v1/traces",
        "opentelemetry.proto.collector.trace.v1.TraceService",
        "spans",
        "resourceSpans",
    ),
    Signal.METRICS: Protocol(
        Signal.METRICS,
        ExportMetricsServiceRequest,
        ExportMetricsServiceResponse,
        "/v1/metrics",
        "opentelemetry.proto.collector.metrics.v1.MetricsService",
        "data points",
        "resourceMetrics",
    ),
    Signal.LOGS: Protocol(
        Signal.LOGS,
        ExportLogsServiceRequest,
        ExportLogsServiceResponse,
        "/v1/logs",
        "opentelemetry.proto.collector.logs.v1.LogsService",
        "log records",
        "resourceLogs",
    ),
}
