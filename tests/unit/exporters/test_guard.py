"""Safe egress: which addresses may be dialled, and that the check is of what is dialled."""

import asyncio
import ssl
from typing import Any

import httpcore2
import pytest

from tokensense_otel.exporters import EndpointDown, Retry
from tokensense_otel.exporters.http.client import HttpClient
from tokensense_otel.exporters.http.guard import BlockedAddressError, Guard, UnknownHostError, may_dial
from tokensense_otel.exporters.testing import Fault, FaultServer

PRIVATE = ["10.1.2.3", "172.20.1.1", "192.168.1.10", "127.0.0.1", "127.99.0.1", "100.64.1.1", "::1", "fc00::1"]
PRIVATE += ["fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"]
NEVER = ["0.0.0.0", "0.9.9.9", "169.254.169.254", "169.254.1.1", "255.255.255.255", "224.0.0.251", "239.255.255.250"]
NEVER += ["192.0.0.1", "192.0.0.200", "192.0.2.77", "198.51.100.7", "203.0.113.99", "192.88.99.1", "198.19.0.1"]
NEVER += ["250.1.1.1", "100.100.100.200", "::", "::127.0.0.1", "::ffff:169.254.169.254", "2001:db8:1::1", "3fff:1::1"]
NEVER += ["fe80::1", "fea0::1", "fd00:ec2::254", "2002:a00:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "fe80::1%eth0"]
NEVER += ["64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "5f00::1", "fec0::1"]
NEVER += ["2001:0:1:2::3", "ff0e::101", "not an address", ""]
PUBLIC = ["93.184.216.34", "8.8.8.8", "192.0.1.1", "2606:4700:4700::1111", "2a00:1450:4001::1"]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_dialled(address: str) -> None:
    """With and without `allow_private`."""
    assert may_dial(address, allow_private=False)
    assert may_dial(address, allow_private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_permission(address: str) -> None:
    """Loopback, private and shared ranges are refused unless they are allowed, mapped spellings too."""
    assert not may_dial(address, allow_private=False)
    assert may_dial(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_special_addresses_are_never_dialled(address: str) -> None:
    """Metadata, link-local, multicast, tunnels that carry any address, documentation: also with `allow_private`."""
    assert not may_dial(address, allow_private=False)
    assert not may_dial(address, allow_private=True)


class Dialler(httpcore2.AsyncNetworkBackend):
    """Notes what is dialled, and fails with what it is told for each address."""

    def __init__(self, **failures: Exception) -> None:
        self.dialled: list[str] = []
        self._failure: Exception = failures.get("failure", httpcore2.ConnectError("refused"))

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        self.dialled.append(host)
        raise self._failure


def dial(answers: list[list[str]], *, times: int = 1) -> tuple[list[str], list[Exception]]:
    """What is dialled, and what comes of it, when the resolver gives these answers one after the other."""
    left = iter(answers)

    async def resolver(_host: str, _port: int) -> list[str]:
        return next(left)

    async def run() -> tuple[list[str], list[Exception]]:
        dialler, errors = Dialler(), list[Exception]()
        guard = Guard(allow_private=False, resolver=resolver, dialler=dialler)
        for _ in range(times):
            try:
                await guard.connect_tcp("hook.test", 443)
            except httpcore2.ConnectError as error:
                errors.append(error)
        return dialler.dialled, errors

    return asyncio.run(run())


def test_only_vetted_addresses_are_dialled_in_order() -> None:
    """Of a mixed answer the public ones are tried, one after the other, the private ones never."""
    dialled, [error] = dial([["10.0.0.1", "93.184.216.34", "fd12::1", "2606:4700:4700::1111"]])
    assert dialled == ["93.184.216.34", "2606:4700:4700::1111"]
    assert str(error) == "refused"


def test_a_name_that_changes_its_address_is_vetted_each_time() -> None:
    """DNS rebinding: public at first, loopback the second time, which is not dialled."""
    dialled, [refused, blocked] = dial([["93.184.216.34"], ["127.0.0.1"]], times=2)
    assert dialled == ["93.184.216.34"]
    assert not isinstance(refused, BlockedAddressError)
    assert isinstance(blocked, BlockedAddressError)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "localhost", "[::1]"])
def test_odd_spellings_of_loopback_are_refused(host: str) -> None:
    """Whatever the resolver makes of the text, what it resolves to is what counts."""

    async def run(server: FaultServer) -> None:
        client = HttpClient()
        try:
            with pytest.raises(EndpointDown, match="allow_private"):
                await client.post(server.url(host=host), b"{}")
        finally:
            await client.aclose()

    with FaultServer() as server:
        asyncio.run(run(server))
        assert server.connections == 0


def failing(failure: Exception) -> Exception:
    """What a post raises when the lookup fails with this."""

    async def resolver(_host: str, _port: int) -> list[str]:
        raise failure

    async def run() -> None:
        client = HttpClient(resolver=resolver)
        try:
            await client.post("https://hook.test/x", b"{}")
        finally:
            await client.aclose()

    with pytest.raises((EndpointDown, Retry)) as caught:
        asyncio.run(run())
    return caught.value


def test_a_name_that_does_not_exist_is_for_a_person_and_a_failed_lookup_is_not() -> None:
    """NXDOMAIN pauses the endpoint; a resolver that is down is tried again."""
    assert isinstance(failing(UnknownHostError("the name hook.test does not exist")), EndpointDown)
    again = failing(OSError(-3, "Temporary failure in name resolution"))
    assert isinstance(again, Retry)
    assert "Temporary failure in name resolution" in str(again)


def test_an_untrusted_certificate_is_never_accepted() -> None:
    """A verification failure pauses the endpoint, and nothing is sent in plain text instead."""
    cause = ssl.SSLCertVerificationError("verify failed")
    cause.verify_message = "certificate has expired"
    error = httpcore2.ConnectError(cause)  # as httpcore2 maps it

    async def run() -> None:
        client = HttpClient(dialler=Dialler(failure=error), resolver=public)
        try:
            with pytest.raises(EndpointDown, match="certificate has expired"):
                await client.post("https://hook.test/x", b"{}")
        finally:
            await client.aclose()

    asyncio.run(run())


async def public(_host: str, _port: int) -> list[str]:
    return ["93.184.216.34"]


def test_a_plain_server_behind_https_is_a_retry() -> None:
    """A handshake that gets no answer is no connection, and no request is read."""

    async def run(server: FaultServer) -> None:
        client = HttpClient(allow_private=True, deadline_s=0.4)
        try:
            with pytest.raises(Retry, match="no connection"):
                await client.post(server.url().replace("http:", "https:"), b"{}")
        finally:
            await client.aclose()

    with FaultServer() as server:
        asyncio.run(run(server))
        assert server.requests == []


def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and its kin are not read: the request goes straight to its host."""

    async def run(server: FaultServer) -> None:
        client = HttpClient(allow_private=True)
        try:
            assert (await client.post(server.url("/x?y=1"), b"{}")).status == 200
        finally:
            await client.aclose()

    with FaultServer() as server, FaultServer(Fault(500)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        asyncio.run(run(server))
        assert proxy.connections == 0
    [request] = server.requests
    assert (request.path, request.headers["host"]) == ("/x?y=1", f"127.0.0.1:{server.port}")
    assert request.headers["accept-encoding"] == "identity"


def test_a_huge_answer_is_read_up_to_its_cap() -> None:
    """64 kB of an answer without end are kept."""

    async def run(server: FaultServer) -> int:
        client = HttpClient(allow_private=True)
        try:
            return len((await client.post(server.url(), b"{}")).body)
        finally:
            await client.aclose()

    with FaultServer(Fault(kind="huge", size=10_000_000)) as server:
        assert asyncio.run(run(server)) == 65_536
