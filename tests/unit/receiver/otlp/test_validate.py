"""What is refused for good, and nothing else."""

import contextlib
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.captures import CAPTURES
from tests.support.otlp_requests import sound_span, trace_request
from tokensense_otel.core.errors import Permanent
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.otlp.protobuf import decode_protobuf
from tokensense_otel.receiver.otlp.validate import Checked, refuse_foreign, validate

FILES = sorted(CAPTURES.rglob("*.pb"))


def metrics(*of: Metric) -> ExportMetricsServiceRequest:
    return ExportMetricsServiceRequest(resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=of)])])


def logs(*of: LogRecord) -> ExportLogsServiceRequest:
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=of)])])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_real_telemetry_is_kept_whole(path: Path) -> None:
    """Nothing of what real instrumentations sent is rejected or changed."""
    body, signal = path.read_bytes(), Signal(path.name.split(".")[1])
    request = decode_protobuf(signal, body)

    checked = validate(request)

    assert checked.rejected == 0
    assert checked.kept > 0
    assert request == decode_protobuf(signal, body)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_trace_id_has_16_bytes(size: int) -> None:
    """OTLP checklist 82: any other length is rejected, and the spans beside it are kept."""
    good, bad = sound_span(1), sound_span(2)
    bad.trace_id = b"x" * size
    request = trace_request([good, bad])

    checked = validate(request)

    assert checked == Checked(
        1,
        1,
        "rejected 1 spans for good: 1 because trace_id is not 16 bytes that are not all zero; correct the sender",
    )
    assert request == trace_request([good])


@pytest.mark.parametrize("size", [0, 7, 9])
def test_a_span_id_has_8_bytes(size: int) -> None:
    """OTLP checklist 82: any other length is rejected."""
    bad = sound_span(1)
    bad.span_id = b"x" * size

    assert validate(trace_request([bad])).rejected == 1


def test_ids_of_zeros_are_none() -> None:
    """OTLP checklist 82: all-zero ids are invalid; one bit makes them valid."""
    zero_trace, zero_span, least = sound_span(1), sound_span(1), sound_span(1)
    zero_trace.trace_id = bytes(16)
    zero_span.span_id = bytes(8)
    least.trace_id, least.span_id = bytes(15) + b"\x01", bytes(7) + b"\x01"

    checked = validate(trace_request([zero_trace, least, zero_span]))

    assert (checked.kept, checked.rejected) == (1, 2)


def test_a_request_without_items_keeps_and_rejects_nothing() -> None:
    """OTLP checklist 3, 4: empty requests and empty envelopes are no fault."""
    assert validate(trace_request([])) == Checked(0, 0, "")
    assert validate(ExportMetricsServiceRequest()) == Checked(0, 0, "")
    assert validate(logs()) == Checked(0, 0, "")


def test_metrics_are_counted_in_data_points() -> None:
    """OTLP checklist 21: points are what is kept and rejected; a metric needs a name and a known kind."""
    two = [NumberDataPoint(as_int=1), NumberDataPoint(as_int=2)]
    named = Metric(name="faas.mem_usage", gauge=Gauge(data_points=two))
    nameless = Metric(sum=Sum(data_points=two))
    kindless = Metric(name="of a later version")
    request = metrics(nameless, named, kindless)

    checked = validate(request)

    assert (checked.kept, checked.rejected) == (2, 2 + 1)
    assert request == metrics(named)


def test_log_records_may_have_no_ids_but_no_wrong_ones() -> None:
    """OTLP checklist 82: a record may be outside any trace; ids of another length are another signal's bytes."""
    good = LogRecord(time_unix_nano=1, body=AnyValue(string_value="x"))
    traced = LogRecord(time_unix_nano=1, trace_id=b"t" * 16, span_id=b"s" * 8)
    wrong_trace = LogRecord(time_unix_nano=1, trace_id=b"t" * 15)
    wrong_span = LogRecord(time_unix_nano=1, span_id=b"s" * 9)
    request = logs(good, wrong_trace, traced, wrong_span, LogRecord())

    checked = validate(request)

    assert (checked.kept, checked.rejected) == (2, 3)
    assert request == logs(good, traced)


@pytest.mark.parametrize("other", list(Signal))
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_capture_passes_as_another_signal(path: Path, other: Signal) -> None:
    """OTLP checklist 82: bytes of one signal never give items of another; the answer says where they belong."""
    body, signal = path.read_bytes(), Signal(path.name.split(".")[1])
    if other is signal:
        refuse_foreign(signal, body)
        return
    with contextlib.suppress(Permanent):
        assert validate(decode_protobuf(other, body)).kept == 0
    with pytest.raises(Permanent, match=f"the body holds {signal}, not {other}: send it to /v1/{signal}"):
        refuse_foreign(other, body)


def test_a_bad_span_is_not_taken_for_another_signal() -> None:
    """OTLP checklist 24: a request whose only span has a bad id is a partial success, not a wrong address."""
    bad = Span(trace_id=b"short", span_id=b"x", name="chat gpt-4o", start_time_unix_nano=1)

    refuse_foreign(Signal.TRACES, trace_request([bad]).SerializeToString())
