"""Configuration of the HTTP API."""

from typing import Self

from pydantic import model_validator

from tokensense_otel.core.config import Config, Endpoint, is_loopback, split_endpoint


class ApiConfig(Config):
    endpoint: Endpoint = "127.0.0.1:3001"
    """Where the API listens. Port 0 asks the system for a free one."""
    allow_unauthenticated_remote: bool = False
    """The API knows no keys yet: listening beyond this machine lets everybody who reaches it read usage and insights.
    Say `true` where something in front of it keeps strangers out."""

    @model_validator(mode="after")
    def _remote_is_meant(self) -> Self:
        host, port = split_endpoint(self.endpoint)
        if not is_loopback(host) and not self.allow_unauthenticated_remote:
            raise ValueError(
                f"{self.endpoint} can be reached from other machines and asks nobody for a key; "
                f"write endpoint: 127.0.0.1:{port}, or say allow_unauthenticated_remote: true"
            )
        return self
