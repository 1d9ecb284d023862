"""Answers to what was accepted: empty when all of it was, `partial_success` when some was rejected for good.

Source: OTLP specification 1.11, "Full Success" and "Partial Success" (checklist 18–22, 43–47). A response is far
below the 4 MiB it may have, because its message is cut.
"""

from typing import Final

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.otlp.signals import PROTOCOLS, Response

_MAX_MESSAGE: Final = 1024


def response(signal: Signal, rejected: int, message: str) -> Response:
    """The `Export…ServiceResponse` for `rejected` items (0 for full success)."""
    answer = PROTOCOLS[signal].response()
    if not rejected:
        return answer
    answer.partial_success.error_message = message[:_MAX_MESSAGE]
    match answer:
        case ExportTraceServiceResponse():
            answer.partial_success.rejected_spans = rejected
        case ExportMetricsServiceResponse():
            answer.partial_success.rejected_data_points = rejected
        case ExportLogsServiceResponse():
            answer.partial_success.rejected_log_records = rejected
    return answer


def to_json(answer: Response) -> bytes:
    """The answer in OTLP/JSON: `{}`, or counts as strings (checklist 63)."""
    return json_format.MessageToJson(answer, indent=None).encode()
