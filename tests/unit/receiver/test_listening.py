"""Ports that several processes share, and how many connections the system lets a process have."""

import socket
import subprocess
import sys

import pytest

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.receiver.listening import check, listen, reserve

SCRIPT = """
import resource, sys
from tokensense_otel.receiver.listening import allow_connections

soft, hard, count = (int(argument) for argument in sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
allow_connections(count)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "count", "after"),
    [
        (256, 4096, 1000, "1512 4096"),
        (256, 1024, 1000, "1024 1024"),
        (2048, 4096, 1000, "2048 4096"),
    ],
    ids=["raised", "as far as it goes", "never lowered"],
)
def test_the_soft_limit_is_raised_as_far_as_needed(soft: int, hard: int, count: int, after: str) -> None:
    """Connections and 512 other files fit, the hard limit holds, and a limit that is high enough is left alone."""
    command = [sys.executable, "-c", SCRIPT, str(soft), str(hard), str(count)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == after


def connect(endpoint: str) -> socket.socket:
    host, _, port = endpoint.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


def test_a_reserved_port_is_for_those_who_share_it() -> None:
    """It gets no connection by itself; who shares it may listen, several at once, and nobody else may take it."""
    holder, endpoint = reserve("key", "127.0.0.1:0")
    with holder:
        with pytest.raises(ConnectionRefusedError):
            connect(endpoint)
        check("key", endpoint, shared=True)
        with listen("key", endpoint, shared=True) as first, listen("key", endpoint, shared=True):
            for taking in (listen, check, reserve):
                with pytest.raises(ConfigError, match=r"^key: cannot listen on .*: something else is listening there"):
                    taking("key", endpoint)
            with connect(endpoint):
                pass
            assert first.getsockname()[1] == int(endpoint.rpartition(":")[2])
    with listen("key", endpoint):
        pass


def test_a_check_of_a_shared_port_takes_no_connection() -> None:
    """While others listen, to look whether one could as well costs none of their senders a connection."""
    holder, endpoint = reserve("key", "127.0.0.1:0")
    with holder, listen("key", endpoint, shared=True) as listener:
        listener.setblocking(True)
        listener.settimeout(5)
        for _ in range(20):
            check("key", endpoint, shared=True)
            with connect(endpoint):
                listener.accept()[0].close()


def test_a_port_of_somebody_else_is_not_reserved() -> None:
    """A port where one listens alone is refused, with the key and what to write."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigError, match=r"^key: cannot listen on .*stop it or write another port$"),
    ):
        reserve("key", f"127.0.0.1:{taken.getsockname()[1]}")
