"""OTLP over HTTP when there is too much of it, or it is slow, broken or gone: over real sockets."""

import asyncio

import httpx2
import pytest

from tests.support.asking_http import ENTRY, PROTOBUF, PROTOBUF_TYPE, served, status_of
from tests.support.receiving import MemoryLog
from tokensense_otel.receiver.server import Receiver


def test_beyond_the_bytes_in_flight_senders_come_back_later() -> None:
    """OTLP checklist 28, 54, 87: over the budget is 503 with a short delay, at once; then there is room again."""
    log = MemoryLog()
    size = len(PROTOBUF)

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        headers = {"content-type": PROTOBUF_TYPE}
        log.gate = asyncio.Event()
        held = []
        for _ in range(2):
            log.waiting.clear()
            held.append(asyncio.create_task(client.post("/v1/traces", content=PROTOBUF, headers=headers)))
            await log.waiting.wait()
        refused = await client.post("/v1/traces", content=PROTOBUF, headers=headers)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        log.gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*held)] == [200, 200]
        assert (await client.post("/v1/traces", content=PROTOBUF, headers=headers)).status_code == 200

    served(log, story, max_request_bytes=size, max_in_flight_bytes=2 * size)
    assert len(log.entries) == 3


def test_a_log_that_hangs_holds_nobody() -> None:
    """OTLP checklist 84: a request waits for the log no longer than append_timeout_s, then its sender keeps it."""
    log = MemoryLog()

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        log.gate = asyncio.Event()
        answer = await client.post("/v1/traces", content=PROTOBUF, headers={"content-type": PROTOBUF_TYPE})
        assert answer.status_code == 503
        assert "slow" in status_of(answer).message

    served(log, story, append_timeout_s=0.01)


def test_a_body_that_never_ends_is_answered() -> None:
    """A sender that stalls in its body is told to try again, and gives back what it held."""
    log = MemoryLog()

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        reader, writer = await asyncio.open_connection(*receiver.endpoints.http.split(":"))
        writer.write(
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\ncontent-type: application/json\r\n\r\n{"
        )
        assert (await reader.readuntil(b"\r\n")).split()[1] == b"503"
        writer.close()
        await writer.wait_closed()
        answer = await client.post("/v1/traces", content=PROTOBUF, headers={"content-type": PROTOBUF_TYPE})
        assert answer.status_code == 200

    served(log, story, http={"endpoint": "127.0.0.1:0", "read_timeout_s": 0.05})


def test_a_sender_that_hangs_up_harms_nobody() -> None:
    """A connection closed in the middle of a body keeps nothing and leaves the server in order."""
    log = MemoryLog()

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        _, writer = await asyncio.open_connection(*receiver.endpoints.http.split(":"))
        writer.write(
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\ncontent-type: application/json\r\n\r\n{"
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        answer = await client.post("/v1/traces", content=PROTOBUF, headers={"content-type": PROTOBUF_TYPE})
        assert answer.status_code == 200

    served(log, story)
    assert log.entries == [ENTRY]


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"POST /v1/traces HTTP/9.9\r\n\r\n", b"\0" * 100]
)
def test_bytes_that_are_no_http_are_survived(noise: bytes) -> None:
    """OTLP checklist 102: noise on the port is answered or hung up on, and the next sender is served."""
    log = MemoryLog()

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        reader, writer = await asyncio.open_connection(*receiver.endpoints.http.split(":"))
        writer.write(noise)
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        answer = await client.post("/v1/traces", content=PROTOBUF, headers={"content-type": PROTOBUF_TYPE})
        assert answer.status_code == 200

    served(log, story)


def test_a_tenant_that_sends_too_much_is_asked_to_wait() -> None:
    """OTLP checklist 52, 54, 80, 81: 429 with Retry-After of at most 5 s, before the body is read, for it only."""
    log = MemoryLog()
    keys = [{"name": name, "tenant": name, "key": name} for name in ("a", "b")]

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        async def post(key: str, body: bytes = PROTOBUF) -> httpx2.Response:
            headers = {"content-type": PROTOBUF_TYPE, "ts-api-key": key}
            return await client.post("/v1/traces", content=body, headers=headers)

        assert (await post("a")).status_code == 200
        refused = await post("a", b"this is not even looked at")
        assert (refused.status_code, status_of(refused).code, refused.headers["retry-after"]) == (429, 8, "5")
        assert "tenant 'a'" in status_of(refused).message
        assert (await post("b")).status_code == 200

    served(log, story, auth={"keys": keys}, limits={"spans_per_s": 0.001, "burst_s": 1})
    assert [entry.tenant for entry in log.entries] == ["a", "b"]


def test_one_tenants_flood_leaves_room_for_another() -> None:
    """While one tenant's requests fill its part of what may be in work, the other's are taken."""
    log = MemoryLog()
    size = len(PROTOBUF)
    keys = [{"name": name, "tenant": name, "key": name} for name in ("a", "b")]

    async def story(client: httpx2.AsyncClient, receiver: Receiver) -> None:
        def post(key: str) -> asyncio.Task[httpx2.Response]:
            headers = {"content-type": PROTOBUF_TYPE, "ts-api-key": key}
            return asyncio.create_task(client.post("/v1/traces", content=PROTOBUF, headers=headers))

        log.gate = asyncio.Event()
        held = []
        for key in ("a", "a", "b"):
            log.waiting.clear()
            held.append(post(key))
            await log.waiting.wait()
            if key == "a" and len(held) == 2:
                assert (await post("a")).status_code == 503
        log.gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*held)] == [200] * 3

    served(log, story, auth={"required": True, "keys": keys}, max_request_bytes=size, max_in_flight_bytes=4 * size)
    assert [entry.tenant for entry in log.entries] == ["a", "a", "b"]
