"""Start `tokensense up` as a user would, in a folder of its own, and stop it whatever happens."""

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Any, Final, Self

import yaml

from tokensense_otel.core.errors import TokenSenseError

_READY_S: Final = 60.0
_STOP_S: Final = 30.0
_LOG_LINES: Final = 15

FREE_PORTS: Final[Mapping[str, Any]] = {
    "receiver": {"grpc": {"endpoint": "127.0.0.1:0"}, "http": {"endpoint": "127.0.0.1:0"}},
    "api": {"endpoint": "127.0.0.1:0"},
}
"""The part of a configuration that lets the system choose every port."""


class NotReady(TokenSenseError):
    """`up` ended, or said nothing in time; the message holds the end of its log."""


class Stack:
    """A running `tokensense up`. A context manager: entering waits for readiness, leaving stops it.

    `endpoints` are what it said it listens on: `grpc`, `http` and `api`, each as `host:port`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self.config = folder / "tokensense.yaml"
        self.config.write_text(yaml.safe_dump({"data_dir": str(folder / "data")} | dict(settings)), encoding="utf-8")
        self.log = folder / "up.log"
        self.endpoints: dict[str, str] = {}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tokensense_otel.service.main", "up", "--config", str(self.config)]
        with self.log.open("a", encoding="utf-8") as log:
            # A session of its own: ctrl-C in the terminal reaches us alone, and we stop it in order.
            self._process = subprocess.Popen(  # noqa: S603 - our own module, under our own interpreter
                [*command, "--format", "json"],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        try:
            self.endpoints = self._ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ValueError("not started")
        return self._process.pid

    def stop(self) -> int:
        """Ask it to stop, wait, and return its exit code; kill it when it does not obey."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            if process.stdout is not None:
                process.stdout.close()

    def log_end(self) -> str:
        """The last lines of what `up` logged."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])

    def _ready(self, process: "subprocess.Popen[str]") -> dict[str, str]:
        lines: SimpleQueue[str] = SimpleQueue()
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        threading.Thread(target=_drain, args=(process.stdout, lines), daemon=True).start()
        try:
            line = lines.get(timeout=_READY_S)
        except Empty:
            raise NotReady(f"`tokensense up` was not ready within {_READY_S:.0f} s\n{self.log_end()}") from None
        if not line:
            raise NotReady(f"`tokensense up` ended with exit code {process.wait(_STOP_S)}\n{self.log_end()}")
        said = json.loads(line)
        return {name: str(said[name]) for name in ("grpc", "http", "api")}


def _drain(stream: IO[str], lines: "SimpleQueue[str]") -> None:
    """Hand over the first line, an empty one at the end, and read on so that the writer never waits for us."""
    try:
        lines.put(stream.readline())
        while stream.read(4096):
            pass
    except ValueError:
        return  # closed under us by `stop`
