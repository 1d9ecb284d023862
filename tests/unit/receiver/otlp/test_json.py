"""OTLP/JSON against the truth that protobuf is."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.support.captures import CAPTURES
from tests.support.otlp_json import to_otlp_json
from tokensense_otel.core.errors import Permanent
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.otlp.json import MAX_DEPTH, decode_json
from tokensense_otel.receiver.otlp.protobuf import decode_protobuf

U64 = st.integers(0, 2**64 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(
    st.just(AnyValue()),
    TEXT.map(lambda value: AnyValue(string_value=value)),
    st.booleans().map(lambda value: AnyValue(bool_value=value)),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: AnyValue(int_value=value)),
    st.floats(allow_nan=False).map(lambda value: AnyValue(double_value=value)),
    st.binary(max_size=8).map(lambda value: AnyValue(bytes_value=value)),
)


def _nested(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[AnyValue]:
    arrays = st.lists(values, max_size=3).map(lambda items: AnyValue(array_value=ArrayValue(values=items)))
    maps = st.lists(st.builds(KeyValue, key=TEXT, value=values), max_size=3)
    return arrays | maps.map(lambda items: AnyValue(kvlist_value=KeyValueList(values=items)))


VALUES = st.recursive(SCALARS, _nested, max_leaves=6)
ATTRIBUTES = st.lists(st.builds(KeyValue, key=TEXT, value=VALUES), max_size=3)
SPANS = st.builds(
    Span,
    trace_id=st.binary(min_size=16, max_size=16),
    span_id=st.binary(min_size=8, max_size=8),
    parent_span_id=st.sampled_from([b"", b"\xab" * 8]),
    name=TEXT,
    kind=st.integers(0, 5),
    start_time_unix_nano=U64,
    attributes=ATTRIBUTES,
    flags=st.integers(0, 2**32 - 1),
    links=st.lists(st.builds(Span.Link, trace_id=st.binary(min_size=16, max_size=16)), max_size=2),
    events=st.lists(st.builds(Span.Event, time_unix_nano=U64, attributes=ATTRIBUTES), max_size=2),
)
TRACES = st.lists(SPANS, max_size=3).map(
    lambda spans: ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])
)
LOGS = st.builds(
    LogRecord,
    time_unix_nano=U64,
    severity_number=st.integers(0, 24),
    body=VALUES,
    attributes=ATTRIBUTES,
    trace_id=st.sampled_from([b"", b"\x0f" * 16]),
).map(
    lambda record: ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[record])])])
)


@settings(max_examples=150, deadline=None)
@given(TRACES, st.booleans(), st.booleans())
def test_traces_come_back_as_they_were(request: ExportTraceServiceRequest, upper: bool, strings: bool) -> None:
    """OTLP checklist 58, 59, 61, 62: hex ids of either case, enum numbers, int64 as string or number, any AnyValue."""
    body = to_otlp_json(request, upper_case_ids=upper, numbers_as_strings=strings)

    assert decode_json(Signal.TRACES, body) == request


@settings(max_examples=80, deadline=None)
@given(LOGS)
def test_logs_come_back_as_they_were(request: ExportLogsServiceRequest) -> None:
    """OTLP checklist 7, 58: bodies of every kind, and the hex ids of log records."""
    assert decode_json(Signal.LOGS, to_otlp_json(request)) == request


@pytest.mark.parametrize(
    "path", sorted(CAPTURES.rglob("*.pb")), ids=lambda path: f"{path.parent.name}/{path.name.removesuffix('.pb')}"
)
def test_real_telemetry_comes_back_as_it_was(path: Any) -> None:
    """What real instrumentations sent, written as JSON, decodes to the same request: traces, metrics and logs."""
    signal = Signal(path.name.split(".")[1])
    request = decode_protobuf(signal, path.read_bytes())

    assert decode_json(signal, to_otlp_json(request)) == request


def a_span(**fields: Any) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}).encode()


def decoded_span(**fields: Any) -> Span:
    request = decode_json(Signal.TRACES, a_span(**fields))
    assert isinstance(request, ExportTraceServiceRequest)
    return request.resource_spans[0].scope_spans[0].spans[0]


def decoded_value(value: Any) -> AnyValue:
    return decoded_span(attributes=[{"key": "k", "value": value}]).attributes[0].value


def test_an_empty_object_is_an_empty_request() -> None:
    """OTLP checklist 3, 45: nothing to say is no fault."""
    assert decode_json(Signal.TRACES, b"{}") == ExportTraceServiceRequest()
    assert decode_json(Signal.TRACES, b' {"resourceSpans": []} ') == ExportTraceServiceRequest()


def test_unknown_fields_are_ignored() -> None:
    """OTLP checklist 60: fields of a later version, of any shape, at any place."""
    assert decoded_span(name="x", later={"deep": [1]}, another=None).name == "x"


def test_snake_case_and_enum_names_are_taken() -> None:
    """OTLP checklist 59, 61: what senders must not write and yet do."""
    span = decoded_span(start_time_unix_nano="5", kind="SPAN_KIND_CLIENT")

    assert (span.start_time_unix_nano, span.kind) == (5, Span.SPAN_KIND_CLIENT)


def test_null_is_absent() -> None:
    """OTLP checklist 64: a null leaves its field unset, and an element of a list keeps its place."""
    assert decoded_span(name=None, attributes=None, status=None) == Span()
    assert decoded_value({"arrayValue": {"values": [None, {"intValue": 1}]}}).array_value == ArrayValue(
        values=[AnyValue(), AnyValue(int_value=1)]
    )


@pytest.mark.parametrize(
    ("written", "value"),
    [("NaN", math.nan), ("Infinity", math.inf), ("-Infinity", -math.inf), ("1.5", 1.5), (2, 2.0), (1e300, 1e300)],
)
def test_doubles_in_every_spelling(written: Any, value: float) -> None:
    """OTLP checklist 64: numbers, numbers in strings, and the three that JSON has no number for."""
    found = decoded_value({"doubleValue": written}).double_value

    assert found == value or (math.isnan(found) and math.isnan(value))


@pytest.mark.parametrize(
    ("written", "value"),
    [("-9223372036854775808", -(2**63)), (2**63 - 1, 2**63 - 1), (5.0, 5), ("0012", 12), (-0.0, 0)],
)
def test_integers_in_every_spelling(written: Any, value: int) -> None:
    """OTLP checklist 62: strings and numbers up to both ends of the range."""
    assert decoded_value({"intValue": written}).int_value == value


def test_bytes_are_base64_of_either_alphabet() -> None:
    """OTLP checklist 58: bytesValue stays base64, URL-safe or not, padded or not."""
    for written in ("+/8=", "-_8=", "-_8", "+/8"):
        assert decoded_value({"bytesValue": written}).bytes_value == b"\xfb\xff"


def test_an_empty_value_is_kept_apart_from_none() -> None:
    """OTLP checklist 7: a value without content, an empty string, an empty array and an empty map are each kept."""
    assert decoded_value({}) == AnyValue()
    assert decoded_value({"stringValue": ""}).WhichOneof("value") == "string_value"
    assert decoded_value({"arrayValue": {}}).WhichOneof("value") == "array_value"
    assert decoded_value({"kvlistValue": {}}).WhichOneof("value") == "kvlist_value"


SPAN_PATH = "resourceSpans[0].scopeSpans[0].spans[0]"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b'{"a": NaN}', "the body is not JSON"),
        (b"1234", "the body is not a JSON object but a number"),
        (b"[]", "the body is not a JSON object but an array"),
        (b"null", "the body is not a JSON object but null"),
        (b'{"resourceSpans": {}}', "resourceSpans: expected an array, got an object"),
        (b'{"resourceSpans": [1]}', "resourceSpans[0]: expected an object, got a number"),
        (a_span(traceId="zz"), f"{SPAN_PATH}.traceId: expected an id in hexadecimal, got 'zz'"),
        (a_span(traceId="abc"), f"{SPAN_PATH}.traceId: expected an id in hexadecimal, got 'abc'"),
        (a_span(traceId=7), f"{SPAN_PATH}.traceId: expected a string, got a number"),
        (a_span(name=["x"]), f"{SPAN_PATH}.name: expected a string, got an array"),
        (a_span(startTimeUnixNano="-1"), f"{SPAN_PATH}.startTimeUnixNano: -1 is out of range"),
        (a_span(startTimeUnixNano=str(2**64)), f"{SPAN_PATH}.startTimeUnixNano: {2**64} is out of range"),
        (a_span(startTimeUnixNano=1.5), f"{SPAN_PATH}.startTimeUnixNano: expected an integer, got 1.5"),
        (a_span(startTimeUnixNano=True), f"{SPAN_PATH}.startTimeUnixNano: expected an integer, got a boolean"),
        (a_span(startTimeUnixNano=""), f"{SPAN_PATH}.startTimeUnixNano: expected an integer, got ''"),
        (a_span(startTimeUnixNano="1_0"), f"{SPAN_PATH}.startTimeUnixNano: expected an integer, got '1_0'"),
        (a_span(kind="CLIENT"), f"{SPAN_PATH}.kind: expected a number of SpanKind, got 'CLIENT'"),
        (
            a_span(attributes=[{"value": {"boolValue": "true"}}]),
            f"{SPAN_PATH}.attributes[0].value.boolValue: expected true or false, got a string",
        ),
        (
            a_span(attributes=[{"value": {"doubleValue": "1e"}}]),
            f"{SPAN_PATH}.attributes[0].value.doubleValue: expected a number, got '1e'",
        ),
        (
            a_span(attributes=[{"value": {"bytesValue": "!"}}]),
            f"{SPAN_PATH}.attributes[0].value.bytesValue: expected base64, got '!'",
        ),
    ],
)
def test_a_bad_value_is_refused_by_its_path(body: bytes, message: str) -> None:
    """OTLP checklist 53, 89: what cannot be decoded is refused for good, and the sender is told where it is."""
    with pytest.raises(Permanent) as refused:
        decode_json(Signal.TRACES, body)

    assert str(refused.value).startswith(message)


def test_another_signal_is_refused_with_its_address() -> None:
    """OTLP checklist 82: metrics posted as traces would be unknown fields, and lost without a word."""
    with pytest.raises(Permanent, match="the body holds metrics, not traces: send it to /v1/metrics"):
        decode_json(Signal.TRACES, b'{"resourceMetrics": []}')


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}}
    return value


def test_nesting_ends_where_protobuf_ends() -> None:
    """OTLP checklist 88: what is decoded from JSON can be read again as protobuf; deeper nesting is refused."""
    # Request, resource, scope, span, attribute: five messages above the value; each array adds two.
    arrays = (MAX_DEPTH - 6) // 2
    deepest = decode_json(Signal.TRACES, a_span(attributes=[{"value": nested(arrays)}]))

    assert decode_protobuf(Signal.TRACES, deepest.SerializeToString()) == deepest
    with pytest.raises(Permanent, match="nested deeper"):
        decode_json(Signal.TRACES, a_span(attributes=[{"value": nested(arrays + 1)}]))
    with pytest.raises(Permanent, match=r"nested deeper|not JSON"):
        decode_json(Signal.TRACES, a_span(attributes=[{"value": nested(200)}]))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceSpans", "scopeSpans", "spans", "attributes", "value", "arrayValue", "values", "kind"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(JSON_VALUES)
def test_any_json_is_decoded_or_refused(document: Any) -> None:
    """OTLP checklist 102: no document makes the decoder fail in a way of its own."""
    try:
        decoded = decode_json(Signal.TRACES, json.dumps(document).encode())
    except Permanent:
        return
    assert isinstance(decoded, ExportTraceServiceRequest)
