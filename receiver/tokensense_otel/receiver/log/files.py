"""A log's folder and the files in it, as writer and readers in different processes both see them.

    log/            lock · log.json (version, partitions)
      p000/         committed (a position) · 00001767225600000000.log · …      one file a segment, named by its offset

Offsets are global to a partition and are never used twice, whatever happens: a segment begins where the one before
ended, or, when there is doubt about what a reader has seen (first start, restart, failed write), higher than that.
So a position kept by a reader can point at nothing, but never at something else. Folders are private to the user.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.receiver.log.segment import (
    RECORD_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    marker_of,
    record_size,
    whole_records,
)

_LAYOUT_VERSION = 1
_SUFFIX = ".log"
_SEARCH_BYTES = 1 << 20


class Segment(NamedTuple):
    """A segment's file and the global offset of its first byte."""

    base: int
    path: Path


def partition_names(count: int) -> list[str]:
    return [f"p{index:03d}" for index in range(count)]


def ensure_layout(directory: Path, partitions: int) -> None:
    """Create the folders and the note of how many partitions there are, or check it.

    Raises:
        ConfigError: when the log was created with another number, or the folder cannot be used.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = directory / "log.json"
        if not note.exists():
            write_atomically(note, json.dumps({"version": _LAYOUT_VERSION, "partitions": partitions}).encode())
        layout = json.loads(note.read_bytes())
        version, stored = layout["version"], layout["partitions"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"log: {directory} cannot be used: {error}") from error
    if version != _LAYOUT_VERSION:
        raise ConfigError(f"log: {directory} was written by a version of TokenSense that this one cannot read")
    if stored != partitions:
        raise ConfigError(
            f"log.partitions: the log in {directory} was created with {stored}, which cannot be changed; "
            f"write partitions: {stored}"
        )
    try:
        for name in partition_names(partitions):
            (directory / name).mkdir(mode=0o700, exist_ok=True)
        sync_folder(directory)
    except OSError as error:
        raise ConfigError(f"log: {directory} cannot be used: {error}") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a small file; a reader sees the old content or the new."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def sync_folder(folder: Path) -> None:
    """Make names created in `folder` survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def segment_path(folder: Path, base: int) -> Path:
    return folder / f"{base:020d}{_SUFFIX}"


def list_segments(folder: Path) -> list[Segment]:
    """The segments of a partition in order. The last one is the only one that may still grow."""
    bases = sorted(int(path.stem) for path in folder.iterdir() if path.suffix == _SUFFIX and path.stem.isdigit())
    return [Segment(base, segment_path(folder, base)) for base in bases]


class SegmentFile:
    """Reads one segment. Needs no lock: the writer only adds behind, and cuts only what was never whole."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._marker: bytes | None = None

    def close(self) -> None:
        os.close(self._handle)

    def size(self) -> int:
        return os.fstat(self._handle).st_size

    def read(self, at: int, max_bytes: int) -> tuple[list[memoryview], int, int]:
        """Payloads of whole records from `at` on, up to about `max_bytes` and at least one if there is one.

        Returns (payloads, where they end, bytes passed over before them). `at` counts from the start of the file.
        Damage is passed over only when a whole record follows; otherwise it may be a write under way.
        """
        marker = self._marker or self._read_marker()
        if marker is None:
            return [], at, 0
        start = max(at, SEGMENT_HEADER_BYTES)
        payloads, end = self._whole(marker, start, max(max_bytes, RECORD_HEADER_BYTES))
        if payloads or end >= self.size():
            return payloads, end, 0
        found = self._search(marker, start + 1)
        if found is None:
            return [], start, 0
        payloads, end = self._whole(marker, found, max(max_bytes, RECORD_HEADER_BYTES))
        return payloads, end, found - start

    def end_of_records(self) -> int:
        """Where the last whole record of the segment ends; its size when the header itself cannot be read."""
        at, step = SEGMENT_HEADER_BYTES, 16 * _SEARCH_BYTES
        if self._read_marker() is None:
            return self.size()
        while True:
            payloads, end, _ = self.read(at, step)
            if not payloads:
                return at
            at = end

    def _read_marker(self) -> bytes | None:
        self._marker = marker_of(os.pread(self._handle, SEGMENT_HEADER_BYTES, 0))
        return self._marker

    def _whole(self, marker: bytes, at: int, max_bytes: int) -> tuple[list[memoryview], int]:
        buffer = os.pread(self._handle, max_bytes, at)
        size = record_size(marker, buffer)
        if size is not None and size > len(buffer) and at + size <= self.size():
            buffer = os.pread(self._handle, size, at)
        payloads, end = [], at
        for payload, stop in whole_records(marker, buffer):
            payloads.append(payload)
            end = at + stop
        return payloads, end

    def _search(self, marker: bytes, at: int) -> int | None:
        """Where the next whole record begins."""
        while chunk := os.pread(self._handle, _SEARCH_BYTES, at):
            found = chunk.find(marker)
            while found >= 0:
                if self._whole(marker, at + found, RECORD_HEADER_BYTES)[0]:
                    return at + found
                found = chunk.find(marker, found + 1)
            if len(chunk) < _SEARCH_BYTES:
                return None
            # Step back a little, so that a marker across two chunks is found.
            at += len(chunk) - len(marker) + 1
        return None
