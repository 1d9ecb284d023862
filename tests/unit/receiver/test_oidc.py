"""Tokens of an OpenID Connect issuer."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import httpx2
import pytest
from pydantic import ValidationError

from tests.support.issuer import Issuer, serving
from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiving import MemoryLog, running
from tokensense_otel.core.errors import Retryable, Unauthenticated
from tokensense_otel.receiver import oidc
from tokensense_otel.receiver.auth import Identity
from tokensense_otel.receiver.config import AuthConfig, OidcConfig
from tokensense_otel.receiver.oidc import Tokens

BODY = trace_request([sound_span(1)]).SerializeToString()


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "_PAUSE_S", 0.0)


def with_tokens(issuer: Issuer, story: Callable[[Tokens], Awaitable[None]], **config: Any) -> None:
    async def run() -> None:
        section = {"issuer_url": issuer.url, "audience": "tokensense", **config}
        tokens = Tokens(OidcConfig.model_validate(section), issuer.fetch)
        await tokens.start()
        try:
            async with asyncio.timeout(30):
                await story(tokens)
        finally:
            await tokens.stop()

    asyncio.run(run())


def identified(issuer: Issuer, token: str, **config: Any) -> Identity:
    found: list[Identity] = []

    async def story(tokens: Tokens) -> None:
        found.append(tokens.identify(token))

    with_tokens(issuer, story, **config)
    return found[0]


async def settled(tokens: Tokens, token: str) -> Identity:
    """What becomes of a token whose sender comes back for as long as it is asked to."""
    while True:
        try:
            return tokens.identify(token)
        except Retryable:
            await asyncio.sleep(0)


def test_a_token_opens_the_tenant_that_its_claim_names() -> None:
    """Without a claim configured, every token of the issuer is of the one tenant that is."""
    issuer = Issuer()
    assert identified(issuer, issuer.token()) == Identity("default")
    assert identified(issuer, issuer.token(), tenant="shop") == Identity("shop")
    assert identified(issuer, issuer.token(org="acme"), tenant_claim="org") == Identity("acme")


@pytest.mark.parametrize("org", [None, "", 5, ["acme"]])
def test_a_token_without_its_tenant_opens_nothing(org: Any) -> None:
    """A missing claim is no way to somebody's default."""
    issuer = Issuer()
    with pytest.raises(Unauthenticated, match="no claim 'org'"):
        identified(issuer, issuer.token(org=org), tenant_claim="org", tenant="shop")


def test_a_token_is_for_us_of_its_issuer_and_not_over() -> None:
    """Each of the claims that say so is needed and checked; a minute of clocks that differ is forgiven."""
    issuer = Issuer()
    now = int(time.time())
    identified(issuer, issuer.token(exp=now - 30))
    identified(issuer, issuer.token(aud=["somebody", "tokensense"]))
    wrongs: list[dict[str, Any]] = [
        {"exp": now - 90},
        {"exp": None},
        {"nbf": now + 90},
        {"aud": "somebody"},
        {"aud": None},
        {"iss": "https://evil.test"},
        {"iss": None},
    ]
    for wrong in wrongs:
        with pytest.raises(Unauthenticated, match="the token is not valid"):
            identified(issuer, issuer.token(**wrong))


def test_a_token_that_was_tampered_with_opens_nothing() -> None:
    """Changed claims, another's signature, no signature, and a signature with the public key as a secret."""
    issuer, other = Issuer(), Issuer()
    head, claims, signature = issuer.token(org="acme").split(".")
    changed = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed["org"] = "bank"
    packed = base64.urlsafe_b64encode(json.dumps(changed).encode()).decode().rstrip("=")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": issuer.kid}).encode()).decode().rstrip("=")
    hashed = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": issuer.kid}).encode()).decode().rstrip("=")
    public = issuer.published[issuer.kid]["x"].encode()
    mac = hmac.digest(public, f"{hashed}.{packed}".encode(), "sha256")
    forged = f"{hashed}.{packed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    for token in (
        f"{head}.{packed}.{signature}",
        f"{none}.{packed}.",
        other.token(),
        forged,
        f"{head}.{claims}.",
        "a.b.c",
        "..",
    ):
        with pytest.raises(Unauthenticated, match="the token is not valid"):
            identified(issuer, token)


def test_a_new_key_of_the_issuer_costs_its_senders_nothing() -> None:
    """A token of a key that is not known yet is asked to come back, and is then known; the old key goes."""
    issuer = Issuer()
    old = issuer.token()

    async def story(tokens: Tokens) -> None:
        assert tokens.identify(old) == Identity("default")
        del issuer.published[issuer.kid]
        issuer.make_key()
        with pytest.raises(Retryable):
            tokens.identify(issuer.token())
        assert await settled(tokens, issuer.token()) == Identity("default")
        with pytest.raises(Unauthenticated):
            await settled(tokens, old)

    with_tokens(issuer, story)


def test_a_key_that_is_nobodys_is_refused_once_that_is_certain() -> None:
    """A made-up name makes us read the issuer's keys again, and is refused when it is not among them."""
    issuer = Issuer()

    async def story(tokens: Tokens) -> None:
        with pytest.raises(Unauthenticated, match="none of its issuer's"):
            await settled(tokens, issuer.token(kid="made up"))

    with_tokens(issuer, story)


def test_made_up_keys_make_nobody_read_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names tokens make up, the issuer is asked once in a pause, and little is remembered."""
    monkeypatch.setattr(oidc, "_PAUSE_S", 3600.0)
    issuer = Issuer()

    async def story(tokens: Tokens) -> None:
        before = len(issuer.asked)
        for number in range(3000):
            with pytest.raises(Retryable):
                tokens.identify(issuer.token(kid=f"made up {number}"))
        await asyncio.sleep(0)
        assert len(issuer.asked) == before
        assert len(tokens._asked) <= 1000

    with_tokens(issuer, story)


def test_an_issuer_that_is_away_loses_nobody_their_data(capsys: pytest.CaptureFixture[str]) -> None:
    """At the start, senders are asked to come back, a warning says why, and when it is back they are known."""
    issuer = Issuer()
    issuer.away = True

    async def story(tokens: Tokens) -> None:
        for _ in range(3):
            with pytest.raises(Retryable):
                tokens.identify(issuer.token())
            await asyncio.sleep(0.01)
        issuer.away = False
        assert await settled(tokens, issuer.token()) == Identity("default")
        issuer.away = True
        assert tokens.identify(issuer.token()) == Identity("default")

    with_tokens(issuer, story)
    assert "receiver_issuer_unreachable" in "".join(capsys.readouterr())


def test_the_keys_may_be_named_outright() -> None:
    """With jwks_url nothing is discovered; an only key needs no name in the token."""
    issuer = Issuer()
    assert identified(issuer, issuer.token(kid=None), jwks_url=f"{issuer.url}/keys") == Identity()
    assert set(issuer.asked) == {f"{issuer.url}/keys"}


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"issuer": "https://evil.test", "jwks_uri": "https://evil.test/k"}'])
def test_a_discovery_document_of_another_is_not_believed(answer: bytes) -> None:
    """What is no discovery document of this issuer gives no keys."""
    issuer = Issuer()
    issuer.fetch = lambda url: answer  # type: ignore[method-assign]

    with pytest.raises(Retryable):
        identified(issuer, issuer.token())


def test_an_issuer_is_asked_over_https() -> None:
    """Plain HTTP is for this machine only: who is on the way would decide who may send."""
    good = {"audience": "a"}
    for url in ("https://issuer.test", "http://127.0.0.1:8080", "http://localhost:8080/realm"):
        OidcConfig.model_validate({**good, "issuer_url": url})
    for url in ("http://issuer.test", "ftp://issuer.test", "issuer.test", ""):
        with pytest.raises(ValidationError):
            OidcConfig.model_validate({**good, "issuer_url": url})
    with pytest.raises(ValidationError, match="https"):
        OidcConfig.model_validate({**good, "issuer_url": "https://a.test", "jwks_url": "http://a.test/keys"})
    AuthConfig.model_validate({"required": True, "oidc": {**good, "issuer_url": "https://issuer.test"}})


def test_tokens_open_both_ports() -> None:
    """Over real sockets, with keys read from a real issuer: tokens and keys side by side, each with its tenant."""
    log = MemoryLog()

    async def story(issuer: Issuer) -> None:
        auth = {
            "required": True,
            "keys": [{"name": "a", "tenant": "keyed", "key": "k.with.dots"}],
            "oidc": {"issuer_url": issuer.url, "audience": "tokensense", "tenant_claim": "org"},
        }
        async with (
            running(log, auth=auth) as receiver,
            httpx2.AsyncClient(trust_env=False) as client,
            grpc.aio.insecure_channel(receiver.endpoints.grpc) as channel,
        ):

            async def post(shown: str) -> int:
                headers = {"content-type": "application/x-protobuf", "authorization": f"Bearer {shown}"}
                url = f"http://{receiver.endpoints.http}/v1/traces"
                return (await client.post(url, content=BODY, headers=headers)).status_code

            unary: Any = channel.unary_unary
            export = unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            assert await post(issuer.token(org="acme")) == 200
            assert await post("k.with.dots") == 200
            assert await post(issuer.token(org="acme", aud="somebody")) == 401
            await export(BODY, metadata=(("authorization", f"Bearer {issuer.token(org='bank')}"),))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await export(BODY, metadata=(("authorization", "Bearer a.b.c"),))
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED

    with serving() as issuer:
        asyncio.run(story(issuer))
    assert [entry.tenant for entry in log.entries] == ["acme", "keyed", "bank"]
