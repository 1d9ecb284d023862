"""What both servers do with a request, whatever it came on: identify, inflate, decode, check, append, answer.

Delivery: `accept` returns after the log made the request durable. When it raises, nothing was acknowledged; a
`Retryable` leaves the data with its sender. Protobuf bodies are kept as they came unless an item was rejected.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tokensense_otel.core.component import Clock
from tokensense_otel.core.errors import Permanent, Retryable, TokenSenseError
from tokensense_otel.receiver import events
from tokensense_otel.receiver.admission import BUSY_DELAY_S, Budget, Hold
from tokensense_otel.receiver.auth import Identity, Keyring
from tokensense_otel.receiver.config import OidcConfig, ReceiverConfig
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.log.log import LogWriter
from tokensense_otel.receiver.otlp.compression import decompress
from tokensense_otel.receiver.otlp.hollow import refuse_hollow_json, refuse_hollow_protobuf
from tokensense_otel.receiver.otlp.json import decode_json
from tokensense_otel.receiver.otlp.protobuf import decode_protobuf
from tokensense_otel.receiver.otlp.signals import Request
from tokensense_otel.receiver.otlp.validate import Checked, refuse_foreign, validate
from tokensense_otel.receiver.rates import Rates

if TYPE_CHECKING:
    from tokensense_otel.receiver.oidc import Tokens

_HOLD_OFF_S: Final = 5.0

Transport = Literal["grpc", "http"]
Format = Literal["protobuf", "json"]


class Delivery(NamedTuple):
    """A request as it came: `body` may be compressed with `encoding`."""

    signal: Signal
    transport: Transport
    body: bytes
    format: Format = "protobuf"
    encoding: str = ""


class Intake:
    """Accepts requests into the log once it is open. `clock` stamps them (Unix ns), `monotonic` (s) measures rates."""

    def __init__(
        self,
        config: ReceiverConfig,
        writer: LogWriter,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_request_bytes = config.max_request_bytes
        self._tokens = _tokens(config.auth.oidc)
        self._keyring = Keyring(config.auth, self._tokens.identify if self._tokens else None)
        self.budget = Budget(config.max_in_flight_bytes, shared=lambda: self._keyring.several_tenants)
        self._rates = Rates(config.limits, monotonic, config.processes)
        self._append_timeout_s = config.append_timeout_s
        self._writer = writer
        self._clock = clock
        self._monotonic = monotonic
        self._log_failed_s = -math.inf
        self._closed = True

    def identify(self, headers: Mapping[str, str]) -> Identity:
        """Who sends, before anything else of the request is read.

        Raises:
            Unauthenticated: nobody vouched for it.
            Retryable: who vouches for it is not known yet.
            Throttled: who it is has sent more than it may.
        """
        identity = self._keyring.identify(headers)
        self._rates.admit(identity.tenant)
        return identity

    def hold(self, identity: Identity) -> Hold:
        """What a request takes of the bytes in flight: nothing yet, and nothing any more after its `with` block."""
        return self.budget.hold(identity.tenant)

    async def start(self) -> None:
        """Take requests, at first and again after `stop`.

        Raises:
            ConfigError: when the keys cannot be read.
        """
        self._keyring.load()
        if self._tokens is not None:
            await self._tokens.start()
        self._closed = False

    def close(self) -> None:
        """Refuse what comes from now on; senders keep it and try again."""
        self._closed = True

    async def stop(self) -> None:
        """Let go of what it keeps at hand."""
        self.close()
        if self._tokens is not None:
            await self._tokens.stop()

    async def accept(self, delivery: Delivery, identity: Identity, hold: Hold) -> Checked:
        """Make a request durable. `hold` grows by what the request takes once it is inflated.

        Raises:
            Permanent: the request can never be accepted.
            Retryable: not now.
        """
        if self._closed:
            raise Retryable("the receiver is stopping", delay_s=BUSY_DELAY_S)
        signal, transport = delivery.signal, delivery.transport
        hold.grow_to(len(delivery.body))
        body = decompress(delivery.encoding, delivery.body, self.max_request_bytes)
        if body is not delivery.body:
            hold.grow_to(len(delivery.body) + len(body))
        events.RECEIVED_BYTES(len(body), signal=signal, transport=transport)
        try:
            request, checked = _checked(signal, body, delivery.format)
        except Permanent:
            self._rates.charge(identity.tenant, items=0, size=len(body))
            raise
        size = len(body)
        if checked.kept:
            if checked.rejected or delivery.format == "json":
                body = request.SerializeToString()
            try:
                await self._append(Entry(signal, identity.tenant, identity.project, self._clock(), body))
            except Exception:
                events.REFUSED(checked.kept, signal=signal, transport=transport)
                raise
        self._rates.charge(identity.tenant, items=checked.kept + checked.rejected, size=size)
        events.ACCEPTED(checked.kept, signal=signal, transport=transport)
        if checked.rejected:
            events.REJECTED(checked.rejected, signal=signal, transport=transport)
        return checked

    def unready(self) -> str:
        """Why senders had better go elsewhere for now; empty when they are welcome.

        After the log failed that is so for a few seconds only: whether it works again shows when it is tried again.
        """
        if self._closed:
            return "the receiver is stopping"
        if self._monotonic() - self._log_failed_s < _HOLD_OFF_S:
            return "the log does not take requests"
        return ""

    async def _append(self, entry: Entry) -> None:
        try:
            async with asyncio.timeout(self._append_timeout_s):
                await self._writer.append(entry)
        except TimeoutError:
            self._log_failed_s = self._monotonic()
            # It may still become durable; the sender's second copy is then a duplicate, which accounting knows.
            raise Retryable("the log is slow; try again", delay_s=BUSY_DELAY_S) from None
        except Exception:
            self._log_failed_s = self._monotonic()
            raise
        self._log_failed_s = -math.inf


def count_refusal(error: Exception, signal: Signal, transport: Transport, since_s: float) -> None:
    """Count a request that came at `since_s` (of `perf_counter`) and was not accepted.

    An error nobody foresaw is said aloud.
    """
    events.REQUEST_SECONDS(time.perf_counter() - since_s, signal=signal, transport=transport, outcome="refused")
    if isinstance(error, TokenSenseError):
        events.REQUESTS_REFUSED(signal=signal, transport=transport, reason=type(error).__name__)
    else:
        events.UNFORESEEN(signal=signal, transport=transport, error=type(error).__name__)


def _tokens(config: OidcConfig | None) -> "Tokens | None":
    if config is None:
        return None
    from tokensense_otel.receiver.oidc import Tokens  # cryptography takes its time to import

    return Tokens(config)


def count_acceptance(signal: Signal, transport: Transport, since_s: float) -> None:
    """Count a request that came at `since_s` (of `perf_counter`) and is durable."""
    events.REQUEST_SECONDS(time.perf_counter() - since_s, signal=signal, transport=transport, outcome="accepted")


def _checked(signal: Signal, body: bytes, format_: Format) -> tuple[Request, Checked]:
    # Asked of senders only: what is on the log was accepted, and is read whatever it is.
    if format_ == "json":
        refuse_hollow_json(body)
        request = decode_json(signal, body)
        return request, validate(request)
    refuse_hollow_protobuf(signal, body)
    try:
        request = decode_protobuf(signal, body)
    except Permanent:
        refuse_foreign(signal, body)
        raise
    checked = validate(request)
    if checked.rejected and not checked.kept:
        refuse_foreign(signal, body)
    return request, checked
