"""An OTLP gRPC backend that keeps what it is sent: stands in for whatever a Collector forwards to."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}


class OtlpSink:
    """A context manager; `endpoint` is its `host:port`, `traces`, `metrics` and `logs` are the requests so far."""

    def __init__(self) -> None:
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.logs: list[ExportLogsServiceRequest] = []
        self._server = grpc.server(ThreadPoolExecutor(max_workers=4))
        keep: dict[str, Callable[[bytes], None]] = {
            "traces": lambda body: self.traces.append(ExportTraceServiceRequest.FromString(body)),
            "metrics": lambda body: self.metrics.append(ExportMetricsServiceRequest.FromString(body)),
            "logs": lambda body: self.logs.append(ExportLogsServiceRequest.FromString(body)),
        }

        def export(signal: str) -> Any:
            def answer(body: bytes, _context: Any) -> bytes:
                keep[signal](body)
                return b""  # an empty Export…ServiceResponse: everything was accepted

            return grpc.unary_unary_rpc_method_handler(answer)

        self._server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(service, {"Export": export(signal)})
                for signal, service in SERVICES.items()
            ]
        )
        self.endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(grace=None).wait()

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def metric_names(self) -> set[str]:
        return {
            metric.name
            for request in self.metrics
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


class OtlpSender:
    """Sends whole requests to an OTLP gRPC endpoint, as they are."""

    def __init__(self, endpoint: str) -> None:
        self._channel = grpc.insecure_channel(endpoint)
        self._export = {
            signal: self._channel.unary_unary(f"/{service}/Export", request_serializer=None, response_deserializer=None)
            for signal, service in SERVICES.items()
        }

    def send(self, request: ExportTraceServiceRequest) -> None:
        self._export["traces"](request.SerializeToString(), timeout=10)

    def send_metrics(self, request: ExportMetricsServiceRequest) -> None:
        self._export["metrics"](request.SerializeToString(), timeout=10)

    def send_logs(self, request: ExportLogsServiceRequest) -> None:
        self._export["logs"](request.SerializeToString(), timeout=10)

    def close(self) -> None:
        self._channel.close()
