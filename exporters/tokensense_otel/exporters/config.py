"""The keys that every exporter has, and those of every exporter that speaks HTTP."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from tokensense_otel.core.config import Config
from tokensense_otel.exporters.selection.config import RouteConfig


class ExporterConfig(Config):
    type: str
    """`console`, `webhook`, `slack`, `pagerduty`, an installed plugin's name, or `./file.py:Class`."""

    max_in_flight: int = Field(default=8, ge=1, le=64)
    """How many messages may be under way at once; those of one episode always go one by one."""

    min_interval_s: float = Field(default=0.0, ge=0)
    """At least this long between two sends, where the destination allows only so many."""

    max_age_s: float = Field(default=86_400.0, gt=0)
    """A message that still fails when it is this old becomes a dead letter."""

    timeout_s: float = Field(default=15.0, gt=0, le=120)
    """Total time that one send may take."""

    routes: tuple[RouteConfig, ...] = ()
    """Which insights it gets; every one unless this says otherwise. One route that takes an insight is enough, and what
    follows of a finding goes where its firing went."""

    fallback: str = ""
    """The name of an exporter that gets what this one could not deliver within `fallback_after_s`."""

    fallback_after_s: float = Field(default=300.0, gt=0)
    """How long a message may wait here before `fallback` gets it as well."""

    merge_waiting: bool = True
    """Whether what came and went while the endpoint took nothing is left out, and of several updates all but the
    newest. What is left out is on record as suppressed, with the reason."""

    digest_after_s: float = Field(default=0.0, ge=0)
    """When what waits would take longer than this at `min_interval_s` each, it is told in digests of up to 1,000
    findings. 0 means never: each is told by itself, however long it takes."""


class HttpExporterConfig(ExporterConfig):
    allow_private: bool = False
    """Allow loopback and private addresses. Metadata and link-local addresses stay refused."""


_TELLING_CHARS = 12


def _checked(value: SecretStr) -> SecretStr:
    parts = _split(value.get_secret_value())
    if parts is None:
        raise ValueError("not a URL that can be posted to; write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL may not hold a user name or password")
    return value


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        plain = text.isascii() and text.isprintable() and " " not in text
        usable = plain and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


SecretUrl = Annotated[SecretStr, AfterValidator(_checked)]
"""An `http(s)` URL that prints as stars: whoever knows a webhook's URL may post to it."""


def secrets_of(value: Any) -> frozenset[str]:
    """Every secret text in a configuration, with the parts of it by which an error could give it away."""
    return frozenset(part for secret in _secrets(value) for part in _parts(secret))


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _secrets(item)


def _parts(secret: str) -> Iterator[str]:
    """The secret and what would be enough of it; short parts are words and give nothing away."""
    yield secret
    parts = [*secret.split(), secret.removeprefix("whsec_")]
    if secret.startswith(("http://", "https://")):
        url = urlsplit(secret)
        parts += [url.path, f"{url.path}?{url.query}", url.query, url.path.rpartition("/")[2]]
    yield from (part for part in parts if len(part) >= _TELLING_CHARS)


def redacted(text: str, secrets: frozenset[str]) -> str:
    """`text` with every secret in it replaced, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
