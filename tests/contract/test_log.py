"""What every log promises, whatever it is made of. A new implementation adds itself to `LOGS`."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from tokensense_otel.core.errors import Retryable, TooLarge
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.log.log import START, LogReader, LogWriter, PartitionReader, Position

MIB = 1 << 20


class Log(Protocol):
    """A log under test: its two sides, opened anew by each call, and a way to damage an entry."""

    def writer(self) -> LogWriter: ...
    def reader(self) -> LogReader: ...


def _embedded(folder: Path) -> Log:
    config = LogConfig(partitions=2, max_bytes=MIB, segment_bytes=64 * 1024, commit_bytes=64 * 1024)
    return EmbeddedLog(config, folder / "log")


LOGS: dict[str, Callable[[Path], Log]] = {"embedded": _embedded}


@pytest.fixture(params=LOGS.values(), ids=list(LOGS))
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    make: Callable[[Path], Log] = request.param
    return make(tmp_path)


def an_entry(number: int, size: int = 10) -> Entry:
    return Entry(Signal.TRACES, "acme", "web", number, b"x" * size)


async def appended(writer: LogWriter, entries: Sequence[Entry], *, together: bool = False) -> None:
    await writer.start()
    try:
        if together:
            await asyncio.gather(*(writer.append(entry) for entry in entries))
        else:
            for entry in entries:
                await writer.append(entry)
    finally:
        await writer.stop()


def read_from(partition: PartitionReader, position: Position = START, max_bytes: int = MIB) -> list[Entry]:
    entries: list[Entry] = []
    while True:
        batch, position = partition.read(position, max_bytes)
        if not batch:
            return entries
        entries.extend(batch)


def numbers(log: Log) -> list[int]:
    reader = log.reader()
    found: list[int] = []
    for name in reader.partitions():
        partition = reader.open(name)
        found.extend(entry.received_ns for entry in read_from(partition))
        partition.close()
    return found


def test_everything_appended_is_read_once_and_whole(log: Log) -> None:
    """Each acknowledged entry is read exactly once per reading, as it was appended."""
    entries = [an_entry(number, size=number) for number in range(50)]
    asyncio.run(appended(log.writer(), entries))

    reader = log.reader()
    read = [entry for name in reader.partitions() for entry in read_from(reader.open(name))]

    assert sorted(read, key=lambda entry: entry.received_ns) == entries


def test_order_holds_within_a_partition(log: Log) -> None:
    """Entries appended one after the other are read in that order within each partition."""
    asyncio.run(appended(log.writer(), [an_entry(number) for number in range(50)]))

    reader = log.reader()
    for name in reader.partitions():
        order = [entry.received_ns for entry in read_from(reader.open(name))]
        assert order == sorted(order)


def test_concurrent_appends_are_all_kept(log: Log) -> None:
    """Appends that wait together are each acknowledged and each kept."""
    asyncio.run(appended(log.writer(), [an_entry(number) for number in range(200)], together=True))

    assert sorted(numbers(log)) == list(range(200))


def test_a_restarted_writer_adds_behind(log: Log) -> None:
    """What an earlier writer appended stays, in front of what the next one appends."""
    asyncio.run(appended(log.writer(), [an_entry(number) for number in range(4)]))
    asyncio.run(appended(log.writer(), [an_entry(number) for number in range(4, 8)]))

    reader = log.reader()
    for name in reader.partitions():
        order = [entry.received_ns for entry in read_from(reader.open(name))]
        assert order == sorted(order)
    assert sorted(numbers(log)) == list(range(8))


def test_reading_resumes_from_every_position(log: Log) -> None:
    """From each position handed out, reading gives exactly what had not been read when it was handed out."""
    asyncio.run(appended(log.writer(), [an_entry(number, size=20_000) for number in range(20)]))
    asyncio.run(appended(log.writer(), [an_entry(number, size=20_000) for number in range(20, 24)]))

    reader = log.reader()
    for name in reader.partitions():
        everything = read_from(reader.open(name))
        assert len(everything) > 4
        partition, position, seen = reader.open(name), START, 0
        while True:
            batch, position = partition.read(position, 1)
            if not batch:
                break
            seen += len(batch)
            assert read_from(reader.open(name), position) == everything[seen:]
        assert seen == len(everything)


def test_reading_at_the_end_says_that_nothing_is_there_yet(log: Log) -> None:
    """At the end there are no entries and the position stays; later appends are read from it."""

    async def story() -> None:
        writer = log.writer()
        await writer.start()
        await writer.append(an_entry(1))
        reader = log.reader()
        partitions = [reader.open(name) for name in reader.partitions()]
        ends = [partition.read(START, MIB)[1] for partition in partitions]
        assert [partition.read(end, MIB) for partition, end in zip(partitions, ends, strict=True)] == [
            ([], end) for end in ends
        ]
        for number in range(2, 6):
            await writer.append(an_entry(number))
        later = [read_from(partition, end) for partition, end in zip(partitions, ends, strict=True)]
        await writer.stop()
        assert sorted(entry.received_ns for batch in later for entry in batch) == [2, 3, 4, 5]

    asyncio.run(story())


def test_an_empty_log_can_be_read(log: Log) -> None:
    """A reader may be there before any writer ever was."""
    reader = log.reader()

    assert [reader.open(name).read(START, MIB)[0] for name in reader.partitions()] == [[], []]
    assert reader.status().uncommitted_bytes == 0


def test_only_what_was_committed_may_go(log: Log) -> None:
    """After a commit everything behind the committed position is still there."""
    asyncio.run(appended(log.writer(), [an_entry(number, size=20_000) for number in range(30)]))
    reader = log.reader()

    for name in reader.partitions():
        everything = read_from(reader.open(name))
        partition, position, seen = reader.open(name), START, 0
        while True:
            batch, position = partition.read(position, 1)
            if not batch:
                break
            seen += len(batch)
            partition.commit(position)
            assert read_from(reader.open(name), position) == everything[seen:]


def test_what_was_committed_makes_room(log: Log) -> None:
    """A log that is full takes appends again once its entries were read and committed."""

    async def story() -> None:
        writer = log.writer()
        await writer.start()
        accepted, refusal = 0, None
        while refusal is None:
            try:
                await writer.append(an_entry(accepted, size=50_000))
                accepted += 1
            except Retryable as error:
                refusal = error
        assert 0 < refusal.delay_s <= 2
        # The log holds 1 MiB, that is 20 entries of 50 kB and some space around them.
        assert 10 < accepted < 21
        assert sorted(numbers(log)) == list(range(accepted))

        reader = log.reader()
        for name in reader.partitions():
            partition, position = reader.open(name), START
            while True:
                batch, position = partition.read(position, MIB)
                if not batch:
                    break
            partition.commit(position)
        assert reader.status().uncommitted_bytes == 0
        await writer.append(an_entry(1000))
        await writer.stop()
        assert 1000 in numbers(log)

    asyncio.run(story())


def test_backlog_is_what_is_not_committed(log: Log) -> None:
    """The backlog counts appended bytes and falls with each commit, not with each read."""
    asyncio.run(appended(log.writer(), [an_entry(number, size=1000) for number in range(10)]))
    reader = log.reader()
    whole = reader.status().uncommitted_bytes
    # Ten bodies of 1000 bytes, and a few bytes around each.
    assert 10_000 < whole < 11_000

    partition = reader.open(reader.partitions()[0])
    _, position = partition.read(START, MIB)
    assert reader.status().uncommitted_bytes == whole
    partition.commit(position)
    assert reader.status().uncommitted_bytes == whole / 2


def test_an_entry_that_can_never_fit_is_refused_for_good(log: Log) -> None:
    """An entry larger than the log takes is TooLarge, not an endless retry; others go on."""

    async def story() -> None:
        writer = log.writer()
        await writer.start()
        with pytest.raises(TooLarge):
            await writer.append(an_entry(1, size=2 * MIB))
        await writer.append(an_entry(2))
        await writer.stop()

    asyncio.run(story())
    assert numbers(log) == [2]


def test_a_closed_writer_keeps_nothing_and_says_so(log: Log) -> None:
    """Appending before start and after stop is refused as retryable, and stop may come twice or first."""

    async def story() -> None:
        writer = log.writer()
        await writer.stop()
        with pytest.raises(Retryable):
            await writer.append(an_entry(1))
        await writer.start()
        await writer.append(an_entry(2))
        await writer.stop()
        await writer.stop()
        with pytest.raises(Retryable):
            await writer.append(an_entry(3))

    asyncio.run(story())
    assert numbers(log) == [2]


def test_stop_finishes_what_was_under_way(log: Log) -> None:
    """Appends that had begun before stop are acknowledged and kept."""

    async def story() -> None:
        writer = log.writer()
        await writer.start()
        appends = [asyncio.create_task(writer.append(an_entry(number))) for number in range(20)]
        await asyncio.sleep(0)
        await writer.stop()
        await asyncio.gather(*appends)

    asyncio.run(story())
    assert sorted(numbers(log)) == list(range(20))


def test_partitions_are_fixed(log: Log) -> None:
    """The names of the partitions are the same for every reader, and no other can be opened."""
    assert log.reader().partitions() == log.reader().partitions()
    with pytest.raises(ValueError, match="no partition"):
        log.reader().open("elsewhere")


def test_a_strange_position_is_a_programming_error(log: Log) -> None:
    """A position that no log ever handed out is refused, not guessed at."""
    reader = log.reader()
    with pytest.raises(ValueError, match="no position"):
        reader.open(reader.partitions()[0]).read("not a position", MIB)
