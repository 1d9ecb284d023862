"""The embedded log where the disk is against it: full, broken, slow, or with a clock that runs backwards."""

import asyncio
import errno
import os
import re
import threading
from pathlib import Path

import pytest

from tests.support.small_log import SMALL, an_entry, numbers, with_writer
from tokensense_otel.core.errors import Retryable
from tokensense_otel.receiver.log import partition
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.files import list_segments
from tokensense_otel.receiver.log.log import START
from tokensense_otel.receiver.log.writer import EmbeddedWriter


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes a few bytes at a time loses nothing."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, at: real(handle, data[:7], at))
    log = EmbeddedLog(SMALL, tmp_path / "log")

    with_writer(log, lambda writer: writer.append(an_entry(1)))

    assert numbers(log) == [1]


@pytest.mark.parametrize(("call", "number"), [("pwrite", errno.ENOSPC), ("_sync", errno.EIO)])
def test_a_failing_disk_is_answered_and_recovered_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """While the disk refuses, senders are told to retry and nothing is acknowledged; then the log goes on."""
    failing = threading.Event()
    real_write, real_sync = os.pwrite, os.fdatasync

    def write(handle: int, data: memoryview, at: int) -> int:
        if not (failing.is_set() and call == "pwrite"):
            return real_write(handle, data, at)
        if len(data) <= 10:
            raise OSError(number, os.strerror(number))
        return real_write(handle, data[:10], at)

    def sync(handle: int) -> None:
        if failing.is_set() and call == "_sync":
            raise OSError(number, os.strerror(number))
        real_sync(handle)

    monkeypatch.setattr(os, "pwrite", write)
    monkeypatch.setattr(partition, "_sync", sync)
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        await writer.append(an_entry(1))
        failing.set()
        for refused in (2, 3):
            with pytest.raises(Retryable, match=os.strerror(number)):
                await writer.append(an_entry(refused))
        failing.clear()
        await writer.append(an_entry(4))

    with_writer(log, story)
    assert numbers(log) == [1, 4]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EMFILE, errno.EACCES, errno.EIO])
def test_a_new_file_that_cannot_be_made_is_answered_and_recovered_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Read-only, out of file descriptors, forbidden or broken: senders retry, and it goes on by itself afterwards."""
    failing = threading.Event()
    real = os.open

    def open_(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if failing.is_set() and flags & os.O_EXCL:
            raise OSError(number, os.strerror(number))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", open_)
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        await writer.append(an_entry(1, size=3000))
        failing.set()
        for _ in range(2):
            with pytest.raises(Retryable, match=re.escape(os.strerror(number))):
                await writer.append(an_entry(2, size=3000))
        failing.clear()
        await writer.append(an_entry(3, size=3000))

    with_writer(log, story)
    assert numbers(log) == [1, 3]


def test_one_bad_partition_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A partition that fails while others work is one line when it begins and one when it ends, not one a commit."""
    log = EmbeddedLog(SMALL.model_copy(update={"partitions": 2}), tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        (tmp_path / "log" / "p001").rename(tmp_path / "aside")
        for _ in range(4):
            await writer.append(an_entry(1))
            with pytest.raises(Retryable):
                await writer.append(an_entry(2))
        (tmp_path / "aside").rename(tmp_path / "log" / "p001")
        for number in range(3, 7):
            await writer.append(an_entry(number))

    with_writer(log, story)
    said = capsys.readouterr().out
    assert (said.count("log_disk_failing"), said.count("log_disk_recovered")) == (1, 1)


def test_a_failure_nobody_foresaw_hides_nothing_that_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong after a write that a reader has seen by then, what is appended next is read from there."""
    log = EmbeddedLog(SMALL, tmp_path / "log")
    real = os.fdatasync
    failing = threading.Event()
    seen: list[str] = []

    def sync(handle: int) -> None:
        if failing.is_set():
            reader = log.reader().open("p000")
            seen.append(reader.read(START, 1 << 20)[1])
            reader.close()
            raise MemoryError
        real(handle)

    monkeypatch.setattr(partition, "_sync", sync)

    async def story(writer: EmbeddedWriter) -> None:
        await writer.append(an_entry(1))
        failing.set()
        with pytest.raises(Retryable):
            await writer.append(an_entry(2, size=500))
        failing.clear()
        await writer.append(an_entry(3))

    with_writer(log, story)
    reader = log.reader().open("p000")
    assert [entry.received_ns for entry in reader.read(seen[0], 1 << 20)[0]] == [3]
    reader.close()
    assert numbers(log) == [1, 3]


def test_too_much_waiting_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk hangs, appends beyond max_pending_bytes are refused; those that wait are kept when it goes on."""
    syncing, go_on = threading.Event(), threading.Event()
    real_sync = os.fdatasync

    def sync(handle: int) -> None:
        syncing.set()
        assert go_on.wait(30)
        real_sync(handle)

    log = EmbeddedLog(SMALL.model_copy(update={"max_pending_bytes": 1000}), tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        monkeypatch.setattr(partition, "_sync", sync)
        first = asyncio.create_task(writer.append(an_entry(1)))
        await asyncio.to_thread(syncing.wait, 30)
        second = asyncio.create_task(writer.append(an_entry(2, size=600)))
        await asyncio.sleep(0)
        with pytest.raises(Retryable, match="waiting"):
            await writer.append(an_entry(3, size=600))
        go_on.set()
        await asyncio.gather(first, second)

    with_writer(log, story)
    assert numbers(log) == [1, 2]


def test_a_clock_that_is_set_back_changes_nothing(tmp_path: Path) -> None:
    """Offsets grow whatever the clock says, in the same run and the next: no entry is hidden behind a position."""
    now = [2_000_000_000_000_000_000]
    log = EmbeddedLog(SMALL, tmp_path / "log", lambda: now[0])
    positions = [START]

    def append_and_read(number: int) -> list[int]:
        async def story(writer: EmbeddedWriter) -> None:
            await writer.append(an_entry(number, size=3000))
            now[0] -= 86_400_000_000_000
            await writer.append(an_entry(number + 1, size=3000))

        with_writer(log, story)
        found: list[int] = []
        reader = log.reader().open("p000")
        while (batch := reader.read(positions[-1], 1))[0]:
            positions.append(batch[1])
            found.extend(entry.received_ns for entry in batch[0])
        reader.commit(positions[-1])
        reader.close()
        return found

    assert append_and_read(1) == [1, 2]
    assert append_and_read(3) == [3, 4]
    for segment in list_segments(tmp_path / "log" / "p000"):
        segment.path.unlink()  # by hand, on top of it
    assert append_and_read(5) == [5, 6]
    assert positions[1:] == sorted(positions[1:])
