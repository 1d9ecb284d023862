"""OTLP over each transport that a receiver takes, under the key of a tenant."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

import grpc.aio
import httpx2

from tests.support.otlp import SERVICES
from tests.support.otlp_json import to_otlp_json
from tests.support.wire import Sent

KEY_HEADER = "TS-API-Key"
_TIMEOUT_S = 30.0

Send = Callable[[Sent, str], Awaitable[None]]
"""Send a request under a key, and come back when it is acknowledged whole; anything else is an `AssertionError`."""


@contextlib.asynccontextmanager
async def senders(grpc_endpoint: str, http_endpoint: str) -> AsyncIterator[Mapping[str, Send]]:
    """`grpc`, `http` (protobuf) and `json` (over HTTP) to these endpoints (`host:port`)."""
    async with (
        grpc.aio.insecure_channel(grpc_endpoint) as channel,
        httpx2.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as client,
    ):
        unary = getattr(channel, "unary_unary")  # noqa: B009 - the stubs do not know calls on bytes
        exports = {signal: unary(f"/{service}/Export") for signal, service in SERVICES.items()}

        async def by_grpc(sent: Sent, key: str) -> None:
            body = sent.request.SerializeToString()
            answer = await exports[sent.signal](body, metadata=((KEY_HEADER.lower(), key),), timeout=_TIMEOUT_S)
            assert answer == b"", "a partial success"

        async def post(sent: Sent, key: str, body: bytes, kind: str, accepted: bytes) -> None:
            headers = {KEY_HEADER: key, "content-type": kind}
            answer = await client.post(f"http://{http_endpoint}/v1/{sent.signal}", content=body, headers=headers)
            assert (answer.status_code, answer.content) == (200, accepted)

        async def by_http(sent: Sent, key: str) -> None:
            await post(sent, key, sent.request.SerializeToString(), "application/x-protobuf", b"")

        async def by_json(sent: Sent, key: str) -> None:
            await post(sent, key, to_otlp_json(sent.request), "application/json", b"{}")

        yield {"grpc": by_grpc, "http": by_http, "json": by_json}


async def send_all(items: Iterable[tuple[Send, Sent, str]], at_once: int = 16) -> None:
    """Send each in this order, `at_once` of them under way at any time."""
    left = iter(items)

    async def work() -> None:
        for send, sent, key in left:
            await send(sent, key)

    async with asyncio.TaskGroup() as workers:
        for _ in range(at_once):
            workers.create_task(work())
