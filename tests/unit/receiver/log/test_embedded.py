"""The embedded log with several senders and readers at once."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from tests.support.small_log import SMALL, an_entry, numbers, with_writer
from tokensense_otel.receiver.log import partition
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.files import SegmentFile, list_segments
from tokensense_otel.receiver.log.log import START
from tokensense_otel.receiver.log.writer import EmbeddedWriter


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


def test_appends_that_wait_together_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one commit is at the disk, 63 more senders gather; they become durable with one sync, not 63."""
    log = EmbeddedLog(SMALL.model_copy(update={"segment_bytes": 1 << 16, "commit_bytes": 1 << 16}), tmp_path / "log")
    syncs: list[int] = []
    first, go_on = threading.Event(), threading.Event()
    real_sync = os.fdatasync

    def sync(handle: int) -> None:
        if not go_on.is_set():
            first.set()
            assert go_on.wait(30)
        syncs.append(handle)
        real_sync(handle)

    async def story(writer: EmbeddedWriter) -> None:
        await writer.append(an_entry(0))
        monkeypatch.setattr(partition, "_sync", sync)
        appends = [asyncio.create_task(writer.append(an_entry(1)))]
        await asyncio.to_thread(first.wait, 30)
        appends += [asyncio.create_task(writer.append(an_entry(number))) for number in range(2, 65)]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*appends)

    with_writer(log, story)
    assert len(syncs) == 2
    assert sorted(numbers(log)) == list(range(65))


def test_what_was_written_while_one_looked_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that sees nothing, is held up, and then sees the second of two new records, reads the first as well."""
    part = partition.PartitionWriter(tmp_path, 1 << 16, lambda: 0)
    part.append([b"zero"])
    (segment,) = list_segments(tmp_path)
    file = SegmentFile(segment.path)
    _, end, _ = file.read(0, 1 << 16)
    real, looks = os.pread, 0

    def pread(handle: int, size: int, at: int) -> bytes:
        nonlocal looks
        looks += 1
        if looks > 1:
            return real(handle, size, at)
        seen = real(handle, size, at)  # the end of the file, so far
        part.append([b"first"])
        part.append([b"second"])
        return seen

    monkeypatch.setattr(os, "pread", pread)
    payloads, _, skipped = file.read(end, 1 << 16)
    file.close()
    part.close()

    assert ([bytes(payload) for payload in payloads], skipped) == ([b"first", b"second"], 0)


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
