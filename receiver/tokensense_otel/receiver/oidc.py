"""Tokens of an OpenID Connect issuer: signed statements of who sends and, by a claim, for which tenant.

PyJWT checks a token; this keeps the issuer's keys at hand. They are read at the start, now and then, and when a token
names one that is not known, which is how issuers change them. Until that is settled such a sender is asked to come back
in a moment: it keeps its data while the issuer is away or its keys are new.

Sources: OpenID Connect Discovery 1.0 (4), RFC 7517 (keys), RFC 7519 (tokens), RFC 8725 (only asymmetric algorithms).
"""

import asyncio
import contextlib
import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any, Final

import jwt

from tokensense_otel.core.errors import Retryable, Unauthenticated
from tokensense_otel.receiver import events
from tokensense_otel.receiver.auth import Identity
from tokensense_otel.receiver.config import OidcConfig

Fetch = Callable[[str], bytes]
"""Gets a document by its URL; blocks. Raises: OSError, ValueError."""

_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_PAUSE_S: Final = 10.0
"""Keys are read no more often than this, whatever tokens name."""
_MOST_ASKED: Final = 1000
_LEEWAY_S: Final = 60.0
_TIMEOUT_S: Final = 10.0
_MOST_BYTES: Final = 1 << 20


def fetch(url: str) -> bytes:
    """Over the network, through the proxies of the environment."""
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the configuration checked its scheme
        body: bytes = answer.read(_MOST_BYTES)
        return body


class Tokens:
    """Knows the tokens of one issuer while it is started."""

    def __init__(
        self, config: OidcConfig, fetch: Fetch = fetch, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._fetch = fetch
        self._monotonic = monotonic
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._read_s: float | None = None
        self._asked: dict[str | None, float] = {}
        self._wanted = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the issuer's keys; when that fails, a warning says so and it is tried again."""
        await self._read()
        self._reading = asyncio.create_task(self._keep_reading())

    async def stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
            self._reading = None

    def identify(self, token: str) -> Identity:
        """Whose telemetry a token vouches for.

        Raises:
            Unauthenticated: the token is not the issuer's, not for us, over, or names no tenant.
            Retryable: its key is not known yet.
        """
        try:
            claims = jwt.decode(
                token,
                self._key_of(token),
                algorithms=_ALGORITHMS,
                audience=self._config.audience,
                issuer=self._config.issuer_url,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token is not valid: {error}") from None
        return Identity(self._named(claims, self._config.tenant_claim) or self._config.tenant)

    def _named(self, claims: dict[str, Any], claim: str) -> str:
        if not claim:
            return ""
        value = claims.get(claim)
        if not isinstance(value, str) or not value:
            raise Unauthenticated(f"the token has no claim {claim!r} that names a tenant")
        return value

    def _key_of(self, token: str) -> jwt.PyJWK:
        name = jwt.get_unverified_header(token).get("kid")
        key = self._keys.get(name)
        if key is not None:
            return key
        if len(self._asked) >= _MOST_ASKED:
            self._asked.clear()
        asked_s = self._asked.setdefault(name, self._monotonic())
        if self._read_s is not None and self._read_s > asked_s:
            del self._asked[name]
            raise Unauthenticated("the token's key is none of its issuer's")
        self._wanted.set()
        raise Retryable("the keys of the token's issuer are being read", delay_s=1.0)

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.refresh_s):
                    await self._wanted.wait()
            await self._read()

    async def _read(self) -> None:
        self._wanted.clear()
        now_s = self._monotonic()
        try:
            self._keys = await asyncio.to_thread(self._fetch_keys)
        except (OSError, ValueError, jwt.PyJWTError) as error:
            events.ISSUER_UNREACHABLE(issuer=self._config.issuer_url, reason=str(error))
        else:
            self._read_s = now_s

    def _fetch_keys(self) -> dict[str | None, jwt.PyJWK]:
        url = self._config.jwks_url or self._discovered()
        keys = jwt.PyJWKSet.from_json(self._fetch(url).decode()).keys
        named: dict[str | None, jwt.PyJWK] = {key.key_id: key for key in keys}
        if len(keys) == 1:
            named[None] = keys[0]  # a token need not name the only key there is
        return named

    def _discovered(self) -> str:
        document = json.loads(self._fetch(f"{self._config.issuer_url.rstrip('/')}/.well-known/openid-configuration"))
        if not isinstance(document, dict) or document.get("issuer") != self._config.issuer_url:
            raise ValueError("its discovery document is another issuer's")
        url = document.get("jwks_uri")
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise ValueError("its discovery document names no jwks_uri")
        return url
