"""OTLP over gRPC: Export of the trace, metrics and logs services on raw bytes, so that they can be kept as they came.

Every failure is answered with a code from `otlp.status`. An exception that left a handler would be UNKNOWN, and
grpcio's own concurrency limit RESOURCE_EXHAUSTED without RetryInfo; senders drop their data on both (checklist 68, 69).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import grpc
import grpc.aio

from tokensense_otel.core.config import split_endpoint
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.receiver.config import GrpcConfig
from tokensense_otel.receiver.grpc_health import health_handler
from tokensense_otel.receiver.intake import Delivery, Intake, count_acceptance, count_refusal
from tokensense_otel.receiver.listening import check, shown_endpoint
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.otlp.responses import response
from tokensense_otel.receiver.otlp.signals import PROTOCOLS
from tokensense_otel.receiver.otlp.status import verdict
from tokensense_otel.receiver.tls import Certificates, grpc_credentials

_KEY: Final = "receiver.grpc.endpoint"
_MAX_RESPONSE_BYTES: Final = 4 << 20
_MAX_STREAMS: Final = 128
_CODES: Final[dict[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}

_Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcServer:
    """The gRPC side of the receiver, on a port that it may have `shared` with other processes."""

    def __init__(self, config: GrpcConfig, intake: Intake, *, shared: bool = False) -> None:
        self._config = config
        self._intake = intake
        self._shared = shared
        self._server: grpc.aio.Server | None = None
        self.endpoint = config.endpoint
        """Where it listens; with the real port once it is started."""

    async def start(self) -> None:
        """Raises: ConfigError: when the endpoint cannot be listened on, or a certificate cannot be used."""
        host, port = split_endpoint(self._config.endpoint)
        if port:
            # Ask the system first: grpcio says neither why a port cannot be had nor keeps quiet about it.
            check(_KEY, self._config.endpoint, shared=self._shared)
        server = grpc.aio.server(options=self._options())
        # Methods that are not here are UNIMPLEMENTED (checklist 9, 83).
        for signal, protocol in PROTOCOLS.items():
            export = grpc.unary_unary_rpc_method_handler(_export(self._intake, signal))
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(protocol.grpc_service, {"Export": export}),)
            )
        server.add_generic_rpc_handlers((health_handler(self._intake),))
        try:
            if self._config.tls is None:
                port = server.add_insecure_port(self._config.endpoint)
            else:
                credentials = grpc_credentials(Certificates("receiver.grpc.tls", self._config.tls))
                port = server.add_secure_port(self._config.endpoint, credentials)
        except RuntimeError as error:
            raise ConfigError(f"{_KEY}: cannot listen on {self._config.endpoint}; write another port") from error
        await server.start()
        self._server = server
        self.endpoint = shown_endpoint(host, port)

    async def stop(self, timeout_s: float) -> None:
        if self._server is not None:
            await self._server.stop(timeout_s)
            self._server = None

    def _options(self) -> list[tuple[str, int]]:
        config = self._config
        return [
            ("grpc.so_reuseport", int(self._shared)),
            ("grpc.max_receive_message_length", self._intake.max_request_bytes),
            ("grpc.max_send_message_length", _MAX_RESPONSE_BYTES),
            # grpcio holds whole messages before a handler can refuse them; further calls of a connection wait.
            ("grpc.max_concurrent_streams", _MAX_STREAMS),
            # The Collector pings every 10 s while a call is open; by default that ends the connection (checklist 84).
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.max_connection_age_ms", int(config.max_connection_age_s * 1000)),
            ("grpc.max_connection_age_grace_ms", 60_000),
            ("grpc.server_handshake_timeout_ms", int(config.handshake_timeout_s * 1000)),
            ("grpc.max_allowed_incoming_connections", config.max_connections),
        ]


def _export(intake: Intake, signal: Signal) -> Callable[[bytes, _Context], Awaitable[bytes]]:
    async def export(body: bytes, context: _Context) -> bytes:
        since_s = time.perf_counter()
        try:
            headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
            identity = intake.identify(headers)
            with intake.hold(identity) as hold:
                checked = await intake.accept(Delivery(signal, "grpc", body), identity, hold)
            count_acceptance(signal, "grpc", since_s)
            return response(signal, checked.rejected, checked.message).SerializeToString()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender gets an answer that keeps its data
            count_refusal(error, signal, "grpc", since_s)
            await _abort(context, error)

    return export


async def _abort(context: _Context, error: Exception) -> NoReturn:
    answer = verdict(error)
    await context.abort(_CODES[answer.grpc_code], answer.message, tuple(answer.trailers()))
