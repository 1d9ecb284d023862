"""What the receiver says of itself: to probes, and in numbers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import httpx2
import pytest
from prometheus_client import REGISTRY

from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiving import NOW, MemoryLog, receiver_config, running
from tokensense_otel.core.errors import Retryable
from tokensense_otel.receiver.intake import Intake
from tokensense_otel.receiver.server import Receiver

BODY = trace_request([sound_span(1), sound_span(2)]).SerializeToString()
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"


def served(log: MemoryLog, story: Callable[[httpx2.AsyncClient, Receiver], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with running(log, **settings) as receiver, httpx2.AsyncClient(trust_env=False) as client:
            client.base_url = httpx2.URL(f"http://{receiver.endpoints.http}")
            await story(client, receiver)

    asyncio.run(run())


async def post(client: httpx2.AsyncClient, body: bytes = BODY) -> int:
    headers = {"content-type": "application/x-protobuf"}
    return (await client.post("/v1/traces", content=body, headers=headers)).status_code


async def call(receiver: Receiver, method: str, body: bytes) -> bytes:
    async with grpc.aio.insecure_channel(receiver.endpoints.grpc) as channel:
        unary: Any = channel.unary_unary
        answer: bytes = await unary(method)(body)
        return answer


async def health(receiver: Receiver, service: str = "") -> bytes:
    request = b"\n" + bytes([len(service)]) + service.encode() if service else b""
    return await call(receiver, "/grpc.health.v1.Health/Check", request)


def test_a_receiver_that_keeps_requests_is_ready() -> None:
    """Probes are answered without a key, over HTTP and by gRPC's own protocol, for the server and for a service."""
    keys = {"required": True, "keys": [{"name": "a", "key": "k"}]}

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        for path in ("/healthz", "/readyz"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
            assert (await client.head(path)).content == b""
            assert (await client.post(path)).status_code == 404
        assert await health(receiver) == await health(receiver, TRACES) == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await health(receiver, "somebody.Else")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND

    served(MemoryLog(), story, auth=keys)


@pytest.mark.parametrize("failure", [Retryable("full"), OSError("a disk")])
def test_a_receiver_whose_log_fails_is_not_ready(failure: Exception) -> None:
    """After an append failed it is alive but not ready; after one that went well it is ready again."""
    log = MemoryLog(failure)

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        assert await post(client) == 503
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["reason"]) == (503, "the log does not take requests")
        assert (await client.get("/healthz")).status_code == 200
        assert await health(receiver) == NOT_SERVING
        assert await post(client) == 200
        assert (await client.get("/readyz")).status_code == 200
        assert await health(receiver) == SERVING

    served(log, story)


def test_a_log_that_hangs_is_one_that_fails() -> None:
    """An append that took longer than it may counts as well."""
    log = MemoryLog()

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        log.gate = asyncio.Event()
        assert await post(client) == 503
        assert (await client.get("/readyz")).status_code == 503

    served(log, story, append_timeout_s=0.01)


def test_senders_are_let_in_again_to_find_out() -> None:
    """A balancer sends nothing to who is not ready, so that ends by itself 5 s after the last failure."""
    now_s = 1000.0
    intake = Intake(receiver_config(), MemoryLog(Retryable("full")), lambda: NOW, lambda: now_s)
    assert intake.unready() == "the receiver is stopping"
    asyncio.run(intake.start())
    assert intake.unready() == ""

    async def fail() -> None:
        from tokensense_otel.receiver.auth import Identity
        from tokensense_otel.receiver.intake import Delivery
        from tokensense_otel.receiver.log.entry import Signal

        with intake.hold(Identity()) as hold, pytest.raises(Retryable):
            await intake.accept(Delivery(Signal.TRACES, "http", BODY), Identity(), hold)

    asyncio.run(fail())
    now_s += 4.9
    assert intake.unready() == "the log does not take requests"
    now_s += 0.1
    assert intake.unready() == ""
    intake.close()
    assert intake.unready() == "the receiver is stopping"


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"tokensense_receiver_{name}", labels) or 0.0


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_every_request_is_timed_and_counted_by_its_outcome(transport: str) -> None:
    """OTLP checklist 99: one accepted, one that the log refused and one that is no request, in both transports."""
    labels = {"signal": "traces", "transport": transport}
    names: list[tuple[str, dict[str, str]]] = [
        ("request_seconds_count", {**labels, "outcome": "accepted"}),
        ("request_seconds_count", {**labels, "outcome": "refused"}),
        ("accepted_items_total", labels),
        ("refused_items_total", labels),
    ]
    before = [sample(name, **with_) for name, with_ in names]

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        for body, well in ((BODY, False), (BODY, True), (b"\xff", False)):
            if transport == "http":
                assert (await post(client, body) == 200) is well
            elif well:
                await call(receiver, f"/{TRACES}/Export", body)
            else:
                with pytest.raises(grpc.aio.AioRpcError):
                    await call(receiver, f"/{TRACES}/Export", body)

    served(MemoryLog(Retryable("full")), story)
    after = [sample(name, **with_) for name, with_ in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 2, 2, 2]
