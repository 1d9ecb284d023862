"""OTLP over HTTP/1.1 as a bare ASGI application; `http_server.py` beside it serves it.

Every answer that is no success is a `google.rpc.Status` in the request's own format (checklist 50). There are no
redirects, not even for a trailing slash: SDKs take one for success and drop their data (checklist 73).
"""

import asyncio
import contextlib
import json
import math
import time
from typing import Final

from starlette.types import Receive, Scope, Send

from tokensense_otel.core.errors import Retryable, Unauthenticated
from tokensense_otel.receiver.admission import BUSY_DELAY_S, Hold
from tokensense_otel.receiver.config import HttpConfig
from tokensense_otel.receiver.intake import Delivery, Format, Intake, count_acceptance, count_refusal
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.otlp.compression import ENCODINGS, check_encoding, too_large
from tokensense_otel.receiver.otlp.responses import response, to_json
from tokensense_otel.receiver.otlp.signals import PROTOCOLS
from tokensense_otel.receiver.otlp.status import Refused, verdict

_SIGNALS: Final = {protocol.http_path: signal for signal, protocol in PROTOCOLS.items()}
_FORMATS: Final[dict[str, Format]] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_CONTENT_TYPES: Final[dict[Format, bytes]] = {format_: name.encode() for name, format_ in _FORMATS.items()}

WHOLE: Final = "tokensense.whole"
"""In the scope of a request whose body is at hand before it is asked for: it needs no deadline."""

_PROBES: Final = frozenset({"/healthz", "/readyz"})

_Headers = dict[str, str]


class _SenderGone(Exception):
    """The connection closed before the body was whole: there is nobody to answer."""


class OtlpApplication:
    """Answers `POST /v1/{traces,metrics,logs}`, and `GET /healthz` and `/readyz` to whoever runs it."""

    def __init__(self, config: HttpConfig, intake: Intake) -> None:
        self._read_timeout_s = config.read_timeout_s
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        format_ = _FORMATS.get(_media_type(headers))
        if scope["path"] in _PROBES and scope["method"] in {"GET", "HEAD"}:
            await self._probe(scope["path"], send)
            return
        signal = _SIGNALS.get(scope["path"])
        since_s = time.perf_counter()
        try:
            body = await self._export(scope, signal, format_, headers, receive)
        except _SenderGone:
            return
        except asyncio.CancelledError:
            # Only the end of a stop's deadline cancels a request. uvicorn would answer 500, and its sender drop it all.
            await _refuse(send, Retryable("the receiver is stopping", delay_s=BUSY_DELAY_S), format_ or "json")
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender gets an answer that keeps its data
            if signal is not None:
                count_refusal(error, signal, "http", since_s)
            await _refuse(send, error, format_ or "json")
        else:
            if signal is not None:
                count_acceptance(signal, "http", since_s)
            await _answer(send, 200, body, format_ or "json")

    async def _probe(self, path: str, send: Send) -> None:
        """Alive while it answers; ready while requests can be kept. Both need no key."""
        reason = self._intake.unready() if path == "/readyz" else ""
        body = json.dumps({"status": "fail", "reason": reason} if reason else {"status": "ok"}).encode()
        await _answer(send, 503 if reason else 200, body, "json")

    async def _export(
        self, scope: Scope, signal: Signal | None, format_: Format | None, headers: _Headers, receive: Receive
    ) -> bytes:
        """What can be refused is refused before the body is read (checklist 93)."""
        if signal is None:
            raise Refused(404, f"nothing is served here; send to {', '.join(_SIGNALS)}")
        if scope["method"] != "POST":
            raise Refused(405, "use POST")
        identity = self._intake.identify(headers)
        if format_ is None:
            raise Refused(415, f"the content type must be {' or '.join(_FORMATS)}")
        encoding = headers.get("content-encoding", "")
        check_encoding(encoding)
        with self._intake.hold(identity) as hold:
            body = await self._read(headers, receive, hold, whole=WHOLE in scope)
            delivery = Delivery(signal, "http", body, format_, encoding)
            checked = await self._intake.accept(delivery, identity, hold)
        answer = response(signal, checked.rejected, checked.message)
        return to_json(answer) if format_ == "json" else answer.SerializeToString()

    async def _read(self, headers: _Headers, receive: Receive, hold: Hold, *, whole: bool) -> bytes:
        """The body as it is on the wire. Its size is counted as it comes: many senders announce none."""
        limit = self._intake.max_request_bytes
        announced = headers.get("content-length", "")
        if announced.isdecimal():
            if int(announced) > limit:
                raise too_large(limit)
            hold.grow_to(int(announced))
        chunks: list[bytes] = []
        size = 0
        try:
            async with contextlib.nullcontext() if whole else asyncio.timeout(self._read_timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _SenderGone
                    chunk: bytes = message.get("body", b"")
                    size += len(chunk)
                    if size > limit:
                        raise too_large(limit)
                    hold.grow_to(size)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            raise Retryable("the body took too long to arrive", delay_s=BUSY_DELAY_S) from None


def _media_type(headers: _Headers) -> str:
    """The content type without its parameters, in lower case (checklist 65)."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


async def _refuse(send: Send, error: Exception, format_: Format) -> None:
    answer = verdict(error)
    headers: list[tuple[bytes, bytes]] = []
    if answer.delay_s is not None:
        headers.append((b"retry-after", str(math.ceil(answer.delay_s)).encode()))
    if answer.http_status == 405:
        headers.append((b"allow", b"POST"))
    if answer.http_status == 415:
        headers.append((b"accept-encoding", ", ".join(ENCODINGS).encode()))
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    body = answer.json() if format_ == "json" else answer.status().SerializeToString()
    await _answer(send, answer.http_status, body, format_, headers)


async def _answer(
    send: Send, status: int, body: bytes, format_: Format, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    fixed = [(b"content-type", _CONTENT_TYPES[format_]), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fixed + (headers or [])})
    await send({"type": "http.response.body", "body": body})
