"""How the embedded log gives disk space back, and what it does when there is none."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.calls import NOON, SECOND
from tests.support.small_log import SMALL, an_entry, numbers, with_writer
from tests.support.waiting import eventually
from tokensense_otel.core.errors import Retryable
from tokensense_otel.receiver.log import partition
from tokensense_otel.receiver.log import reader as reader_module
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.files import list_segments
from tokensense_otel.receiver.log.log import START
from tokensense_otel.receiver.log.writer import EmbeddedWriter


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


def test_what_is_accounted_leaves_the_disk_by_age(tmp_path: Path) -> None:
    """A file that nothing fills any more is finished at `segment_age_s`, so that its prompts can be deleted."""
    now = [NOON]
    part = partition.PartitionWriter(tmp_path, 4096, lambda: now[0])
    minute = 60 * SECOND

    part.append([b"prompt"])
    now[0] += minute - 1
    part.begin_anew(minute)
    assert len(list_segments(tmp_path)) == 1
    now[0] += 1
    part.begin_anew(minute)
    now[0] += 10 * minute
    part.begin_anew(minute)

    first, second = list_segments(tmp_path)
    # The second is empty, and an empty one does not age.
    assert (b"prompt" in first.path.read_bytes(), second.path.stat().st_size) == (True, 16)
    part.append([b"next"])
    part.close()
    assert len(list_segments(tmp_path)) == 2


def test_files_of_an_earlier_run_leave_by_age_too(tmp_path: Path) -> None:
    """What an earlier run left open is finished by age although nothing is appended any more."""
    now = [NOON]
    part = partition.PartitionWriter(tmp_path, 4096, lambda: now[0])
    part.append([b"prompt"])
    part.close()
    now[0] += SECOND
    part = partition.PartitionWriter(tmp_path, 4096, lambda: now[0])

    part.begin_anew(60 * SECOND)
    assert len(list_segments(tmp_path)) == 1
    now[0] += 60 * SECOND
    part.begin_anew(60 * SECOND)
    now[0] += 60 * SECOND
    part.begin_anew(60 * SECOND)
    part.close()

    assert len(list_segments(tmp_path)) == 2


def test_an_idle_log_forgets_what_was_accounted(tmp_path: Path) -> None:
    """With a writer that has nothing to do and a reader that commits, the request's bytes leave the disk."""
    log = EmbeddedLog(SMALL.model_copy(update={"segment_age_s": 0.01}), tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        await writer.append(an_entry(1))
        reader, position = log.reader().open("p000"), START

        def gone() -> bool:
            nonlocal position
            _, position = reader.read(position, 1 << 20)
            reader.commit(position)
            return not any(b"xxx" in segment.path.read_bytes() for segment in list_segments(tmp_path / "log" / "p000"))

        await asyncio.to_thread(eventually, gone)
        reader.close()

    with_writer(log, story)


def test_a_full_disk_does_not_keep_a_commit_from_making_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even the note of the commit cannot be written, the files before it are deleted all the same."""
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        for number in range(3):
            await writer.append(an_entry(number, size=3000))

    with_writer(log, story)
    reader, position = log.reader().open("p000"), START
    for _ in range(2):
        _, position = reader.read(position, 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(reader_module, "write_committed", full)
    reader.commit(position)
    reader.close()

    assert numbers(log) == [2]


def test_a_full_log_says_so_once_and_takes_more_when_it_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At `max_bytes` of what nobody has read, senders are asked to wait and nothing is deleted; one line each way."""
    log = EmbeddedLog(SMALL.model_copy(update={"max_bytes": 1 << 16}), tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        # A segment is its header of 16 bytes and one record of a little over 3,000: 21 of them fit into 65,536.
        taken = 21
        for number in range(taken):
            await writer.append(an_entry(number, size=3000))
        for _ in range(2):
            with pytest.raises(Retryable, match="full until the dataflow has read on"):
                await writer.append(an_entry(taken, size=3000))
        assert numbers(log) == list(range(taken))
        reader, position = log.reader().open("p000"), START
        for _ in range(3):
            _, position = reader.read(position, 1)
        reader.commit(position)
        reader.close()
        await writer.append(an_entry(100, size=3000))
        assert numbers(log) == [*range(3, taken), 100]

    with_writer(log, story)
    said = capsys.readouterr().out
    assert (said.count("log_full"), said.count("log_has_room")) == (1, 1)


def test_a_log_that_could_fill_up_for_good_is_refused() -> None:
    """The files that may still grow never fill the log: max_bytes below twice their size is refused, exactly there."""
    LogConfig(partitions=4, segment_bytes=1 << 20, commit_bytes=1 << 20, max_bytes=8 << 20)
    with pytest.raises(ValidationError, match="write 8388608 or more"):
        LogConfig(partitions=4, segment_bytes=1 << 20, commit_bytes=1 << 20, max_bytes=(8 << 20) - 1)
