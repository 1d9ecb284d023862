"""Checks of the files with certificates and keys: those that cannot be used, that end soon, that others may read."""

from pathlib import Path

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.receiver.config import AuthConfig, HttpTlsConfig, TlsConfig
from tokensense_otel.service.doctor.finding import Finding, fail, ok, warn
from tokensense_otel.service.loader import Loaded

_RENEW = "renew the certificate; it is used from the next connection on, without a restart"


def secrets(loaded: Loaded, clock: Clock = system_clock) -> list[Finding]:
    """A finding for each server with TLS, and one for the file of keys; none where there are no such files."""
    receiver = loaded.settings.receiver
    servers: dict[str, TlsConfig | None] = {
        "receiver.grpc.tls": receiver.grpc.tls,
        "receiver.http.tls": receiver.http.tls,
    }
    findings = [_certificates(name, tls, clock()) for name, tls in servers.items() if tls is not None]
    return findings + _keys(receiver.auth)


def _certificates(name: str, tls: TlsConfig, now_ns: int) -> Finding:
    from tokensense_otel.receiver.tls import Certificates
    from tokensense_otel.receiver.validity import Validity

    try:
        pem = Certificates(name, tls, tls.min_version if isinstance(tls, HttpTlsConfig) else "1.2").pem
    except ConfigError as error:
        return fail(name, str(error).removeprefix(name).lstrip(".: "), "give it PEM files that belong together")
    validity = Validity.of(pem.chain)
    if reason := validity.unusable(now_ns):
        return fail(name, f"{tls.cert_file}: {reason}", f"{_RENEW}; or set this machine's clock")
    if pem.client_ca is not None and (reason := Validity.of(pem.client_ca).unusable(now_ns)):
        return fail(name, f"{tls.client_ca_file}: {reason}", "write the authority's new certificate")
    shown = f"{tls.cert_file}, until {validity.until:%Y-%m-%d}"
    if validity.ends_soon(now_ns):
        return warn(name, shown, _RENEW)
    return _private(name, tls.key_file) or ok(name, shown)


def _keys(auth: AuthConfig) -> list[Finding]:
    from tokensense_otel.receiver.auth import Keyring

    if auth.keys_file is None:
        return []
    name = "receiver.auth.keys_file"
    keyring = Keyring(auth)
    try:
        keyring.load()
    except ConfigError as error:
        return [
            fail(name, str(error).removeprefix(f"{name}: "), "see the message; the keys before stay in use meanwhile")
        ]
    return [_private(name, auth.keys_file) or ok(name, str(auth.keys_file))]


def _private(name: str, path: Path) -> Finding | None:
    """Whoever reads the file can be the server, or send as the tenants in it."""
    if path.stat().st_mode & 0o004:
        return warn(name, f"{path} can be read by every user of this machine", f"run chmod o-r {path}")
    return None
