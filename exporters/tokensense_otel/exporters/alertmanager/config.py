"""Alertmanager's keys."""

import re
from collections.abc import Mapping

from pydantic import Field, field_validator

from tokensense_otel.core.config import Secret
from tokensense_otel.exporters.config import HttpExporterConfig, SecretUrl

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class AlertmanagerConfig(HttpExporterConfig):
    type: str = "alertmanager"

    url: SecretUrl
    """Where Alertmanager is, `http://alertmanager:9093`; alerts go to `/api/v2/alerts` below it."""

    headers: Mapping[str, Secret] = Field(default_factory=dict)
    """Headers to add, for instance `Authorization`."""

    labels: Mapping[str, str] = Field(default_factory=dict)
    """Labels to add to every alert, for instance `cluster: eu-1`."""

    open_for_hours: float = Field(default=720.0, gt=0, le=8760)
    """How long an alert stays open if TokenSense never says how it ended. Alertmanager would close it after five
    minutes otherwise, since nothing here repeats what it said."""

    @field_validator("labels")
    @classmethod
    def _named(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for name in value:
            if LABEL.fullmatch(name) is None:
                raise ValueError(f"{name!r} is no label; write letters, digits and _")
        return value
