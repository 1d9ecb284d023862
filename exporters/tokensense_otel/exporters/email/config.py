"""The mail's keys."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tokensense_otel.core.config import Secret
from tokensense_otel.exporters.config import ExporterConfig

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _an_address(text: str) -> str:
    if _ADDRESS.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no mail address; write name@example.com")
    return text


def _a_host(text: str) -> str:
    if _HOST.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no host; write smtp.example.com")
    return text


Address = Annotated[str, AfterValidator(_an_address)]


class EmailConfig(ExporterConfig):
    type: str = "email"

    host: Annotated[str, AfterValidator(_a_host)]
    """The mail server that takes messages for delivery."""

    port: int | None = Field(default=None, ge=1, le=65_535)
    """Its port; without it 587 for `starttls`, 465 for `tls`, 25 for `none`."""

    security: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls` begins in the clear and refuses to go on without TLS, `tls` is encrypted from the first byte, `none`
    is for a server on this machine."""

    ca_file: Path | None = None
    """Certificates to trust instead of the system's."""

    username: str = ""
    """The account, where the server wants one."""

    password: Secret | None = None
    """Its password."""

    sender: Address
    """The address that mail comes from."""

    to: tuple[Address, ...] = Field(min_length=1, max_length=50)
    """The addresses that it goes to."""

    subject_prefix: str = Field(default="[TokenSense]", max_length=50, pattern=r"^[\x20-\x7e]*$")
    """What every subject begins with."""

    allow_private: bool = False
    """Allow loopback and private addresses. Metadata and link-local addresses stay refused."""

    max_in_flight: int = Field(default=2, ge=1, le=64)
    min_interval_s: float = Field(default=1.0, ge=0)
    digest_after_s: float = Field(default=120.0, ge=0)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if bool(self.username) != (self.password is not None):
            raise ValueError("username and password go together; write both, or neither")
        if self.username and self.security == "none":
            raise ValueError("a password may not be sent in the clear; write security: starttls")
        return self

    @property
    def real_port(self) -> int:
        return self.port or _PORTS[self.security]
