"""One POST: guarded, bounded in time and in bytes, classified.

It stands on httpcore2's pool and not on httpx2's client: that one takes no network backend (so no guard at the moment
of dialling), logs every URL at INFO (a Slack webhook's URL is its password), and has no total deadline. The pool reads
no proxy from the environment and follows no redirect.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpcore2

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.exporters.errors import EndpointDown, Reject, Retry
from tokensense_otel.exporters.http.guard import BlockedAddressError, Guard, Resolver, UnknownHostError, resolve
from tokensense_otel.exporters.http.outcome import outcome_of

CONNECT_S = 5.0
MAX_ANSWER_BYTES = 65_536
_EXCERPT_CHARS = 300
_AGENT = b"TokenSense (+https://github.com/tokensense-otel/tokensense-otel)"


@dataclass(frozen=True, slots=True)
class Response:
    """A 2xx answer. `body` may be cut short: by the cap, by the deadline or by a peer that hung up."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Posts to one destination. At most `connections` connections; `aclose` closes them."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        deadline_s: float = 15.0,
        connections: int = 8,
        clock: Clock = system_clock,
        resolver: Resolver = resolve,
        dialler: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._clock = clock
        guard = Guard(allow_private=allow_private, resolver=resolver, dialler=dialler)
        self._pool = httpcore2.AsyncConnectionPool(
            network_backend=guard, max_connections=connections, keepalive_expiry=5.0
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
        """Post `body` and return the answer if it is a 2xx one.

        Raises:
            Retry, Throttle, EndpointDown, Reject: by the table in `outcome`; transport failures as `Retry`, marked
                ambiguous once bytes had left. No message contains the URL.
        """
        # Below the total deadline: httpcore2 closes a socket whose handshake times out, but not one that is cancelled.
        request, progress = _request(url, body, headers or {}, connect_s=min(CONNECT_S, self._deadline_s / 2))
        deadline = asyncio.get_running_loop().time() + self._deadline_s
        response = await self._answer(request, progress, deadline)
        answered = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        content = await _content(response, deadline)
        excerpt = " ".join(content[: 4 * _EXCERPT_CHARS].decode("utf-8", "replace").split())[:_EXCERPT_CHARS]
        error = outcome_of(response.status, answered, excerpt, self._clock() / 1e9)
        if error is not None:
            raise error
        return Response(response.status, answered, content)

    async def _answer(self, request: httpcore2.Request, progress: "_Progress", deadline: float) -> httpcore2.Response:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._pool.handle_async_request(request)
        except BlockedAddressError as error:
            raise EndpointDown(f"{error}: private and special addresses are refused; see allow_private") from None
        except UnknownHostError as error:
            raise EndpointDown(str(error)) from None
        except (TimeoutError, httpcore2.TimeoutException) as error:
            where = "no answer" if progress.sent else "no connection"
            raise Retry(f"{where} in time ({type(error).__name__})", ambiguous=progress.sent) from None
        except httpcore2.LocalProtocolError as error:
            raise Reject(f"not valid HTTP ({error})") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            cause = error.args[0] if error.args else None
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise EndpointDown(f"its certificate is not trusted ({cause.verify_message})") from None
            said = str(error) or type(error).__name__
            raise Retry(f"the connection failed ({said})", ambiguous=progress.sent) from None

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Progress:
    """Whether a byte of the request has left, which is what makes a failure ambiguous."""

    sent = False

    async def __call__(self, event: str, _info: Any) -> None:
        if event.endswith("send_request_headers.started"):
            self.sent = True


def _request(
    url: str, body: bytes, headers: Mapping[str, str], *, connect_s: float
) -> tuple[httpcore2.Request, _Progress]:
    progress = _Progress()
    target = httpcore2.URL(url)
    host = target.host if target.port is None else target.host + b":" + str(target.port).encode()
    fixed: list[tuple[bytes, bytes]] = [
        (b"Host", host),
        (b"User-Agent", _AGENT),
        (b"Accept-Encoding", b"identity"),  # nothing is inflated, so nothing can be a bomb
        (b"Content-Length", str(len(body)).encode()),
    ]
    given = [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in headers.items()]
    if not any(name.lower() == b"content-type" for name, _ in given):
        given.append((b"Content-Type", b"application/json"))
    extensions = {"timeout": {"connect": connect_s}, "trace": progress}
    return httpcore2.Request("POST", target, headers=fixed + given, content=body, extensions=extensions), progress


async def _content(response: httpcore2.Response, deadline: float) -> bytes:
    """What the body says, as far as it can be had: the status is the verdict, so no failure here undoes it."""
    content = b""
    try:
        async with asyncio.timeout_at(deadline):
            async with contextlib.aclosing(response.aiter_stream()) as parts:
                async for part in parts:
                    content += part
                    if len(content) >= MAX_ANSWER_BYTES:
                        break
    except (TimeoutError, httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        pass
    finally:
        await response.aclose()
    return content[:MAX_ANSWER_BYTES]
