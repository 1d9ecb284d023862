"""Slack's keys. An incoming webhook takes about one message a second for its channel (Slack, "Rate limits")."""

from pydantic import Field

from tokensense_otel.exporters.config import HttpExporterConfig, SecretUrl


class SlackConfig(HttpExporterConfig):
    type: str = "slack"

    webhook_url: SecretUrl
    """The incoming webhook, `https://hooks.slack.com/services/…`. Whoever knows it may post, so it prints as stars."""

    max_in_flight: int = Field(default=1, ge=1, le=64)
    min_interval_s: float = Field(default=1.0, ge=0)
    digest_after_s: float = Field(default=120.0, ge=0)
    max_age_s: float = Field(default=21_600.0, gt=0)
