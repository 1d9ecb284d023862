"""A sender as OpenTelemetry's exporters are: it keeps a request until it is acknowledged, over gRPC or HTTP.

Unlike them it never gives up and waits only a moment, so that a test with many outages ends soon. What is not an
acknowledgement must be one of the answers after which an exporter tries again; anything else would make it drop data.
"""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import grpc.aio
import httpx2

Send = Callable[[bytes], Awaitable[bool]]
"""One attempt; whether it was acknowledged."""

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_HEADERS = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
_RETRIED_STATUS = {429, 502, 503, 504}
_PAUSE_S = 0.05
_TIMEOUT_S = 10.0


async def until_acknowledged(send: Send, body: bytes) -> int:
    """Send `body` again and again until it is acknowledged; how many attempts that took."""
    attempts = 1
    while not await send(body):
        attempts += 1
        await asyncio.sleep(_PAUSE_S)  # a client's own pause, as OTLP asks for
    return attempts


@contextlib.asynccontextmanager
async def over_http(endpoint: str) -> AsyncIterator[Send]:
    """Gzip over a kept connection to `endpoint` (`host:port`)."""
    async with httpx2.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as client:

        async def send(body: bytes) -> bool:
            try:
                answer = await client.post(
                    f"http://{endpoint}/v1/traces", content=gzip.compress(body), headers=_HEADERS
                )
            except httpx2.TransportError:
                return False
            assert answer.status_code in {200, *_RETRIED_STATUS}, answer.text
            return answer.status_code == 200

        yield send


@contextlib.asynccontextmanager
async def over_grpc(endpoint: str) -> AsyncIterator[Send]:
    """Plain over one channel to `endpoint` (`host:port`), which connects anew at once."""
    options = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100))
    async with grpc.aio.insecure_channel(endpoint, options=options) as channel:
        export = getattr(channel, "unary_unary")(_EXPORT)  # noqa: B009 - the stubs do not know calls on bytes

        async def send(body: bytes) -> bool:
            try:
                await export(body, timeout=_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    return False
                raise
            return True

        yield send
