"""OTLP over HTTP, over real sockets."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from backports import zstd
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.support.asking_http import ENTRY, JSON, JSON_TYPE, PROTOBUF, PROTOBUF_TYPE, answers, served, status_of
from tests.support.otlp_json import to_otlp_json
from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiving import NOW, MemoryLog
from tokensense_otel.core.errors import Permanent, Retryable, Throttled
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.server import Receiver


@pytest.mark.parametrize(
    ("content_type", "body", "headers", "answer_type", "answer_body"),
    [
        (PROTOBUF_TYPE, PROTOBUF, {}, PROTOBUF_TYPE, b""),
        ("Application/X-Protobuf", PROTOBUF, {}, PROTOBUF_TYPE, b""),
        (PROTOBUF_TYPE, gzip.compress(PROTOBUF), {"content-encoding": "gzip"}, PROTOBUF_TYPE, b""),
        (PROTOBUF_TYPE, zlib.compress(PROTOBUF), {"content-encoding": "deflate"}, PROTOBUF_TYPE, b""),
        (PROTOBUF_TYPE, zstd.compress(PROTOBUF), {"content-encoding": "zstd"}, PROTOBUF_TYPE, b""),
        (PROTOBUF_TYPE, PROTOBUF, {"content-encoding": "identity"}, PROTOBUF_TYPE, b""),
        (JSON_TYPE, JSON, {}, JSON_TYPE, b"{}"),
        ("application/json; charset=utf-8", JSON, {}, JSON_TYPE, b"{}"),
        ("APPLICATION/JSON", JSON, {}, JSON_TYPE, b"{}"),
        (JSON_TYPE, gzip.compress(JSON), {"content-encoding": "gzip"}, JSON_TYPE, b"{}"),
        (JSON_TYPE, zstd.compress(JSON), {"content-encoding": "zstd"}, JSON_TYPE, b"{}"),
    ],
)
def test_a_request_is_on_the_log_when_it_is_answered(
    content_type: str, body: bytes, headers: dict[str, str], answer_type: str, answer_body: bytes
) -> None:
    """OTLP checklist 30, 32, 34–37, 41, 43, 44, 65, 72, 75: each content type and encoding; the log holds protobuf."""
    log = MemoryLog()

    answer = answers(log, body, content_type=content_type, headers=headers)

    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, answer_type, answer_body)
    assert log.entries == [ENTRY]


@pytest.mark.parametrize("content_type", [PROTOBUF_TYPE, JSON_TYPE])
@pytest.mark.parametrize("signal", list(Signal))
def test_an_empty_request_is_a_success(signal: Signal, content_type: str) -> None:
    """OTLP checklist 3, 31, 45: every path takes a request that holds nothing, and keeps nothing."""
    log = MemoryLog()
    body = b"{}" if content_type == JSON_TYPE else b""

    answer = answers(log, body, path=f"/v1/{signal}", content_type=content_type)

    assert (answer.status_code, answer.content) == (200, body)
    assert log.entries == []


@pytest.mark.parametrize("content_type", [PROTOBUF_TYPE, JSON_TYPE])
def test_bad_items_are_a_partial_success(content_type: str) -> None:
    """OTLP checklist 24, 46, 47, 63, 82: the good span is kept, the bad one counted, in the request's format."""
    bad = sound_span(2)
    bad.span_id = b"short"
    request = trace_request([sound_span(1), bad])
    body = to_otlp_json(request) if content_type == JSON_TYPE else request.SerializeToString()
    log = MemoryLog()

    answer = answers(log, body, content_type=content_type)

    assert answer.status_code == 200
    if content_type == JSON_TYPE:
        partial = json.loads(answer.content)["partialSuccess"]
        assert partial["rejectedSpans"] == "1"
        assert "span_id" in partial["errorMessage"]
    else:
        message = ExportTraceServiceResponse.FromString(answer.content)
        assert message.partial_success.rejected_spans == 1
        assert "span_id" in message.partial_success.error_message
    (entry,) = log.entries
    assert entry.body == trace_request([sound_span(1)]).SerializeToString()


@pytest.mark.parametrize("content_type", [PROTOBUF_TYPE, JSON_TYPE])
@pytest.mark.parametrize(
    ("error", "http_status", "code", "retry_after"),
    [
        (Retryable("the disk is slow", delay_s=1.2), 503, 14, "2"),
        (Throttled("slow down", delay_s=1), 429, 8, "1"),
        (Permanent("never"), 400, 3, None),
        (ValueError("a bug"), 503, 14, "1"),
    ],
)
def test_failures_are_told_in_the_requests_format(
    error: Exception, http_status: int, code: int, retry_after: str | None, content_type: str
) -> None:
    """OTLP checklist 36, 49, 50, 52, 54, 66, 69, 71: a Status body, and Retry-After only where a retry helps."""
    body = JSON if content_type == JSON_TYPE else PROTOBUF
    log = MemoryLog(error)

    answer = answers(log, body, content_type=content_type)

    assert (answer.status_code, answer.headers.get("retry-after")) == (http_status, retry_after)
    assert answer.headers["content-type"] == content_type
    assert status_of(answer).code == code
    assert log.entries == []


@pytest.mark.parametrize(
    ("request_", "http_status", "answer_type", "says"),
    [
        ({"content_type": None}, 415, JSON_TYPE, "application/x-protobuf or application/json"),
        ({"content_type": "text/plain"}, 415, JSON_TYPE, "application/x-protobuf or application/json"),
        ({"headers": {"content-encoding": "lz4"}}, 415, PROTOBUF_TYPE, "use gzip, zstd, deflate, identity"),
        ({"content_type": None, "headers": {"content-encoding": "gzip"}}, 415, JSON_TYPE, "application/x-protobuf"),
        ({"method": "GET"}, 405, PROTOBUF_TYPE, "use POST"),
        ({"method": "OPTIONS"}, 405, PROTOBUF_TYPE, "use POST"),
        ({"method": "PATCH", "content_type": JSON_TYPE}, 405, JSON_TYPE, "use POST"),
        ({"path": "/v1development/profiles"}, 404, PROTOBUF_TYPE, "/v1/traces"),
        ({"path": "/v1/profiles"}, 404, PROTOBUF_TYPE, "/v1/traces"),
        ({"path": "/v1/traces/"}, 404, PROTOBUF_TYPE, "/v1/traces"),
        ({"path": "/", "content_type": JSON_TYPE}, 404, JSON_TYPE, "/v1/traces"),
        ({"body": b"1234", "content_type": JSON_TYPE}, 400, JSON_TYPE, "not a JSON object"),
        ({"body": b"\xff\xff"}, 400, PROTOBUF_TYPE, "not a protobuf ExportTraceServiceRequest"),
        ({"headers": {"content-encoding": "gzip"}}, 400, PROTOBUF_TYPE, "not valid gzip"),
        ({"headers": {"content-encoding": "zstd"}}, 400, PROTOBUF_TYPE, "not valid zstd"),
        (
            {"body": JSON, "content_type": JSON_TYPE, "headers": {"content-encoding": "gzip"}},
            400,
            JSON_TYPE,
            "not valid",
        ),
        ({"path": "/v1/metrics"}, 400, PROTOBUF_TYPE, "the body holds traces, not metrics"),
        ({"path": "/v1/logs"}, 400, PROTOBUF_TYPE, "the body holds traces, not logs"),
    ],
)
def test_what_is_wrong_is_said(request_: dict[str, Any], http_status: int, answer_type: str, says: str) -> None:
    """OTLP checklist 30, 50, 51, 53, 55, 73, 75, 82, 83, 90: a Status body with every refusal, and never a redirect."""
    log = MemoryLog()

    answer = answers(log, **request_)

    assert (answer.status_code, answer.headers["content-type"]) == (http_status, answer_type)
    assert says in status_of(answer).message
    assert log.entries == []


def test_refusals_name_what_is_taken() -> None:
    """OTLP checklist 55: 405 carries Allow and 415 Accept-Encoding, as HTTP wants."""
    assert answers(MemoryLog(), method="GET").headers["allow"] == "POST"
    assert (
        answers(MemoryLog(), headers={"content-encoding": "br"}).headers["accept-encoding"]
        == "gzip, zstd, deflate, identity"
    )


def test_a_head_gets_no_body() -> None:
    """OTLP checklist 55: HEAD is answered as GET is, without the body, and the connection stays in step."""

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        assert ((await client.head("/v1/traces")).status_code, (await client.head("/")).status_code) == (405, 404)
        answer = await client.post("/v1/traces", content=PROTOBUF, headers={"content-type": PROTOBUF_TYPE})
        assert answer.status_code == 200

    served(MemoryLog(), story)


def test_the_size_limit_holds_exactly() -> None:
    """OTLP checklist 12, 39, 40: a body of max_request_bytes is taken, one byte less makes it 413."""
    size = len(PROTOBUF)
    assert answers(MemoryLog(), max_request_bytes=size).status_code == 200

    log = MemoryLog()
    answer = answers(log, max_request_bytes=size - 1)

    assert (answer.status_code, status_of(answer).code) == (413, 8)
    assert "retry-after" not in answer.headers
    assert log.entries == []


def test_the_size_limit_holds_after_decompression() -> None:
    """OTLP checklist 39, 40, 76: what is small on the wire and large inside is 413."""
    bomb = gzip.compress(bytes(1_000_000))
    assert len(bomb) < 10_000

    answer = answers(MemoryLog(), bomb, headers={"content-encoding": "gzip"}, max_request_bytes=10_000)

    assert answer.status_code == 413


def test_answers_are_not_compressed() -> None:
    """OTLP checklist 38: a server may, but an answer of a few bytes only grows."""
    answer = answers(MemoryLog(), headers={"accept-encoding": "gzip"})

    assert (answer.status_code, answer.headers.get("content-encoding"), answer.content) == (200, None, b"")


def test_many_requests_go_at_once() -> None:
    """OTLP checklist 57: requests of one client on several connections do not wait for each other."""
    log = MemoryLog()

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        headers = {"content-type": PROTOBUF_TYPE}

        def post() -> asyncio.Task[httpx2.Response]:
            return asyncio.create_task(client.post("/v1/traces", content=PROTOBUF, headers=headers))

        log.gate = asyncio.Event()
        held = post()
        await log.waiting.wait()
        gate, log.gate = log.gate, None
        assert {answer.status_code for answer in await asyncio.gather(*(post() for _ in range(20)))} == {200}
        assert not held.done()
        gate.set()
        assert (await held).status_code == 200

    served(log, story)
    assert len(log.entries) == 21


def chunked(body: bytes, size: int) -> AsyncIterator[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield body[at : at + size]

    return chunks()


def test_chunked_bodies_are_taken_and_counted_as_they_come() -> None:
    """OTLP checklist 77: the JS exporter announces no length; the limit holds all the same."""
    log = MemoryLog()

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        headers = {"content-type": PROTOBUF_TYPE}
        taken = await client.post("/v1/traces", content=chunked(PROTOBUF, 7), headers=headers)
        assert (taken.status_code, taken.request.headers.get("transfer-encoding")) == (200, "chunked")
        refused = await client.post("/v1/traces", content=chunked(bytes(20_000), 1000), headers=headers)
        assert refused.status_code == 413

    served(log, story, max_request_bytes=10_000)
    assert log.entries == [ENTRY]


def test_a_connection_is_kept_for_the_next_request() -> None:
    """OTLP checklist 56: many requests, refused ones among them, go over one connection."""
    log = MemoryLog()

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        reader, writer = await asyncio.open_connection(*receiver.endpoints.http.split(":"))
        head = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: {len(PROTOBUF)}\r\ncontent-type: "
        for content_type, expected in ((PROTOBUF_TYPE, b"200"), ("text/plain", b"415"), (PROTOBUF_TYPE, b"200")):
            writer.write(head.encode() + content_type.encode() + b"\r\n\r\n" + PROTOBUF)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.split()[1] == expected
            length = int(answer.lower().split(b"content-length: ")[1].split()[0])
            await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()

    served(log, story)
    assert log.entries == [ENTRY, ENTRY]


def test_keys_decide_before_the_body_is_read() -> None:
    """OTLP checklist 93, 94: 401 with a Status comes without a byte of the body having been sent."""
    keys = {"required": True, "keys": [{"name": "a", "tenant": "acme", "project": "web", "key": "k"}]}
    log = MemoryLog()

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        reader, writer = await asyncio.open_connection(*receiver.endpoints.http.split(":"))
        writer.write(
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\ncontent-type: application/json\r\n\r\n"
        )
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.split()[1] == b"401"
        assert b"www-authenticate: Bearer" in answer
        writer.close()
        await writer.wait_closed()
        headers = {"content-type": PROTOBUF_TYPE, "TS-API-Key": "k"}
        assert (await client.post("/v1/traces", content=PROTOBUF, headers=headers)).status_code == 200

    served(log, story, auth=keys)
    assert log.entries == [Entry(Signal.TRACES, "acme", "web", NOW, PROTOBUF)]
