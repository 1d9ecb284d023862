"""What every component's configuration is made of: a frozen model, a secret that cannot be printed, an endpoint.

A configuration is a value. It holds every default of its component, refuses unknown keys, and is checked whole before
anything starts; `service.config` turns what pydantic finds into one line for the user.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic_core import PydanticCustomError


class Config(BaseModel):
    """Base of every component's configuration. Field docstrings are the user's documentation of each key."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, hide_input_in_errors=True
    )


def refused(location: tuple[str | int, ...], text: str) -> ValidationError:
    """What a check of a whole configuration finds at one place of it: raise it in a validator of the model."""
    kind = PydanticCustomError("value_error", "{error}", {"error": text})
    return ValidationError.from_exception_data("configuration", [{"type": kind, "loc": location, "input": None}])


Secret = SecretStr
"""A string that prints as stars. `${ENV}` and a `*_file` twin of the key are resolved before the model sees it."""


def split_endpoint(value: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` → (host, port). Port 0 asks the system for a free one.

    Raises:
        ValueError: with what to write instead.
    """
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{value!r} is not an endpoint; write host:port, for instance 127.0.0.1:4317")
    host = host.removeprefix("[").removesuffix("]")
    if not host:
        raise ValueError(f"{value!r} names no host; write 127.0.0.1:{port} for this machine or 0.0.0.0:{port} for all")
    return host, int(port)


def is_loopback(host: str) -> bool:
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _checked(value: str) -> str:
    split_endpoint(value)
    return value


Endpoint = Annotated[str, AfterValidator(_checked)]
"""`host:port` as users write it; `split_endpoint` takes it apart."""

JsonObject = dict[str, Any]
