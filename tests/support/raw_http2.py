"""HTTP/2 frames by hand, for what no well-behaved client would send (RFC 9113)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS: Final = 4
PING: Final = 6
GOAWAY: Final = 7


class Frame(NamedTuple):
    kind: int
    payload: bytes


def frame(kind: int, payload: bytes = b"") -> bytes:
    """A frame of the connection itself, without flags."""
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + bytes(4) + payload


class RawHttp2:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def frames(self) -> AsyncIterator[Frame]:
        """What the other side sends, until it closes."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await self._reader.readexactly(9)
                yield Frame(head[3], await self._reader.readexactly(int.from_bytes(head[:3], "big")))

    async def until(self, kind: int) -> Frame | None:
        """The next frame of a kind; `None` when the other side closes first."""
        async for found in self.frames():
            if found.kind == kind:
                return found
        return None


@contextlib.asynccontextmanager
async def raw_http2(endpoint: str) -> AsyncIterator[RawHttp2]:
    host, port = endpoint.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield RawHttp2(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
