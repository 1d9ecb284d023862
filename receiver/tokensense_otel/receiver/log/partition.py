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
from tokensense_otel.receiver.log.files import (
    SegmentFile,
    list_segments,
    read_committed,
    segment_path,
    sync_folder,
)
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
    """The segment that grows: its file, which one that is, its marker, the global offset of its first byte, when it
    began, its size."""

    path: Path
    handle: int
    identity: os.stat_result
    marker: bytes
    base: int
    began_ns: int
    size: int = SEGMENT_HEADER_BYTES

    @property
    def end(self) -> int:
        return self.base + self.size

    def holds_records(self) -> bool:
        return self.size > SEGMENT_HEADER_BYTES


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
        self._left_ns: int | None = None
        self._after, unseen = _cut_tail(folder)
        if self._after:
            self._left_ns = clock()  # there is a file of an earlier run
        self._next_base = max(unseen, read_committed(folder) + _GAP_BYTES, clock())

    def append(self, payloads: list[bytes]) -> int:
        """Write and sync the payloads; returns the bytes that this took on disk.

        Raises:
            OSError: nothing of this group was kept; the partition can be used again.
        """
        size = sum(RECORD_HEADER_BYTES + len(payload) for payload in payloads)
        segment, created = self._segment, 0
        if segment is not None and segment.holds_records() and segment.size > self._segment_bytes - size:
            self._finish(segment)
            segment = None
        if segment is None:
            segment, created = self._create(), SEGMENT_HEADER_BYTES
        data = b"".join(part for payload in payloads for part in (record_header(segment.marker, payload), payload))
        try:
            _write_all(segment.handle, data, segment.size)
            _sync(segment.handle)
            _refuse_stranger(segment)
        except BaseException:
            self._abandon(segment, size)
            raise
        segment.size += size
        return created + size

    def leave(self) -> None:
        """Use the open segment no more: its folder is not the log's any more."""
        if self._segment is not None:
            self._finish(self._segment)
            self._next_base = max(self._next_base, self._clock())

    def begin_anew(self, older_than_ns: int) -> None:
        """Finish a segment with records that began that long ago (or in the future, by a clock since set back), so
        that readers can delete it.

        Raises:
            OSError: the new one could not be begun; the next append tries again.
        """
        now, segment = self._clock(), self._segment
        if segment is None:
            if self._left_ns is not None and not 0 <= now - self._left_ns < older_than_ns:
                self._create()
        elif segment.holds_records() and not 0 <= now - segment.began_ns < older_than_ns:
            self._finish(segment)
            self._create()

    def close(self) -> None:
        if self._segment is not None:
            os.close(self._segment.handle)
            self._segment = None

    def _finish(self, segment: _OpenSegment) -> None:
        self._after = self._next_base = segment.end
        self.close()

    def _create(self) -> _OpenSegment:
        path = segment_path(self.folder, self._next_base, self._after)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        segment = _OpenSegment(
            path=path,
            handle=handle,
            identity=os.fstat(handle),
            marker=secrets.token_bytes(MARKER_BYTES),
            base=self._next_base,
            began_ns=self._clock(),
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
        self._segment, self._left_ns = segment, None
        return segment

    def _abandon(self, segment: _OpenSegment, attempted: int) -> None:
        """After a failed write: cut it off as well as the disk allows, and never use its offsets again."""
        with contextlib.suppress(OSError):
            os.ftruncate(segment.handle, segment.size)
        self._after = segment.end
        self._left_ns = self._clock()
        self._next_base = max(segment.end + attempted, self._clock())
        self.close()


def _write_all(handle: int, data: bytes, at: int) -> None:
    """`pwrite` until everything is written: a disk that fills up writes the part that fits, then fails."""
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, at)
        view = view[written:]
        at += written


def _refuse_stranger(segment: _OpenSegment) -> None:
    """What was written into a file that readers do not find under its name any more is not on the log."""
    try:
        same = os.path.samestat(segment.path.stat(), segment.identity)
    except FileNotFoundError:
        same = False
    if not same:
        raise FileNotFoundError(errno.ENOENT, "the log's files were deleted or moved", str(segment.path))


def _cut_tail(folder: Path) -> tuple[int, int]:
    """Cut an unfinished write off the last segment.

    Returns how far the log reaches, and the lowest offset that nobody can have seen; both 0 for an empty one.
    """
    segments = list_segments(folder)
    if not segments:
        return 0, 0
    base, _, path = segments[-1]
    file = SegmentFile(path)
    try:
        size, end = file.size(), file.end_of_records()
    finally:
        file.close()
    if end < size:
        os.truncate(path, end)
        events.TAIL_CUT(segment=path.name, partition=folder.name, bytes=size - end)
    return base + end, base + size + _GAP_BYTES
