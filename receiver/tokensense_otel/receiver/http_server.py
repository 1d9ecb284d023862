"""Serves the HTTP application with uvicorn, inside an event loop and a process that belong to somebody else."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import uvicorn

from tokensense_otel.receiver.config import HttpConfig
from tokensense_otel.receiver.cors import with_cors
from tokensense_otel.receiver.http import OtlpApplication
from tokensense_otel.receiver.http_guard import GuardedProtocol, guarded
from tokensense_otel.receiver.intake import Intake
from tokensense_otel.receiver.listening import BACKLOG, listen, shown_endpoint
from tokensense_otel.receiver.tls import Certificates, http_context


class HttpServer:
    """The HTTP side of the receiver, on a port that it may have `shared` with other processes."""

    def __init__(self, config: HttpConfig, intake: Intake, stop_timeout_s: float, *, shared: bool = False) -> None:
        self._config = config
        self._shared = shared
        self._application = with_cors(OtlpApplication(config, intake), config.cors)
        self._stop_timeout_s = stop_timeout_s
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.endpoint = config.endpoint
        """Where it listens; with the real port once it is started."""

    async def start(self) -> None:
        """Raises: ConfigError: when the endpoint cannot be listened on, or a certificate cannot be used."""
        settings = self._settings()
        listener = listen("receiver.http.endpoint", self._config.endpoint, shared=self._shared)
        host, port = listener.getsockname()[:2]
        self._server = _Server(settings, guarded(self._config), self._config.header_timeout_s)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({self._serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            listening.cancel()
            listener.close()
            await self._serving
        self.endpoint = shown_endpoint(host, port)

    async def stop(self) -> None:
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        self._server = self._serving = None

    def _settings(self) -> uvicorn.Config:
        context: ssl.SSLContext | None = None
        if (tls := self._config.tls) is not None:
            context = http_context(Certificates("receiver.http.tls", tls, tls.min_version))
        return uvicorn.Config(
            self._application,
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            ssl_context_factory=(lambda *_: context) if context is not None else None,
            timeout_graceful_shutdown=max(1, round(self._stop_timeout_s)),
        )


class _Server(uvicorn.Server):
    """uvicorn that says when it listens and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config, protocol: type[GuardedProtocol], handshake_timeout_s: float) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.servers: list[asyncio.base_events.Server] = []
        self._protocol = protocol
        self._handshake_timeout_s = handshake_timeout_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it for sockets, and with a deadline for TLS, before which a connection has no protocol."""
        config = self.config
        for listener in sockets or ():
            server = await asyncio.get_running_loop().create_server(
                self._connection,
                sock=listener,
                ssl=config.ssl,
                backlog=config.backlog,
                ssl_handshake_timeout=self._handshake_timeout_s if config.ssl is not None else None,
            )
            self.servers.append(server)
        self.started = True
        self.listening.set()

    def _connection(self) -> GuardedProtocol:
        return self._protocol(config=self.config, server_state=self.server_state, app_state={})

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
