"""What destinations have in common that post JSON: the client that is lent to them between `start` and `aclose`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tokensense_otel.exporters.exporter import Context
from tokensense_otel.exporters.http.client import HttpClient, Response


class Poster:
    """The part of an exporter that holds the HTTP client."""

    def __init__(self) -> None:
        self._http: HttpClient | None = None

    async def start(self, context: Context) -> None:
        """Take the client."""
        self._http = context.http

    async def post(self, url: str, body: Any, headers: Mapping[str, str] | None = None) -> Response:
        """Post once: `body` as it is where it is bytes, else as JSON.

        Raises:
            Retry, Throttle, EndpointDown, Reject: as `HttpClient.post`.
        """
        if self._http is None:
            raise RuntimeError("send before start")
        return await self._http.post(url, body if isinstance(body, bytes) else msgspec.json.encode(body), headers)

    async def aclose(self) -> None:
        """Give the client back. May be called twice, and without `start`."""
        self._http = None
