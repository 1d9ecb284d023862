"""What a connection may cost before it has sent a whole request: time, header bytes, and its place among the others.

uvicorn waits for ever for the rest of a header and takes headers of any size. This is its protocol with a deadline on
each stretch: the wait for a request, a header, a body. Past it the connection is closed, and its sender comes back on
another. What is no HTTP gets a Status body as every refusal does (OTLP checklist 50).
"""

import asyncio
from typing import Any, Final, Literal, cast

import httptools
from google.protobuf import json_format
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tokensense_otel.receiver import events
from tokensense_otel.receiver.config import HttpConfig
from tokensense_otel.receiver.connections import Connections
from tokensense_otel.receiver.http import WHOLE
from tokensense_otel.receiver.otlp.status import Refused, verdict

_GRACE_S: Final = 1.0
"""The application answers a body that is too slow; the connection is closed a little later."""

_FRAMING: Final = (b"content-length", b"transfer-encoding")

_Stretch = Literal["request", "header", "body"]


class _HeaderTooLarge(Exception):
    """Raised into the parser, which stops there."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection. `limits` and `crowd` are those of its server."""

    limits: HttpConfig
    crowd: Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stretch: _Stretch | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._in_message = False
        self._raw_head_bytes = 0
        self._header_bytes = 0
        self._resuming = False

    def hang_up(self) -> None:
        self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.crowd.enter(self):
            self._await("request", self.limits.keep_alive_s)
        else:
            events.CONNECTIONS_CLOSED(reason="too many")
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(None)
        self.crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._stretch == "request":
            # Also bytes that begin no message, such as empty lines, are the start of a header that has to end.
            self._await("header", self.limits.header_timeout_s)
        if self._stretch == "header":
            # The parser tells of a header when it is whole. One that never ends is counted as it comes.
            self._raw_head_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")
            return
        if self._raw_head_bytes > self.limits.max_header_bytes and not self.transport.is_closing():
            self.send_400_response("")

    def _decline_upgrade(self, rest: bytes) -> None:
        """Go on in HTTP/1.1 where a client offered another protocol, as Java's does with each request.

        The parser takes the offer for a request without a body and stops. Answered as such, the sender's telemetry
        would be lost. So another parser reads on behind a head that only frames the same body.
        """
        framing = [b"%s: %s\r\n" % header for header in self.headers if header[0] in _FRAMING]
        self._resuming = True
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n" + rest)

    def on_message_begin(self) -> None:
        if self._resuming:
            return
        self._in_message = True
        self._header_bytes = 0
        self.crowd.begin(self)
        self._await("header", self.limits.header_timeout_s)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._resuming:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._resuming:
            return
        # Trailers come here too, after the body.
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > self.limits.max_header_bytes:
            raise _HeaderTooLarge
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._raw_head_bytes = 0
        if self._resuming:
            self._resuming = False
            return
        self._await("body", self.limits.read_timeout_s + _GRACE_S)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_message = False
        self._await(None)
        if not self.cycle.response_complete:
            # Most often the application has not begun yet.
            cast("dict[str, Any]", self.cycle.scope)[WHOLE] = True
        super().on_message_complete()
        self._between_requests()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._between_requests()

    def timeout_keep_alive_handler(self) -> None:
        """Of uvicorn; the wait for a request has its deadline here already."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the name and arguments are uvicorn's
        """Refuse what the parser could not take, with a Status, and close."""
        most = self.limits.max_header_bytes
        if max(self._raw_head_bytes, self._header_bytes) > most:
            refused = Refused(431, f"the header is larger than {most} bytes")
        else:
            refused = Refused(400, "this is no HTTP/1.1 request")
        body = json_format.MessageToJson(verdict(refused).status(), indent=None).encode()
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[refused.status] + head + body)
        self.transport.close()

    def _between_requests(self) -> None:
        if not self._in_message and self.cycle.response_complete and not self.transport.is_closing():
            self.crowd.end(self)
            self._await("request", self.limits.keep_alive_s)

    def _await(self, stretch: _Stretch | None, timeout_s: float = 0.0) -> None:
        """Begin a stretch that has to end in time; the one that lasts already goes on."""
        if stretch == self._stretch:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._stretch = stretch
        self._deadline = self.loop.call_later(timeout_s, self._too_late) if stretch is not None else None

    def _too_late(self) -> None:
        if self._stretch != "request":
            events.CONNECTIONS_CLOSED(reason=f"slow {self._stretch}")
        self.hang_up()


def guarded(config: HttpConfig) -> type[GuardedProtocol]:
    """The protocol of one server."""

    class Guarded(GuardedProtocol):
        limits = config
        crowd = Connections(config.max_connections)

    return Guarded
