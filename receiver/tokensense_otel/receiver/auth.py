"""Who sends: API keys to tenants. Keys are known by their SHA-256 only and compared in constant time.

A key comes as `TS-API-Key: …` or `Authorization: Bearer …`, in HTTP headers or gRPC metadata (checklist 93–95).
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple

from tokensense_otel.core.call import DEFAULT_TENANT
from tokensense_otel.core.errors import Unauthenticated
from tokensense_otel.receiver.config import AuthConfig, KeyConfig


class Identity(NamedTuple):
    """Whose telemetry a request brings. `project` is empty where the key belongs to none."""

    tenant: str = DEFAULT_TENANT
    project: str = ""


class Keyring:
    """The keys that are known and what they open."""

    def __init__(self, config: AuthConfig) -> None:
        self._required = config.required
        self._keys = [(_digest(key), Identity(key.tenant, key.project)) for key in config.keys]

    def identify(self, headers: Mapping[str, str]) -> Identity:
        """The sender's identity from its headers (names in lower case).

        Raises:
            Unauthenticated: when the key is unknown, or there is none and one is required.
        """
        shown = _shown_key(headers)
        if shown is None:
            if self._required:
                raise Unauthenticated("a key is required: send it as TS-API-Key or as Authorization: Bearer")
            return Identity()
        digest = hashlib.sha256(shown.encode()).digest()
        found: Identity | None = None
        for known, identity in self._keys:
            if hmac.compare_digest(digest, known):
                found = identity
        if found is None:
            raise Unauthenticated("the key is not known here")
        return found


def _digest(key: KeyConfig) -> bytes:
    if key.key is not None:
        return hashlib.sha256(key.key.get_secret_value().encode()).digest()
    return bytes.fromhex(key.key_sha256 or "")


def _shown_key(headers: Mapping[str, str]) -> str | None:
    """The key that a request shows. Other authorization schemes are somebody else's and count as none."""
    if key := headers.get("ts-api-key", "").strip():
        return key
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
