"""What a supervisor and its parts say to each other through two pipes.

The part's standard input brings one line, the checked settings, and then stays open: its end means that the
supervisor is gone, and the part stops cleanly. The ready pipe takes one line from the part once it works. Nothing is
written to disk or to the environment, where secrets could be read.
"""

import json
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tokensense_otel.service.loader import Loaded, restore

_ORPHAN_DEADLINE_S = 45.0


@dataclass(frozen=True)
class Ready:
    """A part's answer: its name and the endpoints that it really listens on."""

    part: str
    endpoints: dict[str, str]


def encode_settings(raw: Mapping[str, Any], base_dir: Path, path: Path | None = None) -> bytes:
    """The line that a part reads first."""
    message = {"settings": raw, "base_dir": str(base_dir), "path": None if path is None else str(path)}
    return json.dumps(message, default=str).encode() + b"\n"


def read_settings(source: IO[bytes]) -> Loaded:
    """The inverse of `encode_settings`.

    Raises:
        EOFError: when the supervisor ended before it had written all.
    """
    line = source.readline()
    if not line.endswith(b"\n"):
        raise EOFError("the supervisor is gone")
    message = json.loads(line)
    path = message["path"]
    return restore(message["settings"], Path(message["base_dir"]), None if path is None else Path(path))


def encode_ready(part: str, endpoints: Mapping[str, str]) -> bytes:
    return json.dumps({"part": part, "endpoints": dict(endpoints)}).encode() + b"\n"


def decode_ready(line: bytes) -> Ready | None:
    """The part's answer, or `None` when it ended without one."""
    if not line.endswith(b"\n"):
        return None
    message = json.loads(line)
    return Ready(message["part"], message["endpoints"])


def report_ready(descriptor: int, part: str, endpoints: Mapping[str, str]) -> None:
    """Tell the supervisor, once; a supervisor that is gone is noticed elsewhere."""
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(encode_ready(part, endpoints))


def stop_with(lifeline: int) -> None:
    """Ask this process to stop when the other end of the pipe `lifeline` closes, and end it if it does not."""

    def watch() -> None:
        # Not through a buffered reader: its lock, held by a daemon thread, is fatal at the interpreter's end.
        while os.read(lifeline, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(_ORPHAN_DEADLINE_S)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
