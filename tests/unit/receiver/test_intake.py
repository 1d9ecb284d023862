"""What both servers share, without a socket."""

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from prometheus_client import REGISTRY

from tests.support.captures import CAPTURES
from tests.support.otlp_json import to_otlp_json
from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiving import NOW, MemoryLog, receiver_config
from tokensense_otel.core.errors import Permanent, Retryable, TooLarge
from tokensense_otel.receiver.auth import Identity
from tokensense_otel.receiver.intake import Delivery, Format, Intake, count_refusal
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.otlp.json import decode_json
from tokensense_otel.receiver.otlp.protobuf import decode_protobuf
from tokensense_otel.receiver.otlp.validate import Checked, validate

FILES = sorted(CAPTURES.rglob("*.pb"))
WHO = Identity("acme", "web")


def accept(log: MemoryLog, delivery: Delivery, **config: Any) -> Checked:
    async def story() -> Checked:
        intake = Intake(receiver_config(**config), log, lambda: NOW)
        await intake.start()
        with intake.hold(WHO) as hold:
            return await intake.accept(delivery, WHO, hold)

    return asyncio.run(story())


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"tokensense_receiver_{name}_total", labels) or 0.0


def test_a_sound_protobuf_body_is_kept_byte_for_byte() -> None:
    """OTLP checklist 5: unknown fields and the sender's own encoding are kept, nothing is written anew needlessly."""
    # Field 1000, unknown to every version, at the end of a request.
    body = trace_request([sound_span(1)]).SerializeToString() + b"\xc2\x3e\x03new"
    log = MemoryLog()

    assert accept(log, Delivery(Signal.TRACES, "grpc", body)) == Checked(1, 0)
    assert log.entries == [Entry(Signal.TRACES, "acme", "web", NOW, body)]


def test_indexed_strings_of_profiles_are_no_fault() -> None:
    """OTLP checklist 8: a key or a value by index is kept as it came, and is an empty one to whoever reads it."""
    span = sound_span(1)
    span.attributes.append(KeyValue(key_strindex=1, value=AnyValue(string_value_strindex=2)))
    body = trace_request([span]).SerializeToString()
    log = MemoryLog()

    assert accept(log, Delivery(Signal.TRACES, "grpc", body)) == Checked(1, 0)
    assert [entry.body for entry in log.entries] == [body]
    assert (span.attributes[-1].key, span.attributes[-1].value.string_value) == ("", "")


@pytest.mark.parametrize(
    ("format_", "body"),
    [("protobuf", b"\x0a\x00" * (1 << 20)), ("json", b'{"resourceSpans": [' + b"{}," * (1 << 20) + b"{}]}")],
)
def test_empty_items_by_the_million_are_refused(format_: Format, body: bytes) -> None:
    """OTLP checklist 10, 39: a request that is small and would be large once decoded is too large."""
    with pytest.raises(TooLarge, match="smaller batches"):
        accept(MemoryLog(), Delivery(Signal.TRACES, "http", body, format_))


def test_a_closed_intake_keeps_nothing() -> None:
    """OTLP checklist 100: before open and after close a request stays with its sender."""
    log = MemoryLog()

    async def story() -> None:
        intake = Intake(receiver_config(), log, lambda: NOW)
        delivery = Delivery(Signal.TRACES, "http", trace_request([sound_span(1)]).SerializeToString())
        with intake.hold(WHO) as hold:
            with pytest.raises(Retryable, match="stopping"):
                await intake.accept(delivery, WHO, hold)
            await intake.start()
            await intake.accept(delivery, WHO, hold)
            intake.close()
            with pytest.raises(Retryable, match="stopping"):
                await intake.accept(delivery, WHO, hold)

    asyncio.run(story())
    assert len(log.entries) == 1


def test_what_a_request_takes_is_held() -> None:
    """The hold covers the body as it came and as it is inflated, so that both are bounded."""
    body = trace_request([sound_span(1)]).SerializeToString()
    packed = gzip.compress(body)

    async def story() -> None:
        intake = Intake(receiver_config(), MemoryLog(), lambda: NOW)
        await intake.start()
        with intake.hold(WHO) as hold:
            await intake.accept(Delivery(Signal.TRACES, "http", packed, "protobuf", "gzip"), WHO, hold)
            assert intake.budget.used == len(packed) + len(body)
        assert intake.budget.used == 0

    asyncio.run(story())


def test_items_and_refusals_are_counted_by_signal_and_transport() -> None:
    """OTLP checklist 99: accepted and rejected items, bytes, and refused requests by reason."""
    http = {"signal": "traces", "transport": "http"}
    names = ("accepted_items", "rejected_items", "received_bytes")
    before = [count(name, **http) for name in names]
    refused_before = count("refused_requests", **http, reason="TooLarge")
    bad = sound_span(3)
    bad.span_id = b""
    body = trace_request([sound_span(1), sound_span(2), bad]).SerializeToString()

    accept(MemoryLog(), Delivery(Signal.TRACES, "http", body))
    count_refusal(TooLarge("x"), Signal.TRACES, "http", 0)

    assert [count(name, **http) for name in names] == [before[0] + 2, before[1] + 1, before[2] + len(body)]
    assert count("refused_requests", **http, reason="TooLarge") == refused_before + 1


def test_nothing_accepted_is_counted_when_the_log_refuses() -> None:
    """A refused append leaves the accepted count alone."""
    labels = {"signal": "traces", "transport": "http"}
    before = count("accepted_items", **labels)
    body = trace_request([sound_span(1)]).SerializeToString()

    with pytest.raises(Retryable):
        accept(MemoryLog(Retryable("full")), Delivery(Signal.TRACES, "http", body))

    assert count("accepted_items", **labels) == before


def test_payloads_and_keys_are_never_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """OTLP checklist 101: an unforeseen error is logged without what was sent."""
    count_refusal(ValueError("canary in an error text"), Signal.TRACES, "grpc", 0)

    logged = capsys.readouterr()
    assert "receiver_unforeseen_errors" in logged.out + logged.err
    assert "canary" not in logged.out + logged.err


def mutated(body: bytes, data: st.DataObject) -> bytes:
    content = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "drop", "repeat"])):
            case "flip":
                content[at] = data.draw(st.integers(0, 255))
            case "cut":
                del content[max(at, 1) :]
            case "drop":
                del content[at : at + 3]
            case _:
                content[at:at] = content[at : at + 20]
        if not content:
            return b""
    return bytes(content)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FILES), st.sampled_from(Signal), st.sampled_from(["protobuf", "json"]), st.data())
def test_whatever_comes_is_kept_soundly_or_refused(
    path: Path, sent_as: Signal, format_: Format, data: st.DataObject
) -> None:
    """OTLP checklist 82, 88, 102: damaged telemetry, sent as any signal, is kept as it reads back, or refused."""
    body = path.read_bytes()
    if format_ == "json":
        body = to_otlp_json(decode_protobuf(Signal(path.name.split(".")[1]), body))
    log = MemoryLog()

    try:
        checked = accept(log, Delivery(sent_as, "http", mutated(body, data), format_))
    except Permanent:
        assert log.entries == []
        return

    kept = [validate(decode_protobuf(sent_as, entry.body)) for entry in log.entries]
    assert kept == ([Checked(checked.kept, 0)] if checked.kept else [])


def items_of(signal: Signal, document: dict[str, Any]) -> int:
    """How many spans, data points or log records a request holds, counted in its JSON and without our code.

    A metric that is of no known kind counts as one, because its sender is told of one.
    """
    resources, scopes, items = {
        Signal.TRACES: ("resourceSpans", "scopeSpans", "spans"),
        Signal.METRICS: ("resourceMetrics", "scopeMetrics", "metrics"),
        Signal.LOGS: ("resourceLogs", "scopeLogs", "logRecords"),
    }[signal]
    found = [
        item
        for resource in document.get(resources, [])
        for scope in resource.get(scopes, [])
        for item in scope.get(items, [])
    ]
    if signal is not Signal.METRICS:
        return len(found)
    kinds = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
    counts = [[len(metric[kind].get("dataPoints", [])) for kind in kinds if kind in metric] for metric in found]
    return sum(
        max(1, sum(points)) if not metric.get("name") or not points else sum(points)
        for metric, points in zip(found, counts, strict=True)
    )


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FILES), st.sampled_from(["protobuf", "json"]), st.sampled_from(sorted(PACK)), st.data())
def test_nothing_that_parses_is_lost_silently(path: Path, format_: Format, encoding: str, data: st.DataObject) -> None:
    """OTLP checklist 102: what is accepted and what is told as rejected are together what was sent."""
    signal = Signal(path.name.split(".")[1])
    body = path.read_bytes()
    if format_ == "json":
        body = to_otlp_json(decode_protobuf(signal, body))
    body = mutated(body, data)

    try:
        checked = accept(MemoryLog(), Delivery(signal, "http", PACK[encoding](body), format_, encoding))
    except Permanent:
        return

    request = decode_protobuf(signal, body) if format_ == "protobuf" else decode_json(signal, body)
    assert checked.kept + checked.rejected == items_of(signal, json_format.MessageToDict(request))


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from(Signal),
    st.sampled_from(["protobuf", "json"]),
    st.sampled_from(["", "gzip", "deflate", "zstd"]),
)
def test_noise_is_refused_or_empty(body: bytes, signal: Signal, format_: Format, encoding: str) -> None:
    """OTLP checklist 102: random bytes never fail in a way of their own."""
    log = MemoryLog()

    with contextlib.suppress(Permanent):
        accept(log, Delivery(signal, "http", body, format_, encoding))
