"""Reads the embedded log, in any process, while the writer writes.

Delivery: at least once. Every entry whose `append` returned is read, in order within its partition, from any position
that was handed out before. Entries whose `append` failed may be read as well (their sender tries again).
"""

import contextlib
from pathlib import Path

import msgspec

from tokensense_otel.receiver.log import events
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.entry import Entry, decode_entry
from tokensense_otel.receiver.log.files import (
    Segment,
    SegmentFile,
    disk_bytes,
    ensure_layout,
    list_segments,
    partition_names,
    read_committed,
    write_committed,
)
from tokensense_otel.receiver.log.log import START, LogStatus, Position
from tokensense_otel.receiver.log.segment import SEGMENT_HEADER_BYTES


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

    def status(self) -> LogStatus:
        """Costs a look at each file and one entry a partition: for health checks and metrics, not for each request."""
        folders = [self._directory / name for name in self._partitions]
        oldest = (_oldest_uncommitted(folder) for folder in folders)
        return LogStatus(
            disk_bytes=sum(disk_bytes(folder) for folder in folders),
            uncommitted_bytes=sum(_uncommitted_bytes(folder) for folder in folders),
            oldest_uncommitted_ns=min((ns for ns in oldest if ns is not None), default=None),
        )


class EmbeddedPartition:
    """A `PartitionReader`: keeps the segment it reads from open, and nothing else."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._file: SegmentFile | None = None
        self._base = -1
        self._entered = -1
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
            self._look_between(at, segment)
            entries, at = self._read_segment(segment, max(at, segment.base), max_bytes, last=last)
            if entries:
                return entries, str(at)
        return [], position if at <= _offset(position) else str(at)

    def commit(self, position: Position) -> None:
        """Notes the position (for `status`) and deletes the segments that end before it, never the last.

        Room is made even where the note cannot be written, because the disk may be full.
        """
        at = _offset(position)
        try:
            if at > read_committed(self._folder):
                write_committed(self._folder, at)
        except OSError as error:
            events.NOT_TRIMMED(partition=self._name, reason=str(error))
        for segment in list_segments(self._folder)[:-1]:
            try:
                if segment.base + segment.path.stat().st_size > at:
                    break
                segment.path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue
            except OSError as error:
                events.NOT_TRIMMED(partition=self._name, reason=str(error))
                break

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

    def _look_between(self, at: int, segment: Segment) -> None:
        """Say so when what lay between a position and the segment it leads to is not there any more."""
        if segment.base <= max(at, self._entered):
            return
        self._entered = segment.base
        if 0 < at < segment.after:
            events.MISSING(segment.after - at, partition=self._name, position=at, segment=segment.path.name)

    def _look_back(self, at: int, segments: list[Segment]) -> None:
        """Say so when a position from an earlier run is beyond the log as it is now."""
        if segments and at > segments[-1].base + segments[-1].path.stat().st_size:
            events.POSITION_BEYOND(partition=self._name, position=at)


def _offset(position: Position) -> int:
    if position == START:
        return 0
    if not position.isdecimal():
        raise ValueError(f"{position!r} is no position of this log")
    return int(position)


def _uncommitted_bytes(folder: Path) -> int:
    committed = read_committed(folder)
    total = 0
    for segment in list_segments(folder):
        with contextlib.suppress(FileNotFoundError):
            size = segment.path.stat().st_size
            total += max(0, size - max(committed - segment.base, SEGMENT_HEADER_BYTES))
    return total


def _oldest_uncommitted(folder: Path) -> int | None:
    """When the first entry that is not committed was received; `None` when there is none (or it is damaged)."""
    committed = read_committed(folder)
    for segment in list_segments(folder):
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            file = SegmentFile(segment.path)
            try:
                payloads, _, _ = file.read(committed - segment.base, 1)
            finally:
                file.close()
            if payloads:
                return decode_entry(payloads[0]).received_ns
    return None
