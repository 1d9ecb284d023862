"""Several writers on one log, each with partitions of its own, as several receivers on one port have them."""

import asyncio
import contextlib
import itertools
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.calls import NOON
from tests.support.small_log import an_entry
from tokensense_otel.core.errors import ConfigError, Retryable
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.files import partition_names
from tokensense_otel.receiver.log.log import START
from tokensense_otel.receiver.log.share import WHOLE, Share
from tokensense_otel.receiver.log.writer import EmbeddedWriter

CONFIG = LogConfig(partitions=4, max_bytes=1 << 20, segment_bytes=4096, commit_bytes=4096)
MANY = 6
"""More than there are partitions: each writer comes round to all of its own."""


@contextlib.asynccontextmanager
async def opened(log: EmbeddedLog, *shares: Share) -> AsyncIterator[list[EmbeddedWriter]]:
    writers = [log.writer(share) for share in shares]
    async with contextlib.AsyncExitStack() as stack:
        for writer in writers:
            await writer.start()
            stack.push_async_callback(writer.stop)
        yield writers


def by_partition(log: EmbeddedLog) -> dict[str, list[int]]:
    """The numbers of all entries."""
    reader, found = log.reader(), dict[str, list[int]]()
    for name in reader.partitions():
        part, position = reader.open(name), START
        while (batch := part.read(position, 1 << 20))[0]:
            position = batch[1]
            found.setdefault(name, []).extend(entry.received_ns for entry in batch[0])
        part.close()
    return found


def all_of(log: EmbeddedLog) -> list[int]:
    return sorted(number for found in by_partition(log).values() for number in found)


@pytest.mark.parametrize("of", [1, 2, 3, 4])
def test_shares_are_all_partitions_once(of: int) -> None:
    """Whatever the number of processes, each partition is the own one of exactly one of them, and none has nothing."""
    shares = [Share(number, of).among(partition_names(4)) for number in range(1, of + 1)]
    assert sorted(name for share in shares for name in share) == ["p000", "p001", "p002", "p003"]
    assert all(shares)


def test_each_writes_partitions_of_its_own(tmp_path: Path) -> None:
    """Two writers at once: everything is read once, the first's in partitions 0 and 2, the second's in 1 and 3."""
    log = EmbeddedLog(CONFIG, tmp_path / "log")

    async def story() -> None:
        async with opened(log, Share(1, 2), Share(2, 2)) as (first, second):
            for number in range(MANY):
                await first.append(an_entry(number))
                await second.append(an_entry(100 + number))

    asyncio.run(story())
    assert by_partition(log) == {
        "p000": [0, 2, 4],
        "p001": [100, 102, 104],
        "p002": [1, 3, 5],
        "p003": [101, 103, 105],
    }


@pytest.mark.parametrize("other", [WHOLE, Share(1, 2), Share(1, 3)], ids=["all", "the same half", "a third"])
def test_a_partition_has_one_writer(tmp_path: Path, other: Share) -> None:
    """A share that has a partition with a running one in common is refused, holds nothing after, and harms nobody."""
    log = EmbeddedLog(CONFIG, tmp_path / "log")

    async def story() -> None:
        async with opened(log, Share(1, 2)) as (first,):
            with pytest.raises(ConfigError, match="another receiver is writing to"):
                await log.writer(other).start()
            async with opened(log, Share(2, 2)) as (second,):
                await first.append(an_entry(1))
                await second.append(an_entry(2))

    asyncio.run(story())
    assert all_of(log) == [1, 2]


def test_another_number_of_processes_keeps_what_there_is(tmp_path: Path) -> None:
    """One writer, then three, then two: what each had written is read, in order within its partition."""
    log = EmbeddedLog(CONFIG, tmp_path / "log")

    async def story() -> None:
        numbers = itertools.count()
        for of in (1, 3, 2):
            async with opened(log, *(Share(number, of) for number in range(1, of + 1))) as writers:
                for writer in writers:
                    for _ in range(MANY):
                        await writer.append(an_entry(next(numbers)))

    asyncio.run(story())
    assert all_of(log) == list(range(MANY * (1 + 3 + 2)))
    assert all(found == sorted(found) for found in by_partition(log).values())


def test_a_predecessor_that_is_stopping_is_waited_for(tmp_path: Path) -> None:
    """With a wait, a writer starts as soon as the one before it, of another number of processes, has stopped."""
    log = EmbeddedLog(CONFIG, tmp_path / "log")

    async def story() -> None:
        async with opened(log, WHOLE) as (before,):
            after = log.writer(Share(2, 2), wait_s=30.0)
            starting = asyncio.create_task(after.start())
            await before.append(an_entry(1))
            assert not starting.done()
        await starting
        await after.append(an_entry(2))
        await after.stop()

    asyncio.run(story())
    assert all_of(log) == [1, 2]


def test_the_size_of_the_log_is_that_of_all(tmp_path: Path) -> None:
    """What one wrote 50 ms ago the others count: they stay below `max_bytes` together, and go on when there is room."""
    ticks = itertools.count(NOON, 50_000_000)
    log = EmbeddedLog(CONFIG, tmp_path / "log", lambda: next(ticks))

    async def fill(writer: EmbeddedWriter) -> int:
        for number in range(1000):
            try:
                await writer.append(an_entry(number, size=3000))
            except Retryable as full:
                assert "the log is full" in str(full)  # noqa: PT017 - how many fitted is what is asked
                return number
        raise AssertionError("it never was full")

    async def story() -> None:
        async with opened(log, Share(1, 2), Share(2, 2)) as (first, second):
            await second.append(an_entry(0, size=3000))
            # 1 MiB holds 347 records of 3,000 bytes, each with its header and a file's.
            assert 330 < await fill(first) < 347
            assert await fill(second) == 0
            reader = log.reader()
            assert reader.status().disk_bytes <= CONFIG.max_bytes
            for name in ("p000", "p002"):
                part, position = reader.open(name), START
                while (batch := part.read(position, 1 << 20))[0]:
                    position = batch[1]
                part.commit(position)
                part.close()
            assert await fill(second) > 300
            assert await fill(first) == 0

    asyncio.run(story())


def test_a_folder_that_is_deleted_is_made_again_by_all(tmp_path: Path) -> None:
    """After the log's folder was deleted, every writer goes on in one new folder, and none takes another's part."""
    log = EmbeddedLog(CONFIG, tmp_path / "log")

    async def story() -> None:
        async with opened(log, Share(1, 2), Share(2, 2)) as (first, second):
            await first.append(an_entry(1))
            await second.append(an_entry(2))
            shutil.rmtree(tmp_path / "log")
            await first.append(an_entry(3))
            await second.append(an_entry(4))
            with pytest.raises(ConfigError, match="another receiver is writing to"):
                await log.writer().start()

    asyncio.run(story())
    assert all_of(log) == [3, 4]
