"""Refuse private and special addresses at the moment of dialling.

The text of a URL proves nothing: `2130706433` and `0x7f.1` are loopback, and a name may resolve to a public address
when it is checked and to a private one when it is dialled. So the names are resolved here, every address is vetted,
and only vetted addresses are dialled. The URL's host stays what it was: Host header and TLS SNI are untouched.

Ranges: the IANA IPv4 and IPv6 special-purpose address registries, and the metadata addresses of the clouds.
"""

import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, NoReturn, cast

import anyio
import httpcore2

Resolver = Callable[[str, int], Awaitable[list[str]]]

_PRIVATE = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
    )
)
_METADATA = tuple(ip_network(network) for network in ("100.100.100.200/32", "fd00:ec2::/32", "fd20:ce::254/128"))
# What `is_global` lets through on some Python versions although nobody can mean to send there.
_SPECIAL = tuple(
    ip_network(network)
    for network in (
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # IPv4-compatible
        "64:ff9b::/96",  # NAT64: carries any IPv4 address inside
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4: carries any IPv4 address inside
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
        "ff00::/8",
    )
)


class BlockedAddressError(httpcore2.ConnectError):
    """No address of this host may be dialled."""


class UnknownHostError(httpcore2.ConnectError):
    """The name does not exist (as opposed to: could not be looked up just now)."""


def may_dial(address: str, *, allow_private: bool) -> bool:
    """Whether a sender may dial this IP address. `allow_private` opens loopback and private networks, nothing else."""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False  # a scoped link-local address such as fe80::1%eth0 on some systems
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if _within(ip, _METADATA):
        return False
    if _within(ip, _PRIVATE):
        return allow_private
    return ip.is_global and not _within(ip, _SPECIAL)


def _within(ip: IPv4Address | IPv6Address, networks: Iterable[Any]) -> bool:
    return any(ip in network for network in networks if network.version == ip.version)


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, in the resolver's order.

    Raises:
        UnknownHostError: the name does not exist.
        OSError: the lookup failed.
    """
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_NONAME:
            raise UnknownHostError(f"the name {host} does not exist") from None
        raise
    except UnicodeError:
        raise UnknownHostError("the host is not a valid name") from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class Guard(httpcore2.AsyncNetworkBackend):
    """A network backend that dials vetted addresses only, one after the other until one answers."""

    def __init__(
        self,
        *,
        allow_private: bool,
        resolver: Resolver = resolve,
        dialler: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._resolver = resolver
        self._dialler = dialler or cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            addresses = await self._resolver(host, port)
        except OSError as error:
            raise httpcore2.ConnectError(f"{host} could not be looked up: {error.strerror}") from None
        vetted = [address for address in addresses if may_dial(address, allow_private=self._allow_private)]
        if not vetted:
            raise BlockedAddressError(f"{host} is {', '.join(addresses) or 'no address'}")
        for address in vetted[:-1]:
            with contextlib.suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._dialler.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._dialler.connect_tcp(vetted[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(self, *_: Any, **__: Any) -> NoReturn:
        raise BlockedAddressError("unix sockets are not dialled")

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)
