"""Who sends: API keys to tenants. Keys are known by their SHA-256 only and compared in constant time.

A key comes as `TS-API-Key: …`, `Authorization: Bearer …` or `Authorization: Basic …` with the key's name and the key,
in HTTP headers or gRPC metadata (checklist 93–95). A key is long and random, so one SHA-256 protects it as well as a
slow hash protects a password, and costs a request nothing.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import TypeAdapter, ValidationError

from tokensense_otel.core.call import DEFAULT_TENANT
from tokensense_otel.core.errors import ConfigError, Unauthenticated
from tokensense_otel.receiver import events
from tokensense_otel.receiver.config import AuthConfig, KeyConfig, Keys
from tokensense_otel.receiver.watched import Watched

_KEYS: TypeAdapter[tuple[KeyConfig, ...]] = TypeAdapter(Keys)


class Identity(NamedTuple):
    """Whose telemetry a request brings. `project` is empty where the key belongs to none."""

    tenant: str = DEFAULT_TENANT
    project: str = ""


class _Known(NamedTuple):
    digest: bytes
    name: bytes
    identity: Identity


class _Shown(NamedTuple):
    key: str
    name: str | None = None


class Keyring:
    """The keys that are known and what they open. The keys' file is looked at with each request.

    `tokens` knows signed tokens (`header.claims.signature`), which come where a key does.
    """

    def __init__(self, config: AuthConfig, tokens: Callable[[str], Identity] | None = None) -> None:
        self._required = config.required
        self._tokens = tokens
        self._own = _known(config.keys)
        self._file = config.keys_file
        self._watched = Watched(config.keys_file) if config.keys_file else None
        self._keys = self._own

    def load(self) -> None:
        """Read the keys' file.

        Raises:
            ConfigError: when it cannot be used.
        """
        if self._file is not None and self._watched is not None:
            self._watched.changed()
            self._keys = self._own + _known(_read(self._file))

    @property
    def several_tenants(self) -> bool:
        """Whether more than one tenant may send."""
        known = {key.identity.tenant for key in self._keys} | (set() if self._required else {DEFAULT_TENANT})
        return len(known) > 1 or self._tokens is not None

    def identify(self, headers: Mapping[str, str]) -> Identity:
        """The sender's identity from its headers (names in lower case).

        Raises:
            Unauthenticated: when the key is unknown, or there is none and one is required.
            Retryable: when it cannot be known yet.
        """
        self._refresh()
        shown = _shown_key(headers)
        if shown is None:
            if self._required:
                raise Unauthenticated("a key is required: send it as TS-API-Key or as Authorization: Bearer")
            return Identity()
        digest = hashlib.sha256(shown.key.encode()).digest()
        name = None if shown.name is None else shown.name.encode()
        found: Identity | None = None
        for known in self._keys:
            if hmac.compare_digest(digest, known.digest) and (name is None or name == known.name):
                found = known.identity
        if found is None and self._tokens is not None and shown.key.count(".") == 2:
            return self._tokens(shown.key)
        if found is None:
            raise Unauthenticated("the key is not known here")
        return found

    def _refresh(self) -> None:
        if self._watched is None or not self._watched.changed():
            return
        try:
            self.load()
        except ConfigError as error:
            events.KEYS_UNUSABLE(reason=str(error))
        else:
            events.KEYS_RELOADED(keys=len(self._keys))


def _known(keys: tuple[KeyConfig, ...]) -> tuple[_Known, ...]:
    return tuple(_Known(_digest(key), key.name.encode(), Identity(key.tenant, key.project)) for key in keys)


def _digest(key: KeyConfig) -> bytes:
    if key.key is not None:
        return hashlib.sha256(key.key.get_secret_value().encode()).digest()
    return bytes.fromhex(key.key_sha256 or "")


def _read(path: Path) -> tuple[KeyConfig, ...]:
    where = f"receiver.auth.keys_file: {path}"
    try:
        return _KEYS.validate_python(yaml.safe_load(path.read_bytes()) or ())
    except OSError as error:
        raise ConfigError(f"{where} cannot be read ({error.strerror}); write the path of a readable file") from None
    except yaml.YAMLError:
        # The error's text may show a line of the file, and with it a key.
        raise ConfigError(f"{where} is not YAML; write a list of keys as under receiver.auth.keys") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the list"
        raise ConfigError(f"{where}: {place}: {first['msg']}") from None


def _shown_key(headers: Mapping[str, str]) -> _Shown | None:
    """The key that a request shows. Other authorization schemes are somebody else's and count as none."""
    if key := headers.get("ts-api-key", "").strip():
        return _Shown(key)
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return _Shown(token.strip())
        case "basic":
            return _basic(token.strip())
        case _:
            return None


def _basic(token: str) -> _Shown:
    """Name and key of RFC 7617; what is none of them opens nothing."""
    try:
        name, _, key = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return _Shown("", "")
    return _Shown(key, name)
