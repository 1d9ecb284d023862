"""What silent, many and noisy connections cost over gRPC, with frames that no client library would send."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.support.otlp_requests import sound_span, trace_request
from tests.support.raw_http2 import GOAWAY, PING, PREFACE, SETTINGS, frame, raw_http2
from tests.support.receiver_process import receiver_process
from tests.support.receiving import MemoryLog, running
from tokensense_otel.receiver.server import Receiver

BODY = trace_request([sound_span(1)]).SerializeToString()


def served(story: Callable[[Receiver], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with running(MemoryLog(), grpc={"endpoint": "127.0.0.1:0", **settings}) as receiver:
            async with asyncio.timeout(30):
                await story(receiver)

    asyncio.run(run())


async def export(endpoint: str, **call: Any) -> None:
    """One call on a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(endpoint, options=options) as channel:
        unary: Any = channel.unary_unary
        await unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")(BODY, **call)


@pytest.mark.parametrize("start", [b"", PREFACE[:10], b"GET / HTTP/1.1\r\n\r\n"])
def test_a_handshake_that_never_ends_is_hung_up_on(start: bytes) -> None:
    """Slow-loris: who connects and does not speak HTTP/2 within handshake_timeout_s is let go."""

    async def story(receiver: Receiver) -> None:
        async with raw_http2(receiver.endpoints.grpc) as line:
            await line.send(start)
            assert await line.until(PING) is None
        await export(receiver.endpoints.grpc)

    served(story, handshake_timeout_s=0.1)


def test_connections_beyond_the_limit_are_closed() -> None:
    """Of 5 connections 3 are let in; when one of them goes, there is room for a sender."""

    async def story(receiver: Receiver) -> None:
        async with contextlib.AsyncExitStack() as stack:
            lines = [await stack.enter_async_context(raw_http2(receiver.endpoints.grpc)) for _ in range(5)]
            for line in lines:
                await line.send(PREFACE + frame(SETTINGS))
            greeted = await asyncio.gather(*(line.until(SETTINGS) for line in lines))
            assert sum(found is not None for found in greeted) == 3
        # The server learns of it a moment later than they do.
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                return await export(receiver.endpoints.grpc)

    served(story, max_connections=3)


def test_connections_are_renewed_without_a_loss() -> None:
    """OTLP checklist 85: after max_connection_age_s a client is asked to connect anew; calls go on meanwhile."""

    async def story(receiver: Receiver) -> None:
        async with (
            raw_http2(receiver.endpoints.grpc) as line,
            grpc.aio.insecure_channel(receiver.endpoints.grpc) as channel,
        ):
            await line.send(PREFACE + frame(SETTINGS))
            asked = asyncio.create_task(line.until(GOAWAY))
            unary: Any = channel.unary_unary
            call = unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            while not asked.done():
                await call(BODY)
            found = asked.result()
            assert found is not None
            assert b"max_age" in found.payload
            for _ in range(10):
                await call(BODY)

    served(story, max_connection_age_s=0.2)


def test_a_flood_of_pings_ends_its_connection() -> None:
    """OTLP checklist 84: a ping each 10 s is what Collectors send; many at once get GOAWAY, and others are served."""

    async def story(receiver: Receiver) -> None:
        async with raw_http2(receiver.endpoints.grpc) as line:
            await line.send(PREFACE + frame(SETTINGS) + frame(PING, bytes(8)) * 100)
            found = await line.until(GOAWAY)
            assert found is not None
            assert b"too_many_pings" in found.payload
        await export(receiver.endpoints.grpc)

    served(story)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_flood_of_settings_costs_nobody_else() -> None:
    """100,000 SETTINGS frames, never read an answer of: under 40 MiB, and other senders are served meanwhile."""

    async def story() -> None:
        with receiver_process() as process:
            endpoint = process.endpoints.grpc
            await export(endpoint)
            before = process.rss_kib()
            async with raw_http2(endpoint) as line:
                await line.send(PREFACE)
                flood = asyncio.create_task(line.send(frame(SETTINGS, b"\x00\x03\x00\x00\x00\x64") * 100_000))
                for _ in range(5):
                    await export(endpoint)
                flood.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await flood
            await export(endpoint)
            assert process.peak_kib() - before < 40 << 10

    asyncio.run(story())


def test_a_flood_of_metadata_is_refused() -> None:
    """More metadata than 16 KiB ends the call, not the server."""

    async def story(receiver: Receiver) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await export(receiver.endpoints.grpc, metadata=tuple((f"x-{i}", "y" * 100) for i in range(500)))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await export(receiver.endpoints.grpc)

    served(story)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_idle_connections_cost_little_memory() -> None:
    """500 idle connections over gRPC take less than 128 KiB each, and senders are served among them."""
    count = 500

    async def story() -> None:
        with receiver_process() as process:
            endpoint = process.endpoints.grpc
            await export(endpoint)
            before = process.rss_kib()
            async with contextlib.AsyncExitStack() as stack:
                lines = [await stack.enter_async_context(raw_http2(endpoint)) for _ in range(count)]
                for line in lines:
                    await line.send(PREFACE + frame(SETTINGS))
                for line in lines:
                    assert await line.until(SETTINGS) is not None
                await export(endpoint)
                assert (process.rss_kib() - before) / count < 128

    asyncio.run(story())
