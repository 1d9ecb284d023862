"""Configuration of the dead man's switch."""

from pydantic import Field, field_validator

from tokensense_otel.core.config import Config, Secret


class DeadMansSwitchConfig(Config):
    url: Secret = Secret("")
    """Where a POST is sent for as long as everything works: a heartbeat of your pager or of a service that watches for
    silence (healthchecks.io, Dead Man's Snitch, an Opsgenie or Better Stack heartbeat). Empty sends none."""

    headers: dict[str, Secret] = Field(default={})
    """Headers to send with it, such as `authorization`."""

    every_s: float = Field(default=60.0, gt=0)
    """How often it is sent. Let the other side expect it twice as seldom, or more."""

    max_lag_s: float = Field(default=180.0, gt=0)
    """How old the newest heartbeat that came all the way may be. Beyond it nothing is sent, `/readyz` says so, and so
    does `tokensense doctor`."""

    allow_private: bool = False
    """Whether `url` may be an address of this machine or of a private network."""

    timeout_s: float = Field(default=10.0, gt=0)
    """How long the other side may take to answer."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: Secret) -> Secret:
        if url.get_secret_value() and not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("it is no URL; write it whole, such as https://hc-ping.com/… with the id of your check")
        return url
