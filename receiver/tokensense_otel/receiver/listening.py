"""Taking a port, with an error that says what to write when it cannot be had.

Where several processes serve one port (`SO_REUSEPORT`), the system deals out new connections among those that listen.
Any process of the same user could join them unasked, so one that owns them all takes the port for them first.
"""

import errno
import resource
import socket
from typing import Final

from tokensense_otel.core.config import split_endpoint
from tokensense_otel.core.errors import ConfigError

BACKLOG: Final = 2048
_OTHER_FILES: Final = 512


def listen(key: str, endpoint: str, *, shared: bool = False) -> socket.socket:
    """A socket that listens on `endpoint`; `key` is where the user configured it. `shared` with other processes.

    Raises:
        ConfigError: when the endpoint cannot be had.
    """
    # Listening now, not later: of two sockets bound to one port, the second finds out only here.
    return _taken(key, endpoint, shared=shared, listening=True)


def check(key: str, endpoint: str, *, shared: bool = False) -> None:
    """Raises: ConfigError: when `endpoint` cannot be had."""
    # A socket that listens gets its part of the connections of a shared port, and would lose them here.
    _taken(key, endpoint, shared=shared, listening=not shared).close()


def reserve(key: str, endpoint: str) -> tuple[socket.socket, str]:
    """Take a port for processes that will share it: a socket that holds it, and the endpoint with its real port.

    It does not listen, so it gets no connections; and while it is there, nobody takes the port for himself.

    Raises:
        ConfigError: when the endpoint cannot be had.
    """
    host, port = split_endpoint(endpoint)
    if port:
        check(key, endpoint)
    holder = _taken(key, endpoint, shared=True, listening=False)
    return holder, shown_endpoint(host, holder.getsockname()[1])


def _taken(key: str, endpoint: str, *, shared: bool, listening: bool) -> socket.socket:
    host, port = split_endpoint(endpoint)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            taken.bind(address)
            if listening:
                taken.listen(BACKLOG)
        except OSError:
            taken.close()
            raise
    except OSError as error:
        raise ConfigError(f"{key}: cannot listen on {endpoint}: {_reason(error)}") from error
    taken.setblocking(False)
    return taken


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "something else is listening there; stop it or write another port"
    if error.errno == errno.EACCES:
        return "a port below 1024 needs privileges; write a higher one"
    return f"{(error.strerror or str(error)).lower()}; write an address of this machine, for instance 127.0.0.1"


def allow_connections(count: int) -> None:
    """Let this process have `count` connections open beside its other files, as far as the system's hard limit goes.

    The soft limit is 1024 on many systems; beyond it a server can accept nobody, not even in place of an idle one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def shown_endpoint(host: str, port: int) -> str:
    """`host:port` as users write it, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
