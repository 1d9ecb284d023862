"""OTLP over gRPC, over real sockets, with raw bytes from a real client."""

import asyncio
import contextlib
import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.support.captures import CAPTURES
from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiving import NOW, MemoryLog, running
from tokensense_otel.core.errors import Permanent, Retryable, Throttled
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.server import Receiver

BODY = trace_request([sound_span(1), sound_span(2)]).SerializeToString()
METHODS = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
RESPONSES: dict[Signal, Any] = {
    Signal.TRACES: ExportTraceServiceResponse,
    Signal.METRICS: ExportMetricsServiceResponse,
    Signal.LOGS: ExportLogsServiceResponse,
}
Code = grpc.StatusCode
Story = Callable[[grpc.aio.Channel, Receiver], Awaitable[None]]


def served(log: MemoryLog, story: Story, **settings: Any) -> None:
    async def run() -> None:
        async with running(log, **settings) as receiver, grpc.aio.insecure_channel(receiver.endpoints.grpc) as channel:
            await story(channel, receiver)

    asyncio.run(run())


def unary(channel: Any, method: str) -> Any:
    """A call that takes and gives bytes: it has no serializers, which the stubs do not know."""
    return channel.unary_unary(method)


async def export(channel: grpc.aio.Channel, body: bytes, method: str = METHODS[Signal.TRACES], **call: Any) -> bytes:
    answer: bytes = await unary(channel, method)(body, **call)
    return answer


async def refusal(channel: grpc.aio.Channel, body: bytes, method: str = METHODS[Signal.TRACES], **call: Any) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await export(channel, body, method, **call)
    return refused.value


def trailers(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    pairs: Any = error.trailing_metadata()
    return dict(pairs)


@pytest.mark.parametrize("signal", list(Signal))
def test_each_signal_is_on_the_log_when_it_is_answered(signal: Signal) -> None:
    """OTLP checklist 9, 15, 18, 19: the three services; the log holds the very bytes that came."""
    body = next(CAPTURES.rglob(f"*.{signal}.pb")).read_bytes()
    log = MemoryLog()

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        answer = await export(channel, body, METHODS[signal])
        assert answer == b""
        assert RESPONSES[signal].FromString(answer) == RESPONSES[signal]()

    served(log, story)
    assert log.entries == [Entry(signal, "default", "", NOW, body)]


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_compressed_messages_are_taken(compression: grpc.Compression) -> None:
    """OTLP checklist 1, 74: none, gzip and deflate."""
    log = MemoryLog()

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        await export(channel, BODY, compression=compression)

    served(log, story)
    assert [entry.body for entry in log.entries] == [BODY]


def test_an_empty_request_is_a_success() -> None:
    """OTLP checklist 3: nothing to say is no fault, and nothing is kept."""
    log = MemoryLog()

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        assert await export(channel, b"") == b""

    served(log, story)
    assert log.entries == []


def test_bad_items_are_a_partial_success() -> None:
    """OTLP checklist 20, 21, 22, 24, 82: the good span is kept, the bad one counted, with a reason."""
    bad = sound_span(2)
    bad.trace_id = bytes(16)
    log = MemoryLog()

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        answer = await export(channel, trace_request([sound_span(1), bad]).SerializeToString())
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
        assert partial.rejected_spans == 1
        assert "trace_id" in partial.error_message

    served(log, story)
    assert [entry.body for entry in log.entries] == [trace_request([sound_span(1)]).SerializeToString()]


@pytest.mark.parametrize(
    ("error", "code", "delay_s"),
    [
        (Retryable("busy", delay_s=1.5), Code.UNAVAILABLE, 1.5),
        (Throttled("slow down", delay_s=2), Code.RESOURCE_EXHAUSTED, 2),
        (Permanent("never"), Code.INVALID_ARGUMENT, None),
        (ValueError("a bug"), Code.UNAVAILABLE, 1),
    ],
)
def test_failures_carry_their_decision(error: Exception, code: grpc.StatusCode, delay_s: float | None) -> None:
    """OTLP checklist 25–28, 69, 78: the code, and RetryInfo in both trailers only where a retry helps."""
    log = MemoryLog(error)

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        refused = await refusal(channel, BODY)
        assert refused.code() is code
        found = trailers(refused)
        status = status_pb2.Status.FromString(found["grpc-status-details-bin"])
        assert (status.code, status.message) == (code.value[0], refused.details())
        assert ("google.rpc.retryinfo-bin" in found) == (delay_s is not None)
        if delay_s is not None:
            info = error_details_pb2.RetryInfo.FromString(found["google.rpc.retryinfo-bin"])
            assert info.retry_delay.ToTimedelta().total_seconds() == delay_s
        assert await export(channel, BODY) == b""

    served(log, story)
    assert len(log.entries) == 1


@pytest.mark.parametrize("method", [METHODS[Signal.METRICS], METHODS[Signal.LOGS]])
def test_another_signals_bytes_are_refused(method: str) -> None:
    """OTLP checklist 82: spans that are sent to another service are not kept as what they are not."""
    log = MemoryLog()

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        refused = await refusal(channel, BODY, method)
        assert refused.code() is Code.INVALID_ARGUMENT
        assert "the body holds traces" in refused.details()

    served(log, story)
    assert log.entries == []


def test_bytes_that_are_no_request_are_refused() -> None:
    """OTLP checklist 26, 88: an undecodable message is INVALID_ARGUMENT with BadRequest details."""

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        refused = await refusal(channel, b"\xff\xff")
        assert refused.code() is Code.INVALID_ARGUMENT
        status = status_pb2.Status.FromString(trailers(refused)["grpc-status-details-bin"])
        assert status.details[0].type_url == "type.googleapis.com/google.rpc.BadRequest"

    served(MemoryLog(), story)


@pytest.mark.parametrize(
    "method",
    [
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/somebody.Else/Does",
    ],
)
def test_other_services_are_unimplemented(method: str) -> None:
    """OTLP checklist 9, 83, 90: a code that makes nobody retry."""

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        assert (await refusal(channel, b"", method)).code() is Code.UNIMPLEMENTED

    served(MemoryLog(), story)


def test_the_size_limit_holds_exactly() -> None:
    """OTLP checklist 10, 12, 13: the limit is taken; one byte over is RESOURCE_EXHAUSTED without RetryInfo."""
    log = MemoryLog()

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        assert await export(channel, BODY) == b""
        refused = await refusal(channel, BODY + b"\x9a\x06\x01x")
        assert refused.code() is Code.RESOURCE_EXHAUSTED
        assert "google.rpc.retryinfo-bin" not in trailers(refused)

    served(log, story, max_request_bytes=len(BODY))
    assert len(log.entries) == 1


def test_the_size_limit_holds_after_decompression() -> None:
    """OTLP checklist 10: a message that is small on the wire and large inside is refused, and the server goes on."""
    bomb = bytes(4_000_000)
    assert len(gzip.compress(bomb)) < 10_000
    log = MemoryLog()

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        refused = await refusal(channel, bomb, compression=grpc.Compression.Gzip)
        assert refused.code() is Code.RESOURCE_EXHAUSTED
        await export(channel, BODY)

    served(log, story, max_request_bytes=10_000)
    assert len(log.entries) == 1


@pytest.mark.parametrize("metadata", [(("ts-api-key", "k"),), (("authorization", "Bearer k"),)])
def test_a_key_in_the_metadata_opens_its_tenant(metadata: tuple[tuple[str, str], ...]) -> None:
    """OTLP checklist 94, 95: the right key is accepted as its tenant; none or a wrong one is UNAUTHENTICATED."""
    log = MemoryLog()
    auth = {"required": True, "keys": [{"name": "a", "tenant": "acme", "project": "web", "key": "k"}]}

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        assert (await refusal(channel, BODY)).code() is Code.UNAUTHENTICATED
        assert (await refusal(channel, BODY, metadata=(("ts-api-key", "K"),))).code() is Code.UNAUTHENTICATED
        await export(channel, BODY, metadata=metadata)

    served(log, story, auth=auth)
    assert log.entries == [Entry(Signal.TRACES, "acme", "web", NOW, BODY)]


def test_many_calls_go_at_once() -> None:
    """OTLP checklist 14: calls on one connection do not wait for each other."""
    log = MemoryLog()

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        log.gate = asyncio.Event()
        held = asyncio.create_task(export(channel, BODY))
        await log.waiting.wait()
        gate, log.gate = log.gate, None
        await asyncio.gather(*(export(channel, BODY) for _ in range(50)))
        assert not held.done()
        gate.set()
        await held

    served(log, story)
    assert len(log.entries) == 51


async def held_calls(channel: grpc.aio.Channel, log: MemoryLog) -> list[asyncio.Task[bytes]]:
    """Two calls that wait for the log, one after the other."""
    calls = []
    for _ in range(2):
        log.waiting.clear()
        calls.append(asyncio.create_task(export(channel, BODY)))
        await log.waiting.wait()
    return calls


def test_overload_is_unavailable_and_never_exhausted() -> None:
    """OTLP checklist 28, 67, 68: beyond the bytes in flight senders keep their data and try again soon."""
    log = MemoryLog()

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        log.gate = asyncio.Event()
        held = await held_calls(channel, log)
        refused = await refusal(channel, BODY)
        assert refused.code() is Code.UNAVAILABLE
        assert "google.rpc.retryinfo-bin" in trailers(refused)
        log.gate.set()
        await asyncio.gather(*held)
        await export(channel, BODY)

    served(log, story, max_request_bytes=len(BODY), max_in_flight_bytes=2 * len(BODY))
    assert len(log.entries) == 3


def test_a_caller_that_gives_up_gives_back_what_it_held() -> None:
    """A call that is cancelled while the log is slow frees its bytes, and the next call is taken."""
    log = MemoryLog()

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        log.gate = asyncio.Event()
        for held in await held_calls(channel, log):
            held.cancel()
            with pytest.raises(asyncio.CancelledError):
                await held
        log.gate.set()
        # The server learns of it a moment later than the caller; until then the budget is taken.
        async with asyncio.timeout(10):
            while log.entries == []:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await export(channel, BODY)

    served(log, story, max_request_bytes=len(BODY), max_in_flight_bytes=2 * len(BODY))


def test_a_tenant_that_sends_too_much_is_asked_to_wait() -> None:
    """OTLP checklist 27, 78, 80: RESOURCE_EXHAUSTED with RetryInfo of at most 5 s in both trailers, so nobody drops."""
    log = MemoryLog()

    async def story(channel: grpc.aio.Channel, receiver: Receiver) -> None:
        await export(channel, BODY)
        refused = await refusal(channel, BODY)
        assert refused.code() is Code.RESOURCE_EXHAUSTED
        info = error_details_pb2.RetryInfo.FromString(trailers(refused)["google.rpc.retryinfo-bin"])
        assert info.retry_delay.ToTimedelta().total_seconds() == 5
        status = status_pb2.Status.FromString(trailers(refused)["grpc-status-details-bin"])
        assert status.details[0].type_url == "type.googleapis.com/google.rpc.RetryInfo"

    served(log, story, limits={"bytes_per_s": 0.001, "burst_s": 1})
    assert len(log.entries) == 1
