"""A log's folder and the files in it, as writer and readers in different processes both see them.

    log/            log.json (version, partitions) · p000.lock (held by who writes it) · …
      p000/         committed (a position) · 00001767225600000000-00000000000000000000.log · …      a file a segment

A segment is named by the offset of its first byte and by how far the log reached when it was begun: between the two
there never was anything, and a reader that has not come as far as the second knows that a segment is missing.

Offsets are global to a partition and are never used twice, whatever happens: a segment begins where the one before
ended, or, when there is doubt about what a reader has seen (first start, restart, failed write), higher than that.
So a position kept by a reader can point at nothing, but never at something else. Prompts may be in it: folders and
files are private to the user.
"""

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.receiver.log.segment import (
    MARKER_BYTES,
    RECORD_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    marker_of,
    record_size,
    whole_records,
)

_LAYOUT_VERSION = 1
_SEGMENT_NAME: Final = re.compile(r"(\d{20})-(\d{20})\.log")
_COMMITTED: Final = "committed"
_SEARCH_BYTES = 1 << 20
_MAX_OFFSET: Final = 1 << 62
"""Above every offset there can be: they begin with a clock in nanoseconds, and this is the year 2116."""


class Segment(NamedTuple):
    """A segment's file, the global offset of its first byte, and how far the log reached before it."""

    base: int
    after: int
    path: Path


def partition_names(count: int) -> list[str]:
    return [f"p{index:03d}" for index in range(count)]


def ensure_layout(directory: Path, partitions: int) -> None:
    """Create the folders and the note of how many partitions there are, or check it. Folders become private.

    Raises:
        ConfigError: when the log was created with another number, or the folder cannot be used.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = directory / "log.json"
        if not note.exists():
            write_atomically(
                note, json.dumps({"version": _LAYOUT_VERSION, "partitions": partitions}).encode(), sync=True
            )
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
        for folder in (directory, *(directory / name for name in partition_names(partitions))):
            folder.mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(PermissionError):  # somebody else's folder that we may use as it is
                folder.chmod(0o700)
        sync_folder(directory)
        sync_folder(directory.parent)
    except OSError as error:
        raise ConfigError(f"log: {directory} cannot be used: {error}") from error


def read_committed(folder: Path) -> int:
    """The offset up to which a partition is consumed for good; 0 when nothing says so that can be believed."""
    try:
        content = (folder / _COMMITTED).read_bytes()
    except FileNotFoundError:
        return 0
    offset = int(content) if content.isdigit() else 0
    return offset if offset < _MAX_OFFSET else 0


def write_committed(folder: Path, offset: int) -> None:
    write_atomically(folder / _COMMITTED, str(offset).encode())


def write_atomically(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Replace a small file; a reader sees the old content or the new, with `sync` also after a loss of power."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb", opener=_private) as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def sync_folder(folder: Path) -> None:
    """Make names created in `folder` survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def segment_path(folder: Path, base: int, after: int) -> Path:
    return folder / f"{base:020d}-{after:020d}.log"


def list_segments(folder: Path) -> list[Segment]:
    """The segments of a partition in order. The last one is the only one that may still grow.

    None when the folder is missing: whoever writes makes it again, or puts it back.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    found = (_SEGMENT_NAME.fullmatch(name) for name in names)
    return sorted(Segment(int(each[1]), int(each[2]), folder / each[0]) for each in found if each)


def disk_bytes(folder: Path) -> int:
    """Bytes in a partition's segments; those that are deleted meanwhile do not count."""
    total = 0
    for segment in list_segments(folder):
        with contextlib.suppress(FileNotFoundError):
            total += segment.path.stat().st_size
    return total


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
        # The writer may have written both since we looked first. What comes before a whole record is finished: if it
        # is not whole now, it never will be.
        payloads, end = self._whole(marker, start, max(max_bytes, RECORD_HEADER_BYTES))
        if payloads:
            return payloads, end, 0
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
        """The header's marker, or, when no record bears it, the first record's; `None` when neither can be read."""
        marker = marker_of(os.pread(self._handle, SEGMENT_HEADER_BYTES, 0))
        first = os.pread(self._handle, MARKER_BYTES, SEGMENT_HEADER_BYTES)
        if first != marker and len(first) == MARKER_BYTES:
            whole = self._whole(first, SEGMENT_HEADER_BYTES, RECORD_HEADER_BYTES)[0]
            if whole and (marker is None or self._search(marker, SEGMENT_HEADER_BYTES) is None):
                marker = first
        self._marker = marker
        return marker

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
