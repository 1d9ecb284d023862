"""Reads the embedded log, in any process, while the writer writes.

Delivery: at least once. Every entry whose `append` returned is read, in order within its partition, from any position
that was handed out before. Entries whose `append` failed may be read as well (their sender tries again).
"""

from pathlib import Path

import msgspec

from tokensense_otel.receiver.log import events
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.entry import Entry, decode_entry
from tokensense_otel.receiver.log.files import (
    Segment,
    SegmentFile,
    ensure_layout,
    list_segments,
    partition_names,
    write_atomically,
)
from tokensense_otel.receiver.log.log import START, Position
from tokensense_otel.receiver.log.segment import SEGMENT_HEADER_BYTES

_COMMITTED = "committed"


class EmbeddedReader:
    """A `LogReader` over a log's folder."""

    def __init__(self, config: LogConfig, directory: Path) -> None:
        self._directory = directory
        self._partitions = partition_names(config.partitions)
        ensure_layout(directory, config.partitions)

    def partitions(self) -> list[str]:
        return list(self._partitions)

    def open(self, partition: str) -> "EmbeddedPartition":
        """Raises: ValueError: when the log has no such partition."""
        if partition not in self._partitions:
            raise ValueError(f"the log has no partition {partition!r}")
        return EmbeddedPartition(partition, self._directory / partition)

    def backlog_bytes(self) -> int:
        return sum(_backlog_bytes(self._directory / name) for name in self._partitions)


class EmbeddedPartition:
    """A `PartitionReader`: keeps the segment it reads from open, and nothing else."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._file: SegmentFile | None = None
        self._base = -1
        self._opened = False

    def read(self, position: Position, max_bytes: int) -> tuple[list[Entry], Position]:
        """Raises: ValueError: when `position` was not handed out by this log."""
        at = _offset(position)
        # Listed before it is read: if a later segment is in the list, this one has been finished.
        segments = list_segments(self._folder)
        if not self._opened:
            self._opened = True
            self._look_back(at, segments)
        for index, segment in enumerate(segments):
            last = index == len(segments) - 1
            if not last and segments[index + 1].base <= at:
                continue
            entries, at = self._read_segment(segment, max(at, segment.base), max_bytes, last=last)
            if entries:
                return entries, str(at)
        return [], position if at <= _offset(position) else str(at)

    def commit(self, position: Position) -> None:
        """Remembers the position (for the backlog) and deletes the segments that end before it, never the last."""
        at = _offset(position)
        if at > _committed(self._folder):
            write_atomically(self._folder / _COMMITTED, str(at).encode())
        for segment in list_segments(self._folder)[:-1]:
            if segment.base + segment.path.stat().st_size > at:
                break
            segment.path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._base = None, -1

    def _read_segment(self, segment: Segment, at: int, max_bytes: int, *, last: bool) -> tuple[list[Entry], int]:
        """Entries from global offset `at` on, and where they end; the end of a finished segment when none are left."""
        try:
            file = self._use(segment)
        except FileNotFoundError:
            return [], at
        entries: list[Entry] = []
        while not entries:
            payloads, end, skipped = file.read(at - segment.base, max_bytes)
            if skipped:
                events.CORRUPT(skipped, partition=self._name, segment=segment.path.name, offset=at)
            if not payloads:
                rest = file.size() - max(at - segment.base, SEGMENT_HEADER_BYTES)
                if last:
                    return [], at
                if rest > 0:
                    events.CORRUPT(rest, partition=self._name, segment=segment.path.name, offset=at)
                return [], max(at, segment.base + file.size())
            at = segment.base + end
            entries = [entry for payload in payloads if (entry := self._decoded(payload)) is not None]
        return entries, at

    def _decoded(self, payload: memoryview) -> Entry | None:
        try:
            return decode_entry(payload)
        except msgspec.DecodeError as error:
            events.POISON_ENTRY(partition=self._name, reason=str(error))
            return None

    def _use(self, segment: Segment) -> SegmentFile:
        if self._file is None or self._base != segment.base:
            self.close()
            self._file, self._base = SegmentFile(segment.path), segment.base
        return self._file

    def _look_back(self, at: int, segments: list[Segment]) -> None:
        """Say so when a position from an earlier run does not meet the log as it is now."""
        if not segments or at == 0:
            return
        if at < segments[0].base and at != _committed(self._folder):
            events.POSITION_TRIMMED(partition=self._name, position=at, first=segments[0].base)
        if at > segments[-1].base + segments[-1].path.stat().st_size:
            events.POSITION_BEYOND(partition=self._name, position=at)


def _offset(position: Position) -> int:
    if position == START:
        return 0
    if not position.isdecimal():
        raise ValueError(f"{position!r} is no position of this log")
    return int(position)


def _committed(folder: Path) -> int:
    try:
        content = (folder / _COMMITTED).read_bytes()
    except FileNotFoundError:
        return 0
    return int(content) if content.isdigit() else 0


def _backlog_bytes(folder: Path) -> int:
    committed = _committed(folder)
    total = 0
    for base, path in list_segments(folder):
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue
        total += max(0, size - max(committed - base, SEGMENT_HEADER_BYTES))
    return total
