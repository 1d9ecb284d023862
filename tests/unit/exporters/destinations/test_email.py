"""Mail, over a real SMTP server: threads, encryption, accounts, and what each refusal means."""

import asyncio
import email
import email.policy
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from hypothesis import HealthCheck, given, settings

from tests.unit.exporters.support import an_insight
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.exporters import Context, EndpointDown, Receipt, Reject, Retry
from tokensense_otel.exporters.email.config import EmailConfig
from tokensense_otel.exporters.email.exporter import EmailExporter
from tokensense_otel.exporters.email.payload import encode_mail, encode_plain, to_message
from tokensense_otel.exporters.testing.contract import client, insights

# The server of the tests may leave its side of a connection open when it is stopped.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Session.login_data", "ignore:Requiring AUTH", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class Inbox:
    """Takes mail, or answers as its script says: a command → the answer to it."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        envelope.mail_from = address
        return self.answers.get("mail", "250 OK")

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        answer = self.answers.get(address, self.answers.get("rcpt", "250 OK"))
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _session: Any, envelope: Envelope
    ) -> str:
        if self.answers.get("data") == "hang up":
            assert server.transport is not None
            server.transport.close()
            return "250 OK"
        if "data" not in self.answers:
            content = envelope.content
            assert isinstance(content, bytes)
            self.mails.append(email.message_from_bytes(content, policy=email.policy.default))
            self.recipients.append(list(envelope.rcpt_tos))
        return self.answers.get("data", "250 taken")


AUTHORITY = trustme.CA()


def server_tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    return context


@contextmanager
def serving(inbox: Inbox, **options: Any) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def config(port: int | None, **keys: Any) -> EmailConfig:
    fixed = {"host": "localhost", "port": port, "sender": "alerts@example.com", "to": ["ops@example.com"]}
    return EmailConfig.model_validate({**fixed, "security": "none", "allow_private": True, "timeout_s": 10, **keys})


def send(settings_: EmailConfig, insight: Insight | None = None) -> Receipt:
    async def run() -> Receipt:
        exporter = EmailExporter(settings_)
        async with client() as http:
            await exporter.start(Context("mail", http))
            try:
                return await exporter.send(exporter.render(insight or an_insight()), None)
            finally:
                await exporter.aclose()

    return asyncio.run(run())


def test_an_episode_is_a_thread_and_a_copy_is_known_as_one() -> None:
    """One Message-ID an insight, one reference an episode, both texts, and a date that is the event's."""
    inbox = Inbox()
    with serving(inbox) as port:
        for status in (Status.FIRING, Status.FIRING, Status.RESOLVED):
            send(config(port), an_insight(status))
    first, copy, end = inbox.mails
    assert first["Message-ID"] == copy["Message-ID"] == f"<{an_insight().id}@example.com>"
    assert end["Message-ID"] != first["Message-ID"]
    assert first["References"] == end["References"] == "<ep_1@example.com>"
    assert (first["Subject"], first["Auto-Submitted"]) == (
        "[TokenSense] 🟡 checkout calls 4× its usual",
        "auto-generated",
    )
    assert first["Date"].datetime.isoformat() == "2026-01-01T12:00:00+00:00"
    plain, html = (first.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert "calls_today: 400" in plain.get_content()
    assert html is not None
    assert "<td>400</td>" in html.get_content()


def test_starttls_encrypts_before_the_password_is_sent(tmp_path: Path) -> None:
    """With the authority of the server trusted, over STARTTLS with an account, and over TLS from the first byte."""
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    seen: list[tuple[bool, bytes]] = []

    def authenticate(_server: SMTP, session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        seen.append((session.ssl is not None, data.password))
        return AuthResult(success=data.password == b"right", handled=False)

    account = {"username": "alerts", "ca_file": tmp_path / "ca.pem"}
    options = {"authenticator": authenticate, "auth_required": True}
    inbox = Inbox()
    with serving(inbox, tls_context=server_tls(), require_starttls=True, **options) as port:
        send(config(port, security="starttls", password="right", **account))
        with pytest.raises(EndpointDown, match=r"it refuses the account \(535"):
            send(config(port, security="starttls", password="wrong", **account))
    with serving(inbox, ssl_context=server_tls()) as port:
        send(config(port, security="tls", ca_file=tmp_path / "ca.pem"))
    assert len(inbox.mails) == 2
    assert {encrypted for encrypted, _ in seen} == {True}


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_is_refused(security: str) -> None:
    """Nothing is sent to a server that may be somebody else's; a person has to look."""
    options = {"tls_context": server_tls()} if security == "starttls" else {"ssl_context": server_tls()}
    inbox = Inbox()
    with serving(inbox, **options) as port, pytest.raises(EndpointDown, match="certificate is not trusted"):
        send(config(port, security=security))
    assert inbox.mails == []


def test_a_server_without_starttls_gets_nothing() -> None:
    """There is no falling back to the clear."""
    with serving(Inbox()) as port, pytest.raises(EndpointDown, match="offers no STARTTLS"):
        send(config(port, security="starttls"))


@pytest.mark.parametrize(
    ("answers", "expected", "said"),
    [
        ({"mail": "451 busy"}, Retry, r"it refuses the sender \(451 busy\)"),
        ({"mail": "550 who are you"}, EndpointDown, "it refuses the sender"),
        ({"rcpt": "450 greylisted"}, Retry, "it refuses every address"),
        ({"rcpt": "550 no such user"}, EndpointDown, "it refuses every address"),
        ({"data": "452 full"}, Retry, r"it refuses the message \(452"),
        ({"data": "554 spam"}, Reject, r"it refuses the message \(554 spam\)"),
    ],
)
def test_each_refusal_has_its_outcome(answers: dict[str, str], expected: type[Exception], said: str) -> None:
    """4xx is later; 5xx is the message's fault or one that a person has to mend."""
    with serving(Inbox(**answers)) as port, pytest.raises(expected, match=said) as caught:
        send(config(port))
    assert not isinstance(caught.value, Retry) or not caught.value.ambiguous


def test_one_address_that_is_gone_does_not_keep_the_mail_from_the_others() -> None:
    """It is named in the receipt; the other gets its mail."""
    inbox = Inbox(**{"gone@example.com": "550 no such user"})
    with serving(inbox) as port:
        receipt = send(config(port, to=["gone@example.com", "ops@example.com"]))
    assert receipt.data == {"refused": {"gone@example.com": "550 no such user"}}
    assert inbox.recipients == [["ops@example.com"]]


def test_a_server_that_hangs_up_after_the_text_may_have_taken_it() -> None:
    """No verdict after the last byte: tried again, as a copy that is known to be one."""
    with serving(Inbox(data="hang up")) as port, pytest.raises(Retry) as caught:
        send(config(port))
    assert caught.value.ambiguous


def test_nobody_there_is_tried_again_and_a_private_address_is_not_dialled() -> None:
    """A closed port is a passing failure without a copy; loopback without `allow_private` is refused."""
    with serving(Inbox()) as port, pytest.raises(EndpointDown, match="see allow_private"):
        send(config(port, allow_private=False))
    with pytest.raises(Retry, match="nobody answers") as caught:
        send(config(port))
    assert not caught.value.ambiguous


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(insight=insights)
def test_no_text_becomes_a_header_or_markup(insight: Insight) -> None:
    """Whatever the text: one subject of at most 150 characters, the headers that are ours, and no tag from outside."""
    for mail in (encode_mail(insight, "[TokenSense]"), encode_plain(insight, "")):
        message = to_message(mail, "a@example.com", ("b@example.com",))
        parsed = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
        assert set(parsed.keys()) == set(message.keys())
        assert parsed["X-Injected"] is None
        assert len(str(parsed["Subject"])) <= 150
        html = parsed.get_body(("html",))
        assert html is None or "<!channel>" not in html.get_content()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"to": []}, "at least 1 item"),
        ({"to": ["ops"]}, "'ops' is no mail address"),
        ({"sender": "a@b\r\nBcc: x@y"}, "is no mail address"),
        ({"host": "smtp example"}, "is no host"),
        ({"username": "a"}, "username and password go together"),
        ({"username": "a", "password": "b"}, "may not be sent in the clear"),
    ],
)
def test_a_wrong_key_says_what_to_write(keys: dict[str, Any], said: str) -> None:
    """Addresses, host and account are checked before anything starts."""
    with pytest.raises(ValueError, match=said):
        config(25, **keys)


def test_certificates_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    """With the file's name, and why."""
    with pytest.raises(ConfigError, match=r"none\.pem: No such file"):
        send(config(25, ca_file=tmp_path / "none.pem"))
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(ConfigError, match=r"empty\.pem: it holds no certificate"):
        send(config(25, ca_file=tmp_path / "empty.pem"))


def test_ports_follow_the_security() -> None:
    """587, 465 and 25, unless another is written."""
    ports = [config(None, security=security).real_port for security in ("starttls", "tls", "none")]
    assert [*ports, config(2525).real_port] == [587, 465, 25, 2525]
