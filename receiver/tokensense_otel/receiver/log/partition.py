"""Appends to one partition's segments: the file operations of the log, in the order that makes them durable."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from tokensense_otel.core.component import Clock
from tokensense_otel.receiver.log import events
from tokensense_otel.receiver.log.files import SegmentFile, list_segments, segment_path, sync_folder
from tokensense_otel.receiver.log.segment import (
    MARKER_BYTES,
    MAX_PAYLOAD_BYTES,
    SEGMENT_HEADER_BYTES,
    record_header,
    segment_header,
)

_sync = getattr(os, "fdatasync", os.fsync)
_GAP_BYTES: Final = 2 * MAX_PAYLOAD_BYTES
"""More than one commit can hold: nobody has read further than this beyond the last byte that the disk still has."""


class PartitionWriter:
    """Appends groups of payloads, each group written and synced at once.

    Opening cuts an unfinished write off the last segment, and never continues it: appends go to a new one, which is
    created with the first of them. `clock` (Unix ns) runs faster than offsets grow, so a log that was deleted and
    begun anew starts above every position of the old one.
    """

    def __init__(self, folder: Path, segment_bytes: int, clock: Clock) -> None:
        self.folder = folder
        self.name = folder.name
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._handle: int | None = None
        self._marker = b""
        self._base = 0
        self._size = 0
        self._free = _cut_tail(folder)
        """The lowest offset that no reader can have seen."""

    def append(self, payloads: list[bytes]) -> int:
        """Write and sync the payloads; returns the bytes that this took on disk.

        Raises:
            OSError: nothing of this group was kept; the partition can be used again.
        """
        created = 0
        if self._handle is not None and self._size >= self._segment_bytes:
            self._free = self._base + self._size
            self.close()
        if self._handle is None:
            created = self._create()
        handle = self._handle
        assert handle is not None
        data = b"".join(part for payload in payloads for part in (record_header(self._marker, payload), payload))
        try:
            _write_all(handle, data, self._size)
            _sync(handle)
        except OSError:
            self._abandon(len(data))
            raise
        self._size += len(data)
        return created + len(data)

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _create(self) -> int:
        # `_free` alone would do to go on after a full segment; the clock is for what may have come before.
        base = self._free if self._size else max(self._free, self._clock())
        marker = secrets.token_bytes(MARKER_BYTES)
        path = segment_path(self.folder, base)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write_all(handle, segment_header(marker), 0)
            _sync(handle)
            sync_folder(self.folder)
        except OSError:
            os.close(handle)
            with contextlib.suppress(OSError):
                path.unlink()
            self._free = base + _GAP_BYTES
            raise
        self._handle, self._marker, self._base, self._size = handle, marker, base, SEGMENT_HEADER_BYTES
        return SEGMENT_HEADER_BYTES

    def _abandon(self, attempted: int) -> None:
        """After a failed write: cut it off as well as the disk allows and never use its offsets again."""
        handle = self._handle
        assert handle is not None
        with contextlib.suppress(OSError):
            os.ftruncate(handle, self._size)
        self._free = self._base + self._size + attempted + 1
        self._size = 0
        self.close()


def _write_all(handle: int, data: bytes, at: int) -> None:
    """`pwrite` until everything is written: a disk that fills up writes the part that fits, then fails."""
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, at)
        view = view[written:]
        at += written


def _cut_tail(folder: Path) -> int:
    """Cut an unfinished write off the last segment; returns the lowest offset that nobody can have seen."""
    segments = list_segments(folder)
    if not segments:
        return 0
    base, path = segments[-1]
    file = SegmentFile(path)
    try:
        size, end = file.size(), file.end_of_records()
    finally:
        file.close()
    if end < size:
        os.truncate(path, end)
        events.TAIL_CUT(segment=path.name, partition=folder.name, bytes=size - end)
    return base + size + _GAP_BYTES
