"""TLS and mTLS on both servers, with certificates that are renewed while they run."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx2
import pytest
import trustme
from prometheus_client import REGISTRY
from pydantic import ValidationError

from tests.support.certificates import Files, issue
from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiving import MemoryLog, receiver_config, running
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.receiver.config import ReceiverConfig
from tokensense_otel.receiver.server import Endpoints, Receiver

BODY = trace_request([sound_span(1)]).SerializeToString()
FREE = "127.0.0.1:0"
Send = Callable[[Endpoints, Path, Files | None], Awaitable[None]]


async def over_http(endpoints: Endpoints, ca: Path, client: Files | None) -> None:
    """One request on a connection of its own. Raises: httpx2.TransportError."""
    context = ssl.create_default_context(cafile=str(ca))
    if client is not None:
        context.load_cert_chain(client.cert, client.key)
    async with httpx2.AsyncClient(trust_env=False, verify=context) as sender:
        headers = {"content-type": "application/x-protobuf"}
        answer = await sender.post(f"https://{endpoints.http}/v1/traces", content=BODY, headers=headers)
        assert answer.status_code == 200


async def over_grpc(endpoints: Endpoints, ca: Path, client: Files | None) -> None:
    """One call on a connection of its own. Raises: grpc.aio.AioRpcError."""
    key, chain = (client.key.read_bytes(), client.cert.read_bytes()) if client is not None else (None, None)
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key, chain)  # noqa: ASYNC240 - a small file
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(endpoints.grpc, credentials, options=options) as channel:
        unary: Any = channel.unary_unary
        await unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")(BODY)


REFUSED = (httpx2.TransportError, grpc.aio.AioRpcError)
both = pytest.mark.parametrize("send", [over_grpc, over_http])


def tls(files: Files, **more: Any) -> dict[str, Any]:
    """The same certificates for both servers."""
    section = {"cert_file": str(files.cert), "key_file": str(files.key), **more}
    return {part: {"endpoint": FREE, "tls": section} for part in ("grpc", "http")}


def served(log: MemoryLog, story: Callable[[Receiver], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with running(log, **settings) as receiver:
            await story(receiver)

    asyncio.run(run())


@both
def test_a_request_comes_over_tls(send: Send, tmp_path: Path) -> None:
    """OTLP checklist 92: encrypted requests arrive, those of a client that trusts somebody else do not."""
    files = issue(trustme.CA(), tmp_path)
    stranger = issue(trustme.CA(), tmp_path, "stranger")
    log = MemoryLog()

    async def story(receiver: Receiver) -> None:
        await send(receiver.endpoints, files.ca, None)
        with pytest.raises(REFUSED):
            await send(receiver.endpoints, stranger.ca, None)

    served(log, story, **tls(files))
    assert [entry.body for entry in log.entries] == [BODY]


async def plain_http(endpoints: Endpoints) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        await client.post(f"http://{endpoints.http}/v1/traces", content=BODY)


async def plain_grpc(endpoints: Endpoints) -> None:
    async with grpc.aio.insecure_channel(endpoints.grpc) as channel:
        unary: Any = channel.unary_unary
        await unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")(BODY)


@pytest.mark.parametrize("send", [plain_grpc, plain_http])
def test_plain_requests_are_not_answered_where_tls_is(
    send: Callable[[Endpoints], Awaitable[None]], tmp_path: Path
) -> None:
    """OTLP checklist 92: a port with certificates speaks TLS only."""
    log = MemoryLog()

    async def story(receiver: Receiver) -> None:
        with pytest.raises(REFUSED):
            await send(receiver.endpoints)

    served(log, story, **tls(issue(trustme.CA(), tmp_path)))
    assert log.entries == []


@both
def test_mtls_takes_the_certificates_of_its_authority_only(send: Send, tmp_path: Path) -> None:
    """OTLP checklist 92: the right client is served; one without a certificate or with another's is not."""
    authority, other = trustme.CA(), trustme.CA()
    files = issue(authority, tmp_path)
    client = issue(authority, tmp_path, "client")
    stranger = issue(other, tmp_path, "stranger")
    log = MemoryLog()

    async def story(receiver: Receiver) -> None:
        await send(receiver.endpoints, files.ca, client)
        for nobody in (None, stranger):
            with pytest.raises(REFUSED):
                await send(receiver.endpoints, files.ca, nobody)

    served(log, story, **tls(files, client_ca_file=str(client.ca)))
    assert len(log.entries) == 1


@both
def test_a_renewed_certificate_is_shown_without_a_restart(send: Send, tmp_path: Path) -> None:
    """OTLP checklist 92: after the files were replaced, new connections get the new certificate."""
    files = issue(trustme.CA(), tmp_path)
    before = Files(*(path.rename(path.with_suffix(".old")) for path in files))
    for path, old in zip(files, before, strict=True):
        path.write_bytes(old.read_bytes())
    log = MemoryLog()

    async def story(receiver: Receiver) -> None:
        await send(receiver.endpoints, before.ca, None)
        issue(trustme.CA(), tmp_path)
        await send(receiver.endpoints, files.ca, None)
        with pytest.raises(REFUSED):
            await send(receiver.endpoints, before.ca, None)

    served(log, story, **tls(files))
    assert len(log.entries) == 2


@both
def test_a_renewed_authority_of_clients_counts_at_once(send: Send, tmp_path: Path) -> None:
    """OTLP checklist 92: the clients of a new authority are let in, those of the one before are not any more."""
    files = issue(trustme.CA(), tmp_path)
    old, new = issue(trustme.CA(), tmp_path, "old"), issue(trustme.CA(), tmp_path, "new")
    authority = tmp_path / "clients.pem"
    authority.write_bytes(old.ca.read_bytes())

    async def story(receiver: Receiver) -> None:
        await send(receiver.endpoints, files.ca, old)
        authority.write_bytes(new.ca.read_bytes())
        await send(receiver.endpoints, files.ca, new)
        with pytest.raises(REFUSED):
            await send(receiver.endpoints, files.ca, old)

    served(MemoryLog(), story, **tls(files, client_ca_file=str(authority)))


@both
@pytest.mark.parametrize("broken", ["half", "gone", "of another key"])
def test_files_that_cannot_be_used_change_nothing(
    send: Send, broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A renewal that was cut short keeps the certificate before it in use, says so once, and is then made good."""
    authority = trustme.CA()
    files = issue(authority, tmp_path)

    async def story(receiver: Receiver) -> None:
        good = files.cert.read_bytes()
        match broken:
            case "half":
                files.cert.write_bytes(good[:100])
            case "gone":
                files.cert.unlink()
            case _:
                files.cert.write_bytes(issue(authority, tmp_path, "another").cert.read_bytes())
        for _ in range(2):
            await send(receiver.endpoints, files.ca, None)
        said = capsys.readouterr()
        assert (said.out + said.err).count("receiver_certificate_unusable") == 1
        files.cert.write_bytes(good)
        await send(receiver.endpoints, files.ca, None)

    served(MemoryLog(), story, **tls(files))


@pytest.mark.parametrize("part", ["grpc", "http"])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"cert_file": "/nowhere/cert.pem"},
            "receiver.{part}.tls.cert_file: /nowhere/cert.pem cannot be read (No",
        ),
        ({"key_file": "{cert}"}, "receiver.{part}.tls: cert_file and key_file are no PEM certificate and its key ("),
        (
            {"key_file": "{other}"},
            "receiver.{part}.tls: cert_file and key_file are no PEM certificate and its key (key",
        ),
        ({"key_file": "{locked}"}, "receiver.{part}.tls.key_file: the key is encrypted"),
        ({"client_ca_file": "{key}"}, "receiver.{part}.tls.client_ca_file: no PEM certificate ("),
    ],
)
def test_what_cannot_be_used_is_one_clear_line_at_the_start(
    part: str, change: dict[str, str], says: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """OTLP checklist 92: files that are missing, of another pair or encrypted stop the start and name their key."""
    authority = trustme.CA()
    files, other = issue(authority, tmp_path), issue(authority, tmp_path, "other")
    locked = tmp_path / "locked.pem"
    locked.write_bytes(_locked(files.key.read_bytes()))
    section = {"cert_file": str(files.cert), "key_file": str(files.key)}
    names = {"cert": files.cert, "key": files.key, "other": other.key, "locked": locked}
    section |= {key: value.format(**names) for key, value in change.items()}
    config = receiver_config(**{part: {"endpoint": FREE, "tls": section}})

    with caplog.at_level(logging.WARNING), pytest.raises(ConfigError) as refused:
        asyncio.run(Receiver(config, MemoryLog()).start())

    assert str(refused.value).startswith(says.format(part=part))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("days", "says"),
    [(-1, "receiver_certificate_invalid"), (13, "receiver_certificate_ends_soon"), (15, None)],
)
def test_when_a_certificate_ends_is_shown_and_said(
    days: int, says: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each server shows the end of its certificate as a metric; an end that is near or past is said once at the start,
    and once more when a renewed certificate has the same fault."""
    now = datetime.now(UTC).replace(microsecond=0)
    authority, until = trustme.CA(), now + timedelta(days=days)

    def issue_it() -> Files:
        return issue(authority, tmp_path, since=now - timedelta(days=30), until=until)

    async def story() -> None:
        async with running(MemoryLog(), **tls(issue_it())) as receiver:
            for part in ("grpc", "http"):
                shown = REGISTRY.get_sample_value(
                    "tokensense_receiver_certificate_ends_at_seconds", {"server": f"receiver.{part}.tls"}
                )
                assert shown == until.timestamp()
            issue_it()
            with contextlib.suppress(*REFUSED):
                await over_http(receiver.endpoints, tmp_path / "server.ca.pem", None)

    asyncio.run(story())
    said = capsys.readouterr().out
    for name in ("receiver_certificate_invalid", "receiver_certificate_ends_soon"):
        assert said.count(f"] {name} ") == (3 if name == says else 0)


def _locked(key: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_pem_private_key(key, None)
    locked: bytes = loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    return locked


def test_the_oldest_version_can_be_raised_over_http(tmp_path: Path) -> None:
    """OTLP checklist 92: with min_version 1.3 a client of 1.2 is refused, which is let in by default."""
    files = issue(trustme.CA(), tmp_path)
    old = ssl.create_default_context(cafile=str(files.ca))
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    async def connects(receiver: Receiver) -> None:
        host, port = receiver.endpoints.http.split(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=old)
        writer.close()
        await writer.wait_closed()

    async def refused(receiver: Receiver) -> None:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connects(receiver)

    section = {"cert_file": str(files.cert), "key_file": str(files.key)}
    served(MemoryLog(), connects, http={"endpoint": FREE, "tls": section})
    served(MemoryLog(), refused, http={"endpoint": FREE, "tls": {**section, "min_version": "1.3"}})


@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01"])
def test_a_handshake_that_never_ends_is_hung_up_on(start: bytes, tmp_path: Path) -> None:
    """Slow-loris: who connects and does not agree on TLS within header_timeout_s is let go."""
    files = issue(trustme.CA(), tmp_path)

    async def story(receiver: Receiver) -> None:
        host, port = receiver.endpoints.http.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(start)
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
        await over_http(receiver.endpoints, files.ca, None)

    section = {"cert_file": str(files.cert), "key_file": str(files.key)}
    served(MemoryLog(), story, http={"endpoint": FREE, "tls": section, "header_timeout_s": 0.3})


def test_a_certificate_needs_its_key() -> None:
    """OTLP checklist 92: half a configuration is refused before anything starts."""
    for part in ("grpc", "http"):
        with pytest.raises(ValidationError, match="key_file"):
            ReceiverConfig.model_validate({part: {"tls": {"cert_file": "cert.pem"}}})


def test_client_certificates_allow_listening_wide() -> None:
    """OTLP checklist 91: mTLS on an endpoint is as good as a key, on that endpoint only."""
    section: dict[str, str | None] = {"cert_file": "c", "key_file": "k", "client_ca_file": "a"}
    ReceiverConfig.model_validate({"grpc": {"endpoint": "0.0.0.0:4317", "tls": section}})
    with pytest.raises(ValidationError, match=r"http.endpoint .* http.tls.client_ca_file"):
        ReceiverConfig.model_validate(
            {"grpc": {"endpoint": "0.0.0.0:4317", "tls": section}, "http": {"endpoint": "0.0.0.0:4318"}}
        )
    with pytest.raises(ValidationError, match=r"grpc.endpoint"):
        ReceiverConfig.model_validate(
            {"grpc": {"endpoint": "0.0.0.0:4317", "tls": {**section, "client_ca_file": None}}}
        )
