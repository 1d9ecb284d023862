"""A receiver in a process of its own, whose memory can be read.

Run as a module it is that process: it prints its endpoints and serves until its standard input ends.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.receiving import MemoryLog, running
from tokensense_otel.core.events import configure_logging
from tokensense_otel.receiver.server import Endpoints

ROOT = Path(__file__).parents[2]


class ReceiverProcess:
    def __init__(self, process: "subprocess.Popen[str]", endpoints: Endpoints) -> None:
        self._pid = process.pid
        self.endpoints = endpoints

    def rss_kib(self) -> int:
        """Resident memory now (Linux)."""
        return self._status("VmRSS")

    def peak_kib(self) -> int:
        """The most resident memory there ever was (Linux)."""
        return self._status("VmHWM")

    def _status(self, field: str) -> int:
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field))


@contextlib.contextmanager
def receiver_process(**settings: Any) -> Iterator[ReceiverProcess]:
    command = [sys.executable, "-m", "tests.support.receiver_process", json.dumps(settings)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield ReceiverProcess(process, Endpoints(*json.loads(process.stdout.readline())))
        process.stdin.close()
        assert process.wait(10) == 0


async def _serve(settings: dict[str, Any]) -> None:
    configure_logging(json_lines=True)
    log = MemoryLog()
    async with running(log, **settings) as receiver:
        sys.stdout.write(json.dumps(receiver.endpoints) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
