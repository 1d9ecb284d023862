"""The API's server: a component around uvicorn."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from tokensense_otel.core.config import split_endpoint
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.api.config import ApiConfig

_STOP_S = 5


class _Uvicorn(uvicorn.Server):
    """Uvicorn that leaves signals to the process's owner and says when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()


class ApiServer:
    """Serves `app` at the configured endpoint."""

    def __init__(self, config: ApiConfig, app: Starlette) -> None:
        self._config = config
        self._app = app
        self._server: _Uvicorn | None = None
        self._task: asyncio.Task[None] | None = None
        self._endpoint = config.endpoint

    @property
    def endpoint(self) -> str:
        """Where it really listens, once started."""
        return self._endpoint

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: when the endpoint cannot be had.
        """
        listener = self._listen()
        config = uvicorn.Config(
            self._app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_STOP_S,
            server_header=False,
        )  # fmt: skip
        self._server = _Uvicorn(config)
        self._task = asyncio.create_task(self._server.serve([listener]))
        await self._server.serving.wait()

    def _listen(self) -> socket.socket:
        host, port = split_endpoint(self._config.endpoint)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(1024)
        except OSError as error:
            listener.close()
            raise ConfigError(
                f"api.endpoint: cannot listen on {self._config.endpoint} ({error.strerror or error}); "
                "stop what listens there, or write another port (0 takes a free one)"
            ) from None
        shown = f"[{host}]" if ":" in host else host
        self._endpoint = f"{shown}:{listener.getsockname()[1]}"
        return listener

    async def stop(self) -> None:
        """Finish what was asked, then close."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await self._task
        self._server = self._task = None
