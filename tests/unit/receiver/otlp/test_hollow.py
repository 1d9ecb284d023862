"""Requests of millions of empty items are refused before they are decoded; honest ones never are."""

import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from tests.support.captures import CAPTURES
from tests.support.otlp_json import to_otlp_json
from tests.support.otlp_requests import sound_span, trace_request
from tokensense_otel.core.errors import TooLarge
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.otlp import hollow
from tokensense_otel.receiver.otlp.hollow import refuse_hollow_json, refuse_hollow_protobuf
from tokensense_otel.receiver.otlp.protobuf import decode_protobuf

MIB = 1 << 20
SIZE = 4 * MIB


def message(number: int, body: bytes) -> bytes:
    """A field that holds a message."""
    size, length = len(body), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + body


EMPTY = {
    "resources": b"\x0a\x00" * (SIZE // 2),
    "scopes": message(1, b"\x12\x00" * (SIZE // 2)),
    "items": message(1, message(2, b"\x12\x00" * (SIZE // 2))),
    "items with a little in them": message(1, message(2, b"\x12\x04\x2a\x02hi" * (SIZE // 6))),
}


@pytest.mark.parametrize("signal", list(Signal))
@pytest.mark.parametrize("kind", EMPTY)
def test_empty_items_by_the_million_are_refused_at_once(kind: str, signal: Signal) -> None:
    """4 MiB of them, which would take 500 MiB and many seconds, are refused in less than one."""
    before = time.process_time()
    with pytest.raises(TooLarge, match="smaller batches"):
        refuse_hollow_protobuf(signal, EMPTY[kind])
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceSpans": [' + b"{}," * (SIZE // 3) + b"{}]}",
        b'{"resourceSpans": [], "unknown": [' + b"[]," * (SIZE // 3) + b"[]]}",
    ],
)
def test_empty_objects_by_the_million_are_refused(body: bytes) -> None:
    """The same in JSON, also where nobody would look at them."""
    with pytest.raises(TooLarge, match="smaller batches"):
        refuse_hollow_json(body)


def test_the_smallest_honest_items_are_taken() -> None:
    """The barest spans and log records that are valid, by the mebibyte."""
    barest = sound_span(1)
    barest.ClearField("name")
    barest.ClearField("kind")
    barest.ClearField("attributes")
    barest.ClearField("start_time_unix_nano")
    barest.ClearField("end_time_unix_nano")
    spans = trace_request([barest] * 60_000).SerializeToString()
    record = LogRecord(body=AnyValue(string_value="x"), time_unix_nano=1)
    logs = ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[record] * 100_000)])]
    ).SerializeToString()
    assert min(len(spans), len(logs)) > MIB

    refuse_hollow_protobuf(Signal.TRACES, spans)
    refuse_hollow_protobuf(Signal.LOGS, logs)


def test_what_real_senders_send_is_never_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every capture, in protobuf and in JSON, is far within the limits, also when all sizes are looked at."""
    monkeypatch.setattr(hollow, "_LOOKED_AT", 0)
    monkeypatch.setattr(hollow, "_LEAST_BYTES", {signal: size * 1.2 for signal, size in hollow._LEAST_BYTES.items()})
    monkeypatch.setattr(hollow, "_LEAST_JSON_BYTES", 16)
    files = sorted(CAPTURES.rglob("*.pb"))
    assert files
    for path in files:
        signal, body = Signal(path.name.split(".")[1]), path.read_bytes()
        refuse_hollow_protobuf(signal, body)
        refuse_hollow_json(to_otlp_json(decode_protobuf(signal, body)))


@pytest.mark.parametrize("text", ["[1,2],[[],{}]" * 200_000, '\\"[' * 900_000, "\n" * 2_000_000])
def test_text_may_hold_any_number_of_brackets(text: str) -> None:
    """A prompt that is a large matrix, or quotes code, is no structure."""
    span = sound_span(1)
    span.attributes[0].value.string_value = text
    request = trace_request([span])

    refuse_hollow_json(to_otlp_json(request))
    refuse_hollow_protobuf(Signal.TRACES, request.SerializeToString())


@given(st.binary(max_size=300))
def test_bytes_that_are_no_protobuf_are_left_to_the_decoder(body: bytes) -> None:
    """Counting ends for any bytes, and raises nothing of its own."""
    for level in range(3):
        assert hollow._items(body, 0, len(body), level, sys.maxsize) <= len(body)
