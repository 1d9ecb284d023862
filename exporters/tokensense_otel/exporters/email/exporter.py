"""Send insights by mail.

Delivery: at least once, to the mail server. A copy has the same `Message-ID`, by which mail programs and servers tell
it. An address that the server refuses for good is named in the receipt; the others get their mail all the same.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

import aiosmtplib

from tokensense_otel.core.config import JsonObject
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.insight import Insight
from tokensense_otel.exporters.email.config import EmailConfig
from tokensense_otel.exporters.email.payload import encode_mail, encode_plain, to_message
from tokensense_otel.exporters.errors import EndpointDown, Reject, Retry
from tokensense_otel.exporters.exporter import Context, Payload, Receipt
from tokensense_otel.exporters.http.guard import UnknownHostError, may_dial, resolve

_CONNECT_S = 5.0


class EmailExporter:
    Config = EmailConfig

    def __init__(self, config: EmailConfig) -> None:
        self._config = config
        self._tls: ssl.SSLContext | None = None

    def render(self, insight: Insight) -> Payload:
        prefix = self._config.subject_prefix
        return Payload(insight.id, insight.episode_id, encode_mail(insight, prefix), encode_plain(insight, prefix))

    async def start(self, context: Context) -> None:  # noqa: ARG002 - nothing of HTTP is needed
        """Read the certificates.

        Raises:
            ConfigError: when they cannot be read.
        """
        try:
            self._tls = ssl.create_default_context(cafile=self._config.ca_file)
        except OSError as error:
            said = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(f"ca_file: {self._config.ca_file}: {said}") from None

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:  # noqa: ARG002 - threads are by headers
        """Send one message over a connection of its own.

        Raises:
            Retry: when nobody answers, or the server says to come later (4xx); ambiguous once the text had left.
            EndpointDown: when a person has to mend something: the account, the sender, every address, TLS.
            Reject: when the server refuses the message itself.
        """
        if self._tls is None or not isinstance(payload.body, dict):
            raise RuntimeError("send before start")
        text_left = False
        try:
            async with self._connected(self._tls) as smtp:
                refused = await self._envelope(smtp)
                text_left = True
                await smtp.data(to_message(payload.body, self._config.sender, self._config.to).as_bytes())
        except aiosmtplib.SMTPDataError as error:
            raise _passing_or(Reject, error, "the message") from None
        except aiosmtplib.SMTPResponseException as error:
            raise _passing_or(EndpointDown, error, _WHAT.get(type(error), "the connection")) from None
        except (TimeoutError, aiosmtplib.SMTPException, OSError) as error:
            cause = error.__cause__ or error
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise EndpointDown(f"its certificate is not trusted ({cause.verify_message})") from None
            raise Retry(f"the connection failed ({type(error).__name__})", ambiguous=text_left) from None
        return Receipt({"refused": refused} if refused else {})

    async def _envelope(self, smtp: aiosmtplib.SMTP) -> JsonObject:
        """Sender and addresses; those that are refused for good, with the answer."""
        config = self._config
        await smtp.mail(config.sender)
        refused: JsonObject = {}
        for address in config.to:
            try:
                await smtp.rcpt(address)
            except aiosmtplib.SMTPRecipientRefused as error:
                if error.code < 500 or len(refused) + 1 == len(config.to):
                    raise
                refused[address] = f"{error.code} {error.message}"[:200]
        return refused

    @contextlib.asynccontextmanager
    async def _connected(self, tls: ssl.SSLContext) -> AsyncIterator[aiosmtplib.SMTP]:
        config = self._config
        sock = await self._dial()
        smtp = aiosmtplib.SMTP(
            hostname=config.host,
            sock=sock,
            use_tls=config.security == "tls",
            start_tls=False,
            tls_context=tls,
            timeout=config.timeout_s,
        )
        try:
            await smtp.connect()
            if config.security == "starttls":
                await self._encrypt(smtp, tls)
            if config.password is not None:
                await smtp.login(config.username, config.password.get_secret_value())
            try:
                yield smtp
            except aiosmtplib.SMTPResponseException:
                await _part(smtp)
                raise
            await _part(smtp)
        finally:
            smtp.close()
            await asyncio.sleep(0)  # its transport closes in the loop's next turn
            sock.close()

    async def _encrypt(self, smtp: aiosmtplib.SMTP, tls: ssl.SSLContext) -> None:
        try:
            await smtp.starttls(tls_context=tls, server_hostname=self._config.host)
        except aiosmtplib.SMTPException as error:
            if isinstance(error, aiosmtplib.SMTPServerDisconnected | aiosmtplib.SMTPTimeoutError):
                raise
            raise EndpointDown(f"{self._config.host} offers no STARTTLS; see security") from None

    async def _dial(self) -> socket.socket:
        """A connection to a vetted address: names are resolved here and nowhere else."""
        host, port = self._config.host, self._config.real_port
        try:
            addresses = await resolve(host, port)
        except UnknownHostError as error:
            raise EndpointDown(str(error)) from None
        except OSError as error:
            raise Retry(f"{host} could not be looked up: {error.strerror}") from None
        vetted = [address for address in addresses if may_dial(address, allow_private=self._config.allow_private)]
        if not vetted:
            raise EndpointDown(
                f"{host} is {', '.join(addresses)}: private and special addresses are refused; see allow_private"
            )
        for address in vetted:
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                async with asyncio.timeout(_CONNECT_S):
                    await asyncio.get_running_loop().sock_connect(sock, (address, port))
            except (OSError, TimeoutError):
                sock.close()
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise Retry(f"nobody answers at {host}:{port}")

    async def aclose(self) -> None:
        self._tls = None


async def _part(smtp: aiosmtplib.SMTP) -> None:
    """Say goodbye to a server that answers: whatever comes of it changes nothing."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        await smtp.quit()


_WHAT = {
    aiosmtplib.SMTPAuthenticationError: "the account",
    aiosmtplib.SMTPSenderRefused: "the sender",
    aiosmtplib.SMTPRecipientRefused: "every address",
}


def _passing_or(
    kind: type[Reject] | type[EndpointDown], error: aiosmtplib.SMTPResponseException, what: str
) -> Reject | EndpointDown | Retry:
    """4xx is "later" (RFC 5321, 4.2.1); anything else is for good."""
    said = f"it refuses {what} ({error.code} {' '.join(error.message.split())[:200]})"
    return Retry(said) if 400 <= error.code < 500 else kind(said)
