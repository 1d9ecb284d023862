"""Whose telemetry it is."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from tokensense_otel.core.errors import ConfigError, Unauthenticated
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
        {"authorization": "Basic " + base64.b64encode(b"shop:k-shop").decode()},
        {"authorization": "basic  " + base64.b64encode(b"shop:k-shop").decode()},
        {"ts-api-key": "k-shop", "authorization": "Bearer somebody's"},
    ],
)
def test_a_known_key_opens_its_tenant(headers: dict[str, str]) -> None:
    """OTLP checklist 95: either header, bearer or basic with the key's name, our own header before the general one."""
    assert keyring(required=True).identify(headers) == Identity("shop", "web")


def test_a_key_may_be_known_by_its_hash_alone() -> None:
    """A configuration with the SHA-256 of a key accepts the key, and not the hash itself."""
    assert keyring(required=True).identify({"ts-api-key": "k-bank"}) == Identity("bank", "")
    with pytest.raises(Unauthenticated):
        keyring(required=True).identify({"ts-api-key": hashlib.sha256(b"k-bank").hexdigest()})


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    "headers",
    [
        {"ts-api-key": "k-shoq"},
        {"authorization": "Bearer x"},
        {"authorization": "Bearer"},
        {"authorization": "Basic " + base64.b64encode(b"shop:k-shoq").decode()},
        {"authorization": "Basic " + base64.b64encode(b"bank:k-shop").decode()},
        {"authorization": "Basic " + base64.b64encode(b"k-shop").decode()},
        {"authorization": "Basic " + base64.b64encode(b"\xff:k").decode()},
        {"authorization": "Basic k-shop"},
        {"authorization": "Basic"},
    ],
)
def test_a_wrong_key_is_always_refused(headers: dict[str, str], required: bool) -> None:
    """OTLP checklist 94: also where none is required, or telemetry would land with the wrong tenant."""
    with pytest.raises(Unauthenticated, match="not known"):
        keyring(required=required).identify(headers)


@pytest.mark.parametrize("headers", [{}, {"ts-api-key": " "}, {"authorization": "Digest x"}, {"authorization": ""}])
def test_no_key_is_the_default_tenant_unless_one_is_required(headers: dict[str, str]) -> None:
    """Without a key there is the default tenant, or a refusal that says which header to send."""
    assert keyring(required=False).identify(headers) == Identity("default", "")
    with pytest.raises(Unauthenticated, match="TS-API-Key"):
        keyring(required=True).identify(headers)


def write(file: Path, *keys: dict[str, str]) -> None:
    file.write_text("# rotated every month\n" + json.dumps(keys))


def test_keys_of_a_file_are_rotated_while_we_run(tmp_path: Path) -> None:
    """OTLP checklist 95: a new key works as soon as it is in the file, the old one until it is taken out."""
    file = tmp_path / "keys.yaml"
    old, new = ({"name": name, "tenant": "shop", "key": f"k-{name}"} for name in ("old", "new"))
    write(file, old)
    ring = Keyring(AuthConfig.model_validate({"required": True, "keys": KEYS, "keys_file": str(file)}))
    ring.load()
    own = {"ts-api-key": "k-bank"}
    assert ring.identify({"ts-api-key": "k-old"}) == Identity("shop")
    with pytest.raises(Unauthenticated):
        ring.identify({"ts-api-key": "k-new"})

    write(file, old, new)
    assert ring.identify({"ts-api-key": "k-old"}) == ring.identify({"ts-api-key": "k-new"}) == Identity("shop")

    write(file, new)
    assert ring.identify({"ts-api-key": "k-new"}) == Identity("shop")
    with pytest.raises(Unauthenticated):
        ring.identify({"ts-api-key": "k-old"})

    write(file)
    with pytest.raises(Unauthenticated):
        ring.identify({"ts-api-key": "k-new"})
    assert ring.identify(own) == Identity("bank")


BROKEN = {
    "gone": (None, "cannot be read (No such file"),
    "no YAML": ("- {name: a, key: [canary-5c1d", "is not YAML; write a list of keys"),
    "no list": ("keys: canary-5c1d", "the list: Input should be a valid tuple"),
    "unknown key": ("- {name: a, kee: canary-5c1d}", "0.kee: Extra inputs are not permitted"),
    "one name twice": ("[{name: a, key: canary-5c1d}, {name: a, key: b}]", "two keys are called 'a'"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_keys_file_that_cannot_be_used_is_one_clear_line(kind: str, tmp_path: Path) -> None:
    """At the start it is an error that names the key and the file, and shows nothing of what is in the file."""
    file = tmp_path / "keys.yaml"
    text, says = BROKEN[kind]
    if text is not None:
        file.write_text(text)
    ring = Keyring(AuthConfig(required=True, keys_file=file))

    with pytest.raises(ConfigError) as refused:
        ring.load()

    assert str(refused.value).startswith(f"receiver.auth.keys_file: {file}")
    assert says in str(refused.value)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_rotation_that_went_wrong_keeps_the_keys(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Later the keys before stay in use, a warning says why once, and mending the file is enough."""
    file = tmp_path / "keys.yaml"
    write(file, {"name": "a", "tenant": "shop", "key": "k-a"})
    ring = Keyring(AuthConfig(required=True, keys_file=file))
    ring.load()
    text, _ = BROKEN[kind]
    file.unlink()
    if text is not None:
        file.write_text(text)

    for _ in range(2):
        assert ring.identify({"ts-api-key": "k-a"}) == Identity("shop")
    said = "".join(capsys.readouterr())
    assert said.count("receiver_keys_unusable") == 1
    assert "canary" not in said

    write(file, {"name": "b", "tenant": "shop", "key": "k-b"})
    assert ring.identify({"ts-api-key": "k-b"}) == Identity("shop")


def test_several_tenants_are_told_from_one() -> None:
    """Without a required key, the default tenant is one of them; who sends tokens may be anybody."""
    shop = {"name": "a", "tenant": "shop", "key": "k"}
    one = AuthConfig.model_validate({"required": True, "keys": [shop, {**shop, "name": "b", "key": "l"}]})
    assert not Keyring(one).several_tenants
    assert Keyring(one, lambda _: Identity()).several_tenants
    assert not Keyring(AuthConfig()).several_tenants
    assert Keyring(AuthConfig.model_validate({"keys": [shop]})).several_tenants
    assert keyring(required=True).several_tenants
