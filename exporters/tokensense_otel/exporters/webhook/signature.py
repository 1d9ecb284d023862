"""Sign by Standard Webhooks 1.0.0, "Signature scheme" (symmetric): `v1,` and base64 of HMAC-SHA256."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

PREFIX = "whsec_"


def signing_key(secret: str) -> bytes:
    """The key inside a secret.

    Raises:
        ValueError: with what to write instead, without the secret.
    """
    advice = f"write {PREFIX} and base64 of 24 to 64 random bytes (openssl rand -base64 32)"
    if not secret.startswith(PREFIX):
        raise ValueError(f"it does not begin with {PREFIX}; {advice}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"what follows {PREFIX} is not base64; {advice}") from None
    if not 24 <= len(key) <= 64:
        raise ValueError(f"the key has {len(key)} bytes; {advice}")
    return key


def sign(keys: Iterable[bytes], message_id: str, timestamp_s: int, body: bytes) -> str:
    """The `webhook-signature` header: one signature for each key, separated by spaces."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
