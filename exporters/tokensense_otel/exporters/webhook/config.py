"""The webhook's keys."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator

from tokensense_otel.core.config import Secret
from tokensense_otel.exporters.config import HttpExporterConfig, SecretUrl
from tokensense_otel.exporters.webhook.signature import signing_key

_OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "user-agent", "connection"})


class WebhookConfig(HttpExporterConfig):
    type: str = "webhook"

    url: SecretUrl
    """Where to post. It prints as stars, because a URL may hold a token."""

    format: Literal["standard", "cloudevents", "alertmanager"] = "standard"
    """The body: `standard` is `{type, timestamp, data}` of Standard Webhooks, `cloudevents` a CloudEvent in structured
    JSON, `alertmanager` what Alertmanager posts (version 4), for receivers made for that. The headers, signature
    included, are those of Standard Webhooks with each."""

    secret: tuple[Secret, ...] = ()
    """`whsec_` and base64 of 24 to 64 random bytes; while rotating, a list of the new and the old one: both sign.
    Without it messages are not signed."""

    headers: Mapping[str, Secret] = Field(default_factory=dict)
    """Headers to add, for instance `Authorization`."""

    @field_validator("secret", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | SecretStr) else value

    @field_validator("secret")
    @classmethod
    def _signing(cls, value: tuple[Secret, ...]) -> tuple[Secret, ...]:
        for secret in value:
            signing_key(secret.get_secret_value())
        return value

    @field_validator("headers")
    @classmethod
    def _usable(cls, value: Mapping[str, Secret]) -> Mapping[str, Secret]:
        for name, content in value.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
                raise ValueError(f"{name!r} is not a header's name")
            if name.lower() in _OURS or name.lower().startswith("webhook-"):
                raise ValueError(f"{name} is set by TokenSense; leave it out")
            text = content.get_secret_value()
            if not text.isascii() or not text.isprintable():
                raise ValueError(f"the value of {name} has characters that a header may not hold")
        return value
