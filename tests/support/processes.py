"""Other people's programs as test peers: start one, know when it listens, stop it, show what it said."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.waiting import eventually


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody holds right now, for programs that cannot report their own."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def peer(
    command: Sequence[str], *, ports: Sequence[int], log: Path, env: Mapping[str, str], within_s: float = 20.0
) -> Iterator[int]:
    """Run `command` until the block ends; yields its process id once it listens on every port of `ports`."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(command), stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=os.environ | dict(env)
        )
    try:

        def up() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"{command[0]} ended with {process.returncode}\n{log.read_text()[-2000:]}")
            return all(listens(port) for port in ports)

        eventually(up, within_s=within_s, what=f"{command[0]} listening on {ports}; see {log}")
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
