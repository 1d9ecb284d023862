"""Microsoft Teams' keys. A flow takes a few messages a second, and a message of at most 28 KB."""

from pydantic import Field

from tokensense_otel.exporters.config import HttpExporterConfig, SecretUrl


class TeamsConfig(HttpExporterConfig):
    type: str = "teams"

    webhook_url: SecretUrl
    """The address of a Workflows flow, "When a Teams webhook request is received". Whoever knows it may post, so it
    prints as stars. (Connectors of Office 365 are retired and take no cards.)"""

    max_in_flight: int = Field(default=1, ge=1, le=64)
    min_interval_s: float = Field(default=0.5, ge=0)
    max_age_s: float = Field(default=21_600.0, gt=0)
    digest_after_s: float = Field(default=120.0, ge=0)
