"""The receiver's configuration."""

from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from tokensense_otel.core.call import DEFAULT_TENANT
from tokensense_otel.core.config import Config, Endpoint, Secret, is_loopback, split_endpoint

MIB: Final = 1 << 20


class TlsConfig(Config):
    """Certificates, in PEM. Renewed files are used from the next connection on. Paths are relative to where the command
    is run."""

    cert_file: Path
    """The server's certificate and those between it and its root."""

    key_file: Path
    """The certificate's key, without a passphrase."""

    client_ca_file: Path | None = None
    """Only clients with a certificate of one of these authorities may connect (mTLS)."""


class HttpTlsConfig(TlsConfig):
    """The same, with a choice that grpcio does not give: over gRPC it is always 1.2 or later."""

    min_version: Literal["1.2", "1.3"] = "1.2"
    """The oldest version of TLS that is spoken."""


class GrpcConfig(Config):
    """OTLP over gRPC."""

    endpoint: Endpoint = "127.0.0.1:4317"
    """Where to listen; port 0 takes a free one."""

    tls: TlsConfig | None = None
    """Encrypt with these certificates."""

    max_connection_age_s: float = Field(default=1800.0, gt=0)
    """After this long a client is asked to connect anew, so that connections spread over several receivers."""

    handshake_timeout_s: float = Field(default=10.0, gt=0)
    """How long a new connection may take to agree on TLS and HTTP/2."""

    max_connections: int = Field(default=4096, ge=1)
    """How many connections there may be; one more is closed, and its sender tries again."""


class CorsConfig(Config):
    """Which web pages may send from a browser."""

    allowed_origins: tuple[str, ...] = ()
    """Origins of pages, such as `https://shop.example.com` or `https://*.example.com`; `*` is every page. None may send
    by default."""

    allowed_headers: tuple[str, ...] = ()
    """Headers that pages may send besides those of OTLP and of keys."""

    max_age_s: int = Field(default=7200, ge=0)
    """How long a browser may remember the answer."""


class HttpConfig(Config):
    """OTLP over HTTP/1.1: `/v1/traces`, `/v1/metrics`, `/v1/logs`, as protobuf or JSON."""

    endpoint: Endpoint = "127.0.0.1:4318"
    """Where to listen; port 0 takes a free one."""

    tls: HttpTlsConfig | None = None
    """Encrypt with these certificates."""

    cors: CorsConfig = CorsConfig()
    """Which web pages may send from a browser."""

    keep_alive_s: float = Field(default=75.0, gt=0)
    """How long an idle connection is kept. Longer than SDKs wait between exports, or they meet a closing one."""

    header_timeout_s: float = Field(default=10.0, gt=0)
    """How long the header of a request may take to arrive, and before it the agreement on TLS."""

    read_timeout_s: float = Field(default=30.0, gt=0)
    """How long a body may take to arrive."""

    max_header_bytes: int = Field(default=64 << 10, ge=1)
    """The largest header of a request."""

    max_connections: int = Field(default=4096, ge=1)
    """How many connections there may be; for one more, that which has been idle the longest is closed."""


class KeyConfig(Config):
    """A key that senders show as `TS-API-Key`, as `Authorization: Bearer`, or as the password of `Authorization: Basic`
    with the key's name. Write `key` or `key_sha256`, not both."""

    name: str = Field(min_length=1, pattern=r"^[^:]+$")
    """What the key is called."""

    tenant: str = Field(default=DEFAULT_TENANT, min_length=1)
    """Whose telemetry it brings."""

    project: str = ""
    """The project it belongs to; empty leaves that to `tokensense.project` in the telemetry."""

    key: Secret | None = None
    """The key itself; only its hash is kept in memory."""

    key_sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$")
    """The SHA-256 of the key in hexadecimal, for a configuration that holds no secret."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "KeyConfig":
        if (self.key is None) == (self.key_sha256 is None):
            raise ValueError(f"key {self.name!r}: write either key or key_sha256")
        if self.key is not None and not self.key.get_secret_value():
            raise ValueError(f"key {self.name!r}: the key is empty")
        return self


def _distinct(keys: tuple[KeyConfig, ...]) -> tuple[KeyConfig, ...]:
    names = [key.name for key in keys]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two keys are called {name!r}; give each its own name")
    return keys


Keys = Annotated[tuple[KeyConfig, ...], AfterValidator(_distinct)]
"""Keys of different names."""


class OidcConfig(Config):
    """Tokens of an OpenID Connect issuer, shown as `Authorization: Bearer`."""

    issuer_url: str
    """The issuer, as its tokens name it in `iss`."""

    audience: str = Field(min_length=1)
    """Whom tokens have to be for (`aud`)."""

    jwks_url: str = ""
    """Where the issuer's keys are; empty finds them by its discovery document."""

    tenant_claim: str = ""
    """The claim that names the tenant; empty takes `tenant` for all."""

    tenant: str = Field(default=DEFAULT_TENANT, min_length=1)
    """Whose telemetry tokens bring when no claim says it."""

    refresh_s: float = Field(default=300.0, gt=0)
    """How often the issuer's keys are read again; a key that is not known yet is asked for at once."""

    @field_validator("issuer_url", "jwks_url")
    @classmethod
    def _encrypted(cls, url: str) -> str:
        parts = urlsplit(url)
        if not url or parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            return url
        raise ValueError(f"{url!r} has to be https, or who is on the way decides who may send")

    @model_validator(mode="after")
    def _some_issuer(self) -> "OidcConfig":
        if not self.issuer_url:
            raise ValueError("issuer_url is empty; write the issuer's URL")
        return self


class AuthConfig(Config):
    """Who may send."""

    required: bool = False
    """Refuse telemetry that comes without a key. A wrong key is refused in any case."""

    keys: Keys = ()
    """The keys that are known. Two keys of one tenant make a rotation without a gap."""

    keys_file: Path | None = None
    """More keys: a YAML file with a list as under `keys`, read again whenever it changes. Relative to where the command
    is run."""

    oidc: OidcConfig | None = None
    """Take the tokens of an issuer besides keys."""

    @model_validator(mode="after")
    def _some_key(self) -> "AuthConfig":
        if self.required and not self.keys and self.keys_file is None and self.oidc is None:
            raise ValueError("auth.required is true but auth.keys is empty; add a key or write required: false")
        return self


class RateConfig(Config):
    """How much may be sent. Who sends more is asked to come back later, and loses nothing."""

    spans_per_s: float | None = Field(default=None, gt=0)
    """Spans, log records and data points a second; no limit when it is not given."""

    bytes_per_s: float | None = Field(default=None, gt=0)
    """Bytes a second, after decompression; no limit when it is not given."""

    burst_s: float = Field(default=10.0, gt=0)
    """After a pause, as much as comes in so many seconds may come at once."""


class LimitsConfig(RateConfig):
    """How much each tenant may send."""

    tenants: dict[str, RateConfig] = Field(default={})
    """Tenants with other limits: the tenant's name → its limits, in place of all of these."""


class ReceiverConfig(Config):
    """The OTLP servers. Sizes are in bytes."""

    processes: int = Field(default=1, ge=1, le=64)
    """How many processes take telemetry in on the same ports; at most `log.partitions`. The system deals out
    connections, not requests, so that it is senders with several connections who gain. Of `limits` each process grants
    its part; the other limits here are those of each process."""

    grpc: GrpcConfig = GrpcConfig()
    """OTLP over gRPC."""

    http: HttpConfig = HttpConfig()
    """OTLP over HTTP."""

    auth: AuthConfig = AuthConfig()
    """Who may send."""

    limits: LimitsConfig = LimitsConfig()
    """How much each tenant may send."""

    allow_unauthenticated_remote: bool = False
    """Listen beyond this machine without asking for a key."""

    max_request_bytes: int = Field(default=64 * MIB, ge=1)
    """The largest request, after decompression. 64 MiB is what OTLP recommends."""

    max_in_flight_bytes: int = Field(default=256 * MIB, ge=1)
    """How much may be in work at once; beyond it senders are asked to come back a moment later. Where there are several
    tenants, one that already has a request in work may take no more than it leaves to the others."""

    append_timeout_s: float = Field(default=4.0, gt=0)
    """How long a request may wait for the log. Shorter than the Collector's 5 s, which gives up on its side."""

    heartbeat_s: float = Field(default=30.0, gt=0)
    """How often each process puts a heartbeat on the log, which the others pass on. See docs/dead-mans-switch.md."""

    stop_timeout_s: float = Field(default=5.0, gt=0)
    """How long requests that are under way may take when the receiver stops."""

    @model_validator(mode="after")
    def _one_request_fits(self) -> "ReceiverConfig":
        # A compressed body and what is in it are held together.
        least = 2 * self.max_request_bytes
        if self.max_in_flight_bytes < least:
            raise ValueError(f"max_in_flight_bytes must be at least twice max_request_bytes; write {least} or more")
        return self

    @model_validator(mode="after")
    def _not_open_to_all(self) -> "ReceiverConfig":
        for name, server in (("grpc", self.grpc), ("http", self.http)):
            if is_loopback(split_endpoint(server.endpoint)[0]) or self.auth.required:
                continue
            if (server.tls is not None and server.tls.client_ca_file) or self.allow_unauthenticated_remote:
                continue
            raise ValueError(
                f"{name}.endpoint {server.endpoint} is open to other machines without a key; write "
                f"auth.required: true and auth.keys, {name}.tls.client_ca_file, "
                f"or allow_unauthenticated_remote: true if that is meant"
            )
        return self
