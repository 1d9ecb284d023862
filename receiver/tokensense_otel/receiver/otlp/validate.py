"""What of a decoded request may be kept: only what is permanently bad is refused, because a sender never repeats it.

Protobuf takes the bytes of one signal for another (the field numbers coincide), so metrics posted to `/v1/traces`
arrive as spans with a metric's name for a trace id. Ids are therefore checked (OTLP checklist 24, 82), and a request
that is wholly another signal's is refused with the address where it belongs.
"""

from collections import Counter
from typing import NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tokensense_otel.core.errors import Permanent
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.otlp.protobuf import decode_protobuf
from tokensense_otel.receiver.otlp.signals import PROTOCOLS, Request

_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)


class Checked(NamedTuple):
    """What `validate` found: items that stay and items that were taken out of the request, and why."""

    kept: int
    rejected: int
    message: str = ""


def validate(request: Request) -> Checked:
    """Take out of `request`, in place, what can never be accepted, and count what is left."""
    match request:
        case ExportTraceServiceRequest():
            return _validate_traces(request)
        case ExportMetricsServiceRequest():
            return _validate_metrics(request)
        case ExportLogsServiceRequest():
            return _validate_logs(request)


def refuse_foreign(signal: Signal, body: bytes) -> None:
    """Called when every item of a protobuf `body` was rejected as `signal`.

    Raises:
        Permanent: when `body` is a sound request of another signal; says where to send it.
    """
    for other, protocol in PROTOCOLS.items():
        if other is signal:
            continue
        try:
            found = validate(decode_protobuf(other, body))
        except Permanent:
            continue
        if found.kept and not found.rejected:
            raise Permanent(f"the body holds {other}, not {signal}: send it to {protocol.http_path}")


def _span_fault(span: Span) -> str:
    """Why a span can never be accepted; empty when it can."""
    if len(span.trace_id) != 16 or span.trace_id == _NO_TRACE:
        return "trace_id is not 16 bytes that are not all zero"
    if len(span.span_id) != 8 or span.span_id == _NO_SPAN:
        return "span_id is not 8 bytes that are not all zero"
    return ""


def _metric_fault(metric: Metric) -> str:
    if not metric.name:
        return "metric has no name"
    if metric.WhichOneof("data") is None:
        return "metric has no data of a known kind"
    return ""


def _log_fault(record: LogRecord) -> str:
    if len(record.trace_id) not in (0, 16):
        return "trace_id is not 16 bytes"
    if len(record.span_id) not in (0, 8):
        return "span_id is not 8 bytes"
    if not (record.time_unix_nano or record.observed_time_unix_nano or record.HasField("body") or record.attributes):
        return "log record is empty"
    return ""


def _validate_traces(request: ExportTraceServiceRequest) -> Checked:
    kept = 0
    faults: Counter[str] = Counter()
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            bad = [(i, fault) for i, span in enumerate(scope.spans) if (fault := _span_fault(span))]
            for i, fault in reversed(bad):
                faults[fault] += 1
                del scope.spans[i]
            kept += len(scope.spans)
    return _checked(kept, faults, "spans")


def _validate_metrics(request: ExportMetricsServiceRequest) -> Checked:
    kept = 0
    faults: Counter[str] = Counter()
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            bad = [(i, fault) for i, metric in enumerate(scope.metrics) if (fault := _metric_fault(metric))]
            for i, fault in reversed(bad):
                # A metric without a known kind of data has no points to count; its sender must hear of it still.
                faults[fault] += max(1, _points(scope.metrics[i]))
                del scope.metrics[i]
            kept += sum(_points(metric) for metric in scope.metrics)
    return _checked(kept, faults, "data points")


def _validate_logs(request: ExportLogsServiceRequest) -> Checked:
    kept = 0
    faults: Counter[str] = Counter()
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            bad = [(i, fault) for i, record in enumerate(scope.log_records) if (fault := _log_fault(record))]
            for i, fault in reversed(bad):
                faults[fault] += 1
                del scope.log_records[i]
            kept += len(scope.log_records)
    return _checked(kept, faults, "log records")


def _points(metric: Metric) -> int:
    kind = metric.WhichOneof("data")
    return 0 if kind is None else len(getattr(metric, kind).data_points)


def _checked(kept: int, faults: Counter[str], items: str) -> Checked:
    if not faults:
        return Checked(kept, 0)
    reasons = ", ".join(f"{count} because {fault}" for fault, count in faults.most_common())
    rejected = faults.total()
    return Checked(kept, rejected, f"rejected {rejected} {items} for good: {reasons}; correct the sender")
