"""Configuration of the metrics that TokenSense sends of itself."""

from pydantic import Field, field_validator

from tokensense_otel.core.config import Config, Secret


class TelemetryConfig(Config):
    endpoint: str = ""
    """Where the numbers of `/metrics` are sent by OTLP over HTTP, such as `http://collector:4318/v1/metrics`. Empty
    sends them nowhere."""

    headers: dict[str, Secret] = Field(default={})
    """Headers to send with them, such as `authorization`."""

    interval_s: float = Field(default=60.0, gt=0)
    """How often they are sent."""

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, endpoint: str) -> str:
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise ValueError(f"{endpoint!r} is no URL; write it whole, such as http://127.0.0.1:4318/v1/metrics")
        return endpoint
