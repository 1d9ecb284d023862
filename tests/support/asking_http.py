"""A receiver's HTTP port, asked over a real socket."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
from google.rpc import status_pb2

from tests.support.otlp_json import to_otlp_json
from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiving import NOW, MemoryLog, running
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.server import Receiver

REQUEST = trace_request([sound_span(1), sound_span(2)])
PROTOBUF = REQUEST.SerializeToString()
JSON = to_otlp_json(REQUEST)
ENTRY = Entry(Signal.TRACES, "default", "", NOW, PROTOBUF)
PROTOBUF_TYPE, JSON_TYPE = "application/x-protobuf", "application/json"

Story = Callable[[httpx2.AsyncClient, Receiver], Awaitable[None]]


def served(log: MemoryLog, story: Story, **settings: Any) -> None:
    async def run() -> None:
        async with running(log, **settings) as receiver, httpx2.AsyncClient(trust_env=False) as client:
            client.base_url = httpx2.URL(f"http://{receiver.endpoints.http}")
            await story(client, receiver)

    asyncio.run(run())


def answers(
    log: MemoryLog,
    body: bytes = PROTOBUF,
    *,
    method: str = "POST",
    path: str = "/v1/traces",
    content_type: str | None = PROTOBUF_TYPE,
    headers: dict[str, str] | None = None,
    **settings: Any,
) -> httpx2.Response:
    """The answer to one request."""
    found: list[httpx2.Response] = []

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        sent = {**({"content-type": content_type} if content_type else {}), **(headers or {})}
        found.append(await client.request(method, path, content=body, headers=sent))

    served(log, story, **settings)
    return found[0]


def status_of(answer: httpx2.Response) -> status_pb2.Status:
    """The Status that the body must be, in the format that its content type says."""
    if answer.headers["content-type"] == PROTOBUF_TYPE:
        return status_pb2.Status.FromString(answer.content)
    assert answer.headers["content-type"] == JSON_TYPE
    document = json.loads(answer.content)
    return status_pb2.Status(code=document["code"], message=document["message"])
