"""What can be configured, and what is refused before anything starts."""

import pytest
from pydantic import ValidationError

from tokensense_otel.receiver.config import AuthConfig, GrpcConfig, HttpConfig, KeyConfig, ReceiverConfig

HASH = "ab" * 32


def test_the_defaults_listen_on_this_machine_only() -> None:
    """OTLP checklist 2, 11, 91: loopback, ports 4317 and 4318, 64 MiB."""
    config = ReceiverConfig()

    assert (config.grpc.endpoint, config.http.endpoint) == ("127.0.0.1:4317", "127.0.0.1:4318")
    assert config.max_request_bytes == 64 * 1024 * 1024


def test_idle_connections_outlive_what_sdks_wait() -> None:
    """OTLP checklist 86: at least 65 s, because SDKs export every 5 s or 60 s."""
    assert HttpConfig().keep_alive_s >= 65


@pytest.mark.parametrize("endpoint", ["0.0.0.0:4317", "[::]:4317", "10.0.0.1:4317", "example.test:4317"])
def test_an_open_endpoint_without_keys_is_refused(endpoint: str) -> None:
    """OTLP checklist 91: beyond this machine a key is required, unless the user says otherwise outright."""
    grpc = GrpcConfig(endpoint=endpoint)
    keys = (KeyConfig(name="a", key_sha256=HASH),)

    with pytest.raises(ValidationError, match=r"write auth.required: true .* or allow_unauthenticated_remote: true"):
        ReceiverConfig(grpc=grpc)
    with pytest.raises(ValidationError, match="open to other machines"):
        ReceiverConfig(grpc=grpc, auth=AuthConfig(keys=keys))
    ReceiverConfig(grpc=grpc, auth=AuthConfig(required=True, keys=keys))
    ReceiverConfig(grpc=grpc, allow_unauthenticated_remote=True)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:0", "127.8.8.8:1", "localhost:4317", "[::1]:4317"])
def test_loopback_needs_no_key(endpoint: str) -> None:
    """Every spelling of this machine may be listened on without a key."""
    ReceiverConfig(grpc=GrpcConfig(endpoint=endpoint), http=HttpConfig(endpoint=endpoint))


def test_a_key_is_written_in_one_way() -> None:
    """Exactly one of key and key_sha256, and an empty key is none."""
    KeyConfig.model_validate({"name": "a", "key": "k"})
    for wrong in ({}, {"key": "k", "key_sha256": HASH}):
        with pytest.raises(ValidationError, match="write either key or key_sha256"):
            KeyConfig.model_validate({"name": "a", **wrong})
    with pytest.raises(ValidationError, match="the key is empty"):
        KeyConfig.model_validate({"name": "a", "key": ""})
    with pytest.raises(ValidationError, match="key_sha256"):
        KeyConfig.model_validate({"name": "a", "key_sha256": HASH[1:]})


def test_keys_are_told_apart_by_name() -> None:
    """Two keys of one name are refused; required without any key is refused."""
    key = KeyConfig(name="a", key_sha256=HASH)
    with pytest.raises(ValidationError, match="two keys are called 'a'"):
        AuthConfig(keys=(key, key))
    with pytest.raises(ValidationError, match=r"auth.keys is empty"):
        AuthConfig(required=True)
    AuthConfig.model_validate({"required": True, "keys_file": "keys.yaml"})


def test_a_key_cannot_be_printed() -> None:
    """The configuration's text does not hold the key, however it is printed."""
    config = ReceiverConfig.model_validate({"auth": {"keys": [{"name": "a", "key": "canary-5c1d"}]}})

    for text in (repr(config), str(config), config.model_dump_json(), repr(config.model_dump())):
        assert "canary" not in text


def test_one_request_always_fits_the_budget() -> None:
    """A budget below one request would refuse it for ever, so it is refused at the start."""
    ReceiverConfig(max_request_bytes=100, max_in_flight_bytes=200)
    with pytest.raises(ValidationError, match="write 200 or more"):
        ReceiverConfig(max_request_bytes=100, max_in_flight_bytes=199)
