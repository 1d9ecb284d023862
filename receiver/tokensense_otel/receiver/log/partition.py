"""Appends to one partition's segments: the file operations of the log, in the order that makes them durable."""

import contextlib
import errno
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokensense_otel.core.component import Clock
from tokensense_otel.receiver.log import events
from tokensense_otel.receiver.log.files import SegmentFile, list_segments, segment_path, sync_folder
from tokensense_otel.receiver.log.segment import (
    MARKER_BYTES,
    MAX_PAYLOAD_BYTES,
    RECORD_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    record_header,
    segment_header,
)

_sync = getattr(os, "fdatasync", os.fsync)
_GAP_BYTES: Final = 2 * MAX_PAYLOAD_BYTES
"""More than one commit can hold: nobody has read further than this beyond the last byte that the disk still has."""


@dataclass
class _OpenSegment:
    """The segment that grows: its file and marker, the global offset of its first byte, and its size."""

    handle: int
    marker: bytes
    base: int
    size: int = SEGMENT_HEADER_BYTES


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
        self._segment: _OpenSegment | None = None
        self._next_base = max(_cut_tail(folder), clock())

    def append(self, payloads: list[bytes]) -> int:
        """Write and sync the payloads; returns the bytes that this took on disk.

        Raises:
            OSError: nothing of this group was kept; the partition can be used again.
        """
        size = sum(RECORD_HEADER_BYTES + len(payload) for payload in payloads)
        segment, created = self._segment, 0
        if segment is not None and SEGMENT_HEADER_BYTES < segment.size > self._segment_bytes - size:
            self._next_base = segment.base + segment.size
            self.close()
            segment = None
        if segment is None:
            segment, created = self._create(), SEGMENT_HEADER_BYTES
        data = b"".join(part for payload in payloads for part in (record_header(segment.marker, payload), payload))
        try:
            _write_all(segment.handle, data, segment.size)
            _sync(segment.handle)
            if os.fstat(segment.handle).st_nlink == 0:
                raise FileNotFoundError(errno.ENOENT, "the log's files were deleted", str(self.folder))
        except OSError:
            self._abandon(segment, size)
            raise
        segment.size += size
        return created + size

    def close(self) -> None:
        if self._segment is not None:
            os.close(self._segment.handle)
            self._segment = None

    def _create(self) -> _OpenSegment:
        path = segment_path(self.folder, self._next_base)
        segment = _OpenSegment(
            handle=os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600),
            marker=secrets.token_bytes(MARKER_BYTES),
            base=self._next_base,
        )
        try:
            _write_all(segment.handle, segment_header(segment.marker), 0)
            _sync(segment.handle)
            sync_folder(self.folder)
        except OSError:
            os.close(segment.handle)
            with contextlib.suppress(OSError):
                path.unlink()
            self._next_base += SEGMENT_HEADER_BYTES
            raise
        self._segment = segment
        return segment

    def _abandon(self, segment: _OpenSegment, attempted: int) -> None:
        """After a failed write: cut it off as well as the disk allows, and never use its offsets again."""
        with contextlib.suppress(OSError):
            os.ftruncate(segment.handle, segment.size)
        self._next_base = max(segment.base + segment.size + attempted, self._clock())
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
