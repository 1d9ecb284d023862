"""What slow, many and noisy connections cost, over real sockets and with small limits."""

import asyncio
import contextlib
import gc
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from prometheus_client import REGISTRY

from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiver_process import receiver_process
from tests.support.receiving import MemoryLog, running
from tokensense_otel.receiver.config import HttpConfig
from tokensense_otel.receiver.http_guard import guarded
from tokensense_otel.receiver.server import Receiver

BODY = trace_request([sound_span(1)]).SerializeToString()
TYPE = "application/x-protobuf"
HEAD = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {TYPE}\r\n"
WHOLE = f"{HEAD}content-length: {len(BODY)}\r\n\r\n".encode() + BODY

Story = Callable[[Receiver], Awaitable[None]]


def served(story: Story, log: MemoryLog | None = None, **http: Any) -> None:
    async def run() -> None:
        async with running(log or MemoryLog(), http={"endpoint": "127.0.0.1:0", **http}) as receiver:
            async with asyncio.timeout(30):
                await story(receiver)

    asyncio.run(run())


class Raw:
    """A connection that is written to byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split()[0])
        return int(head.split()[1]), await self._reader.readexactly(length)

    async def closed(self) -> bytes:
        """What comes until the other side closes."""
        with contextlib.suppress(ConnectionError):
            return await self._reader.read()
        return b""


@contextlib.asynccontextmanager
async def connected(receiver: Receiver) -> AsyncIterator[Raw]:
    host, port = receiver.endpoints.http.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def still_serves(receiver: Receiver) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        url = f"http://{receiver.endpoints.http}/v1/traces"
        assert (await client.post(url, content=BODY, headers={"content-type": TYPE})).status_code == 200


def closed_because(reason: str) -> float:
    return REGISTRY.get_sample_value("tokensense_receiver_connections_closed_total", {"reason": reason}) or 0.0


@pytest.mark.parametrize("start", [b"P", HEAD.encode(), HEAD.encode() + b"x", b"\r\n"])
def test_a_header_that_never_ends_is_hung_up_on(start: bytes) -> None:
    """Slow-loris: a header has header_timeout_s from its first byte, however much came, empty lines included."""
    before = closed_because("slow header")

    async def story(receiver: Receiver) -> None:
        async with connected(receiver) as line:
            await line.send(start)
            assert await line.closed() == b""
        await still_serves(receiver)

    served(story, header_timeout_s=0.05)
    assert closed_because("slow header") == before + 1


def test_bytes_that_drip_give_a_header_no_more_time() -> None:
    """Slow-loris: a byte now and then does not move the deadline, neither within a header nor as empty lines."""

    async def drip(receiver: Receiver, byte: bytes) -> None:
        async with connected(receiver) as line:
            await line.send(byte)
            closing = asyncio.create_task(line.closed())
            while not closing.done():
                with contextlib.suppress(ConnectionError):
                    await line.send(byte)
                await asyncio.wait([closing], timeout=0.01)

    async def story(receiver: Receiver) -> None:
        await asyncio.gather(drip(receiver, b"x"), drip(receiver, b"\r\n"))

    served(story, header_timeout_s=0.1)


def test_the_next_header_has_a_deadline_too() -> None:
    """Slow-loris: a connection that was served before is no way around it."""

    async def story(receiver: Receiver) -> None:
        async with connected(receiver) as line:
            await line.send(WHOLE)
            assert (await line.answer())[0] == 200
            await line.send(HEAD.encode())
            assert await line.closed() == b""

    served(story, header_timeout_s=0.05)


@pytest.mark.parametrize("served_before", [False, True])
def test_a_silent_connection_ends_after_keep_alive(served_before: bool) -> None:
    """OTLP checklist 56, 86: whoever says nothing, at first or after a request, is let go after keep_alive_s."""

    async def story(receiver: Receiver) -> None:
        async with connected(receiver) as line:
            if served_before:
                await line.send(WHOLE)
                assert (await line.answer())[0] == 200
            assert await line.closed() == b""

    served(story, keep_alive_s=0.05)


def test_uvicorns_own_timer_closes_nothing() -> None:
    """OTLP checklist 86: uvicorn would hang up after 5 s; only keep_alive_s of the configuration counts."""
    protocol = object.__new__(guarded(HttpConfig()))
    with pytest.raises(AttributeError):
        protocol.hang_up()  # it has no transport: closing anything would be seen
    protocol.timeout_keep_alive_handler()


def test_a_body_that_drips_is_answered_and_then_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow-loris: bytes that come one by one do not move the body's deadline: 503, and the end a moment later."""
    monkeypatch.setattr("tokensense_otel.receiver.http_guard._GRACE_S", 0.05)
    before = closed_because("slow body")

    async def story(receiver: Receiver) -> None:
        async with connected(receiver) as line:
            await line.send(f"{HEAD}content-length: 1000000\r\n\r\n".encode())
            closing = asyncio.create_task(line.closed())
            while not closing.done():
                with contextlib.suppress(ConnectionError):
                    await line.send(b"x")
                await asyncio.wait([closing], timeout=0.01)
            assert closing.result().startswith(b"HTTP/1.1 503")
        await still_serves(receiver)

    served(story, read_timeout_s=0.1)
    assert closed_because("slow body") == before + 1


@pytest.mark.parametrize(
    "flood",
    [
        b"".join(b"x-%d: %s\r\n" % (i, b"y" * 50) for i in range(100)),
        b"x: " + b"y" * 5000 + b"\r\n",
        b"x: " + b"y" * 5000,
        b"y" * 5000,
    ],
    ids=["many", "one long", "one without an end", "a name without an end"],
)
def test_a_header_flood_is_refused(flood: bytes) -> None:
    """OTLP checklist 50: more than max_header_bytes is 431 with a Status, and the connection ends."""

    async def story(receiver: Receiver) -> None:
        async with connected(receiver) as line:
            await line.send(HEAD.encode())
            for at in range(0, len(flood), 1000):
                with contextlib.suppress(ConnectionError):
                    await line.send(flood[at : at + 1000])
            with contextlib.suppress(ConnectionError):
                await line.send(b"\r\n")
            said = await line.closed()
            if said:  # closed with bytes of ours unread, the system may drop the answer
                head, _, body = said.partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 431")
                assert "4096" in json.loads(body)["message"]
        await still_serves(receiver)

    served(story, max_header_bytes=4096)


def test_a_flood_in_the_path_is_refused() -> None:
    """A path without an end counts as header."""

    async def story(receiver: Receiver) -> None:
        async with connected(receiver) as line:
            await line.send(b"POST /" + b"x" * 5000)
            status, _ = await line.answer()
            assert status == 431
        await still_serves(receiver)

    served(story, max_header_bytes=4096)


def test_a_flood_of_trailers_is_refused() -> None:
    """Headers that come after a chunked body count as well."""

    async def story(receiver: Receiver) -> None:
        async with connected(receiver) as line:
            await line.send(f"{HEAD}transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n".encode())
            await line.send(b"".join(b"x-%d: %s\r\n" % (i, b"y" * 50) for i in range(100)))
            status, _ = await line.answer()
            assert status == 431
        await still_serves(receiver)

    served(story, max_header_bytes=4096)


def test_a_header_just_within_the_limit_is_taken() -> None:
    """The limit is not below what it says."""
    size = len("hostxcontent-typecontent-length") + len(TYPE) + len(str(len(BODY)))

    async def story(receiver: Receiver) -> None:
        for padding, expected in ((4096 - size - 1, 200), (4096 - size, 431)):
            async with connected(receiver) as line:
                await line.send(WHOLE.replace(b"\r\n\r\n", b"\r\nx: " + b"y" * padding + b"\r\n\r\n", 1))
                assert (await line.answer())[0] == expected

    served(story, max_header_bytes=4096)


def test_what_is_no_http_gets_a_status() -> None:
    """OTLP checklist 50: even bytes that are no request are answered with a Status, as JSON."""

    async def story(receiver: Receiver) -> None:
        async with connected(receiver) as line:
            await line.send(b"\x16\x03\x01 hello\r\n\r\n")
            status, body = await line.answer()
            assert (status, json.loads(body)["code"]) == (400, 3)
            assert await line.closed() == b""

    served(story)


def test_too_many_idle_connections_make_room_for_who_sends() -> None:
    """Of 10 allowed connections all are idle; the next one is served, and the one idle the longest is closed."""

    async def story(receiver: Receiver) -> None:
        async with contextlib.AsyncExitStack() as stack:
            idle = [await stack.enter_async_context(connected(receiver)) for _ in range(10)]
            for line in idle:  # each was served once: they are connected in this order, and idle in this order
                await line.send(WHOLE)
                assert (await line.answer())[0] == 200
            await still_serves(receiver)
            assert await idle[0].closed() == b""
            await idle[-1].send(WHOLE)
            assert (await idle[-1].answer())[0] == 200

    served(story, max_connections=10)


def test_when_all_connections_are_at_work_another_is_closed() -> None:
    """No request at work is given up for a new connection, whose sender tries again."""
    before = closed_because("too many")
    log = MemoryLog()

    async def story(receiver: Receiver) -> None:
        log.gate = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            busy = [await stack.enter_async_context(connected(receiver)) for _ in range(3)]
            for line in busy:
                log.waiting.clear()
                await line.send(WHOLE)
                await log.waiting.wait()
            async with connected(receiver) as another:
                assert await another.closed() == b""
            log.gate.set()
            assert [(await line.answer())[0] for line in busy] == [200] * 3
        await still_serves(receiver)

    served(story, log, max_connections=3)
    assert closed_because("too many") == before + 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_idle_connections_cost_little_memory() -> None:
    """A thousand idle connections over HTTP take less than 32 KiB each, and senders are served among them."""
    count = 1000

    async def story() -> None:
        with receiver_process() as process:
            host, port = process.endpoints.http.split(":")
            url = f"http://{process.endpoints.http}/v1/traces"
            async with httpx2.AsyncClient(trust_env=False) as client:

                async def post() -> int:
                    return (await client.post(url, content=BODY, headers={"content-type": TYPE})).status_code

                assert await post() == 200
                before = process.rss_kib()
                lines = [await asyncio.open_connection(host, int(port)) for _ in range(count)]
                assert await post() == 200
                assert (process.rss_kib() - before) / count < 32
                for _, writer in lines:
                    writer.close()
                gc.collect()

    asyncio.run(story())


OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: %s\r\nhttp2-settings: AAMAAABk\r\n\r\n"
CHUNKED = f"{HEAD}transfer-encoding: chunked\r\n\r\n{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
@pytest.mark.parametrize("request_", [WHOLE, CHUNKED], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_an_offer_to_upgrade_loses_nothing(request_: bytes, upgrade: bytes, size: int) -> None:
    """Java's HTTP client offers h2c with each request: it is served as HTTP/1.1, in pieces and in a row."""
    log = MemoryLog()
    offering = request_.replace(b"\r\n\r\n", b"\r\n" + OFFER % upgrade, 1)
    sent = offering + WHOLE + offering

    async def story(receiver: Receiver) -> None:
        async with connected(receiver) as line:
            for at in range(0, len(sent), size):
                await line.send(sent[at : at + size])
            assert [(await line.answer())[0] for _ in range(3)] == [200] * 3

    served(story, log)
    assert [entry.body for entry in log.entries] == [BODY] * 3


@pytest.mark.parametrize("method", ["CONNECT x:80", "CONNECT /v1/traces"])
def test_a_tunnel_is_refused(method: str) -> None:
    """OTLP checklist 55: this is no proxy, and whoever takes it for one hears so."""

    async def story(receiver: Receiver) -> None:
        async with connected(receiver) as line:
            await line.send(f"{method} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            assert (await line.answer())[0] in {400, 404, 405}
        await still_serves(receiver)

    served(story)


def test_requests_in_a_row_are_answered_in_order() -> None:
    """Pipelined requests keep their connection and its deadlines in step."""

    async def story(receiver: Receiver) -> None:
        async with connected(receiver) as line:
            await line.send(WHOLE * 5)
            assert [(await line.answer())[0] for _ in range(5)] == [200] * 5
            assert await line.closed() == b""

    served(story, keep_alive_s=0.2)
