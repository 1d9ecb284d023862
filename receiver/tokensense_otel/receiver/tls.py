"""The certificates of a server. Files that were renewed are used from the next connection on, without a restart.

Files that cannot be used when the server starts stop it; later the ones before stay in use and a warning says why.
Certificates out of their time are used and said aloud: it may be this machine's clock that is wrong.
"""

import ssl
import threading
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.receiver import events
from tokensense_otel.receiver.config import TlsConfig
from tokensense_otel.receiver.validity import Validity
from tokensense_otel.receiver.watched import Watched

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Pem(NamedTuple):
    """The files' content. `client_ca` is `None` where clients need no certificate."""

    key: bytes
    chain: bytes
    client_ca: bytes | None


class Certificates:
    """What a server shows, and by what it knows its clients; `name` is where the user configured it."""

    def __init__(self, name: str, config: TlsConfig, min_version: str = "1.2", clock: Clock = system_clock) -> None:
        self._name = name
        self._clock = clock
        self._config = config
        self._min_version = _VERSIONS[min_version]
        self._watched = Watched(*(path for path in (config.cert_file, config.key_file, config.client_ca_file) if path))
        self._lock = threading.Lock()
        self._watched.changed()
        self._pem, self._context = self._read()

    def look_at_time(self) -> None:
        """Show when the certificate ends, and say so when that is soon or past, for the server that is to use it."""
        validity, now_ns = Validity.of(self._pem.chain), self._clock()
        events.CERTIFICATE_ENDS_AT.set(validity.until.timestamp(), server=self._name)
        if reason := validity.unusable(now_ns):
            events.CERTIFICATE_INVALID(server=self._name, reason=reason)
        elif validity.ends_soon(now_ns):
            events.CERTIFICATE_ENDS_SOON(server=self._name, until=validity.until.isoformat())

    @property
    def pem(self) -> Pem:
        return self._pem

    @property
    def context(self) -> ssl.SSLContext:
        return self._context

    def refresh(self) -> bool:
        """Read files that changed. Returns whether there is something new to use; never raises."""
        with self._lock:
            if not self._watched.changed():
                return False
            try:
                self._pem, self._context = self._read()
            except ConfigError as error:
                events.CERTIFICATE_UNUSABLE(reason=str(error))
                return False
        events.CERTIFICATE_RENEWED(server=self._name)
        self.look_at_time()
        return True

    def _read(self) -> tuple[Pem, ssl.SSLContext]:
        config = self._config
        pem = Pem(
            self._bytes("key_file", config.key_file),
            self._bytes("cert_file", config.cert_file),
            self._bytes("client_ca_file", config.client_ca_file) if config.client_ca_file else None,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._min_version
        try:
            context.load_cert_chain(config.cert_file, config.key_file, password=_no_passphrase)
        except ssl.SSLError as error:
            raise ConfigError(
                f"{self._name}: cert_file and key_file are no PEM certificate and its key ({_reason(error)})"
            ) from None
        except ValueError as error:
            raise ConfigError(f"{self._name}.key_file: {error}") from None
        if pem.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(cadata=pem.client_ca.decode("ascii", "replace"))
            except ssl.SSLError as error:
                raise ConfigError(f"{self._name}.client_ca_file: no PEM certificate ({_reason(error)})") from None
        return pem, context

    def _bytes(self, key: str, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{self._name}.{key}: {path} cannot be read ({error.strerror}); write the path of a readable file"
            ) from None


def http_context(certificates: Certificates) -> ssl.SSLContext:
    """A context that gives each new connection the newest certificates."""
    certificates.refresh()
    certificates.look_at_time()
    context = certificates.context

    # OpenSSL asks for the server's name with each handshake, also of clients that name none.
    def newest(connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:  # noqa: ARG001
        certificates.refresh()
        if certificates.context is not first:
            connection.context = certificates.context

    context.sni_callback = newest
    return context


def grpc_credentials(certificates: Certificates) -> Any:
    """Server credentials that ask for the newest certificates with each new connection."""
    certificates.look_at_time()

    def configuration() -> Any:
        key, chain, client_ca = certificates.pem
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=client_ca)

    def newest() -> Any:
        return configuration() if certificates.refresh() else None

    return grpc.dynamic_ssl_server_credentials(
        configuration(), newest, require_client_authentication=certificates.pem.client_ca is not None
    )


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted; give it without a passphrase, readable by this user only")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "not PEM").replace("_", " ").lower()
