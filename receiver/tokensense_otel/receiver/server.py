"""The receiver: both OTLP servers over one intake, and the log's writer beneath them.

Delivery: what was acknowledged is on the log; what was not is still with its sender.
"""

import asyncio
from typing import NamedTuple

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.receiver import events
from tokensense_otel.receiver.config import ReceiverConfig
from tokensense_otel.receiver.grpc import GrpcServer
from tokensense_otel.receiver.heart import Heart
from tokensense_otel.receiver.http_server import HttpServer
from tokensense_otel.receiver.intake import Intake
from tokensense_otel.receiver.log.log import LogWriter


class Endpoints(NamedTuple):
    """Where the servers listen, as `host:port`."""

    grpc: str
    http: str


class Receiver:
    """A `Component`. It owns `writer`: starts it before the servers and stops it after them. `name` is under which its
    heartbeats are known."""

    def __init__(
        self, config: ReceiverConfig, writer: LogWriter, clock: Clock = system_clock, *, name: str = "receiver"
    ) -> None:
        self._config = config
        self._heart = Heart(name, writer, config.heartbeat_s, clock)
        self._writer = writer
        self._intake = Intake(config, writer, clock)
        shared = config.processes > 1
        self._grpc = GrpcServer(config.grpc, self._intake, shared=shared)
        self._http = HttpServer(config.http, self._intake, config.stop_timeout_s, shared=shared)
        self._started = False

    @property
    def endpoints(self) -> Endpoints:
        """As configured; with the real ports once started."""
        return Endpoints(self._grpc.endpoint, self._http.endpoint)

    async def start(self) -> None:
        """Raises: ConfigError: a port is taken, or the log, a key or a certificate cannot be used."""
        try:
            await self._writer.start()
            await self._intake.start()
            await self._grpc.start()
            await self._http.start()
        except BaseException:
            await self.stop()
            raise
        self._heart.start()
        self._started = True
        events.STARTED(grpc=self._grpc.endpoint, http=self._http.endpoint)

    async def stop(self) -> None:
        """Nothing is accepted after it returns; what was in work has been finished or left to its sender."""
        self._intake.close()
        await asyncio.gather(self._grpc.stop(self._config.stop_timeout_s), self._http.stop())
        await self._intake.stop()
        await self._heart.stop()
        await self._writer.stop()
        if self._started:
            self._started = False
            events.STOPPED()
