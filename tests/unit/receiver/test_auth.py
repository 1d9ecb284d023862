"""Whose telemetry it is."""

import hashlib

import pytest

from tokensense_otel.core.errors import Unauthenticated
from tokensense_otel.receiver.auth import Identity, Keyring
from tokensense_otel.receiver.config import AuthConfig

KEYS = [
    {"name": "shop", "tenant": "shop", "project": "web", "key": "k-shop"},
    {"name": "bank", "tenant": "bank", "key_sha256": hashlib.sha256(b"k-bank").hexdigest().upper()},
]


def keyring(*, required: bool) -> Keyring:
    return Keyring(AuthConfig.model_validate({"required": required, "keys": KEYS}))


@pytest.mark.parametrize(
    "headers",
    [
        {"ts-api-key": "k-shop"},
        {"ts-api-key": " k-shop "},
        {"authorization": "Bearer k-shop"},
        {"authorization": "bearer  k-shop"},
        {"ts-api-key": "k-shop", "authorization": "Bearer somebody's"},
    ],
)
def test_a_known_key_opens_its_tenant(headers: dict[str, str]) -> None:
    """OTLP checklist 95: either header, with our own before the general one."""
    assert keyring(required=True).identify(headers) == Identity("shop", "web")


def test_a_key_may_be_known_by_its_hash_alone() -> None:
    """A configuration with the SHA-256 of a key accepts the key, and not the hash itself."""
    assert keyring(required=True).identify({"ts-api-key": "k-bank"}) == Identity("bank", "")
    with pytest.raises(Unauthenticated):
        keyring(required=True).identify({"ts-api-key": hashlib.sha256(b"k-bank").hexdigest()})


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    "headers", [{"ts-api-key": "k-shoq"}, {"authorization": "Bearer x"}, {"authorization": "Bearer"}]
)
def test_a_wrong_key_is_always_refused(headers: dict[str, str], required: bool) -> None:
    """OTLP checklist 94: also where none is required, or telemetry would land with the wrong tenant."""
    with pytest.raises(Unauthenticated, match="not known"):
        keyring(required=required).identify(headers)


@pytest.mark.parametrize("headers", [{}, {"ts-api-key": " "}, {"authorization": "Basic dTpw"}, {"authorization": ""}])
def test_no_key_is_the_default_tenant_unless_one_is_required(headers: dict[str, str]) -> None:
    """Without a key there is the default tenant, or a refusal that says which header to send."""
    assert keyring(required=False).identify(headers) == Identity("default", "")
    with pytest.raises(Unauthenticated, match="TS-API-Key"):
        keyring(required=True).identify(headers)
