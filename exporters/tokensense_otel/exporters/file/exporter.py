"""Append insights to a file.

Delivery: at least once, on disk before it counts as delivered. After a crash a line may be there twice, with the same
id, and a line that was cut short is ended before the next begins.
"""

import asyncio
import errno
import os
from pathlib import Path

from tokensense_otel.core.insight import Insight
from tokensense_otel.exporters.errors import EndpointDown, Retry
from tokensense_otel.exporters.exporter import Context, Payload, Receipt
from tokensense_otel.exporters.file.config import FileConfig
from tokensense_otel.exporters.file.payload import encode_line

_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EINTR, errno.EAGAIN, errno.EIO})


class FileExporter:
    Config = FileConfig

    def __init__(self, config: FileConfig) -> None:
        self._path = config.path

    def render(self, insight: Insight) -> Payload:
        return Payload(insight.id, insight.episode_id, encode_line(insight))

    async def start(self, context: Context) -> None:
        """Nothing to get ready: the file is opened for each line."""

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:  # noqa: ARG002 - nothing is edited
        """Write one line and wait until it is on disk.

        Raises:
            Retry: when the disk is full or busy.
            EndpointDown: when the path cannot be written to.
        """
        try:
            await asyncio.to_thread(_append, self._path, f"{payload.body}\n".encode())
        except OSError as error:
            said = f"{self._path}: {error.strerror or error}"
            raise Retry(said) if error.errno in _PASSING else EndpointDown(said) from None
        return Receipt()

    async def aclose(self) -> None:
        """Nothing is held open."""


def _append(path: Path, line: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line
        while line:
            line = line[os.write(handle, line) :]
        os.fsync(handle)
    finally:
        os.close(handle)
