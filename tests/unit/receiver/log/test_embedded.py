"""The embedded log where the disk, other processes and limits are against it."""

import asyncio
import errno
import os
import stat
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from tokensense_otel.core.errors import ConfigError, Retryable
from tokensense_otel.receiver.log import partition
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.log.files import list_segments
from tokensense_otel.receiver.log.log import START
from tokensense_otel.receiver.log.writer import EmbeddedWriter

SMALL = LogConfig(partitions=1, max_bytes=1 << 20, segment_bytes=4096, commit_bytes=4096)


def an_entry(number: int, size: int = 100) -> Entry:
    return Entry(Signal.TRACES, "t", "", number, b"x" * size)


def with_writer(log: EmbeddedLog, story: Callable[[EmbeddedWriter], Awaitable[None]]) -> None:
    async def run() -> None:
        writer = log.writer()
        await writer.start()
        try:
            await story(writer)
        finally:
            await writer.stop()

    asyncio.run(run())


def numbers(log: EmbeddedLog) -> list[int]:
    found: list[int] = []
    reader, position = log.reader().open("p000"), START
    while True:
        entries, position = reader.read(position, 1 << 20)
        if not entries:
            reader.close()
            return found
        found.extend(entry.received_ns for entry in entries)


def test_a_second_writer_is_refused_with_one_line(tmp_path: Path) -> None:
    """Two writers on one folder are a ConfigError that says what to do, and the first goes on."""
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        second = log.writer()
        with pytest.raises(ConfigError, match=r"another receiver is writing to .*/log; stop it") as refused:
            await second.start()
        await second.stop()
        assert "\n" not in str(refused.value)
        await writer.append(an_entry(1))

    with_writer(log, story)
    assert numbers(log) == [1]


@pytest.mark.parametrize("side", ["writer", "reader"])
def test_another_number_of_partitions_is_refused(tmp_path: Path, side: str) -> None:
    """A log made with 4 partitions is not opened with 3; the message names the key and what to write."""
    EmbeddedLog(LogConfig(partitions=4), tmp_path / "log").reader()
    changed = EmbeddedLog(LogConfig(partitions=3), tmp_path / "log")

    def open_side() -> None:
        if side == "reader":
            changed.reader()
        else:
            asyncio.run(changed.writer().start())

    with pytest.raises(ConfigError, match=r"^log\.partitions: .*created with 4.*write partitions: 4$"):
        open_side()


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """A file where the folder should be is a ConfigError, for either side."""
    (tmp_path / "log").write_text("not a folder")
    log = EmbeddedLog(SMALL, tmp_path / "log")

    with pytest.raises(ConfigError, match="cannot be used"):
        log.reader()
    with pytest.raises(ConfigError, match="cannot be used"):
        asyncio.run(log.writer().start())


def test_folders_and_files_are_private(tmp_path: Path) -> None:
    """Only the user can look into the log, because prompts may be in it."""
    log = EmbeddedLog(SMALL, tmp_path / "log")
    with_writer(log, lambda writer: writer.append(an_entry(1)))

    for path in (tmp_path / "log", tmp_path / "log" / "p000"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    (segment,) = list_segments(tmp_path / "log" / "p000")
    assert stat.S_IMODE(segment.path.stat().st_mode) == 0o600


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


def test_files_deleted_beneath_the_writer_are_noticed(tmp_path: Path) -> None:
    """An append into a deleted file is not acknowledged; the next one begins a new file."""
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        await writer.append(an_entry(1))
        list_segments(tmp_path / "log" / "p000")[0].path.unlink()
        with pytest.raises(Retryable, match="deleted"):
            await writer.append(an_entry(2))
        await writer.append(an_entry(3))

    with_writer(log, story)
    assert numbers(log) == [3]


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


def test_an_append_that_nobody_waits_for_harms_nobody(tmp_path: Path) -> None:
    """A sender that hangs up during its append leaves the others and the log in order."""
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        gone = asyncio.create_task(writer.append(an_entry(1)))
        await asyncio.sleep(0)
        gone.cancel()
        await writer.append(an_entry(2))
        with pytest.raises(asyncio.CancelledError):
            await gone

    with_writer(log, story)
    assert numbers(log) == [1, 2]


def test_whole_files_go_and_never_the_last(tmp_path: Path) -> None:
    """A commit in the middle deletes the files before it; a commit at the end leaves one, for the writer."""
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        for number in range(8):
            await writer.append(an_entry(number, size=3000))

    with_writer(log, story)
    folder = tmp_path / "log" / "p000"
    # Two records of 3 kB do not fit into a segment of 4 KiB.
    assert len(list_segments(folder)) == 8
    reader, position = log.reader().open("p000"), START
    for _ in range(3):
        _, position = reader.read(position, 1)
    reader.commit(position)
    assert len(list_segments(folder)) == 5
    assert numbers(log) == [3, 4, 5, 6, 7]

    while (batch := reader.read(position, 1))[0]:
        position = batch[1]
    reader.commit(position)
    reader.close()
    assert len(list_segments(folder)) == 1
    assert numbers(log) == [7]


def test_a_reader_follows_a_writer_that_writes(tmp_path: Path) -> None:
    """Reading while appends go on, in another thread, gives every entry once and in order."""
    log = EmbeddedLog(SMALL, tmp_path / "log")
    found: list[int] = []

    def follow() -> None:
        reader, position = log.reader().open("p000"), START
        while not found or found[-1] != 299:
            entries, position = reader.read(position, 2000)
            found.extend(entry.received_ns for entry in entries)
            reader.commit(position)
        reader.close()

    async def story(writer: EmbeddedWriter) -> None:
        following = asyncio.create_task(asyncio.to_thread(follow))
        for number in range(300):
            await writer.append(an_entry(number, size=number * 7 % 1500))
        await asyncio.wait_for(following, 60)

    with_writer(log, story)
    assert found == list(range(300))


def test_a_log_that_could_fill_up_for_good_is_refused() -> None:
    """The files that may still grow never fill the log: max_bytes below twice their size is refused, exactly there."""
    LogConfig(partitions=4, segment_bytes=1 << 20, commit_bytes=1 << 20, max_bytes=8 << 20)
    with pytest.raises(ValidationError, match="write 8388608 or more"):
        LogConfig(partitions=4, segment_bytes=1 << 20, commit_bytes=1 << 20, max_bytes=(8 << 20) - 1)
