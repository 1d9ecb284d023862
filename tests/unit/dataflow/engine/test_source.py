"""The source commits only what is durable, ends when asked, and keeps log time."""

import threading
from datetime import timedelta

import pytest

from tests.support.calls import NOON, SECOND
from tokensense_otel.dataflow.clock import LogClock
from tokensense_otel.dataflow.engine.source import LogPartition, Stop
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.log.log import START, Position


class FakeReader:
    """A partition of entries at positions 1, 2, 3, …"""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.committed: list[Position] = []
        self.closed = False

    def read(self, position: Position, max_bytes: int) -> tuple[list[Entry], Position]:
        at = int(position or 0)
        some = self.entries[at : at + 1]
        return some, str(at + len(some)) if some else position

    def commit(self, position: Position) -> None:
        self.committed.append(position)

    def close(self) -> None:
        self.closed = True


def entry(number: int) -> Entry:
    return Entry(Signal.TRACES, "default", "", NOON + number * SECOND, b"")


class Source:
    """A partition under test with its hands out."""

    def __init__(self, entries: int, *, drain_s: float = 5) -> None:
        self.reader = FakeReader([entry(number) for number in range(entries)])
        self.requested = threading.Event()
        self.monotonic = 0.0
        self.clock = LogClock(lambda: NOON + 3600 * SECOND)
        self.part = LogPartition(
            "p000",
            self.reader,
            START,
            batch_bytes=1,
            idle=timedelta(milliseconds=20),
            clock=self.clock,
            stop=Stop(self.requested, drain_s, lambda: self.monotonic),
        )


def test_nothing_is_committed_before_the_poll_after_its_snapshot() -> None:
    """The log may forget an entry only once the snapshot behind it is proven durable, and no later one."""
    source = Source(3)
    source.part.next_batch()
    assert source.part.snapshot() == "1"
    assert source.reader.committed == []

    source.part.next_batch()

    assert source.reader.committed == ["1"]


def test_a_stop_reads_what_is_on_the_log_first() -> None:
    """Entries that are there when the stop is asked for are still handed out, then the source ends."""
    source = Source(2)
    source.part.next_batch()
    source.requested.set()

    assert source.part.next_batch() == [entry(1)]
    assert source.part.next_batch() == []
    with pytest.raises(StopIteration):
        source.part.next_batch()


def test_a_stop_looks_again_at_a_log_that_was_empty() -> None:
    """What came between the last look, which found nothing, and the stop is handed out before the source ends."""
    source = Source(0)
    assert source.part.next_batch() == []
    source.reader.entries.append(entry(0))
    source.requested.set()

    assert source.part.next_batch() == [entry(0)]


def test_a_stop_with_a_long_backlog_ends_at_its_deadline() -> None:
    """After `drain_s` the source ends although entries wait; they are read after the next start."""
    source = Source(100, drain_s=5)
    source.requested.set()
    source.part.next_batch()
    source.monotonic = 5.0

    with pytest.raises(StopIteration):
        source.part.next_batch()
    assert source.part.snapshot() == "1"


def test_an_empty_log_is_looked_at_again_after_the_idle_wait() -> None:
    """A source with entries is polled at once, an empty one waits."""
    source = Source(1)
    source.part.next_batch()
    assert source.part.next_awake() is None

    source.part.next_batch()

    assert source.part.next_awake() is not None


def test_log_time_is_the_oldest_unread_reception_until_everything_is_read() -> None:
    """While one partition lags, now is when its entry was received; drained partitions do not hold time back."""
    clock = LogClock(lambda: NOON + 3600 * SECOND)
    clock.read("p000", NOON)
    clock.read("p001", NOON + 60 * SECOND)
    assert clock.now() == NOON

    clock.drained("p000")
    assert clock.now() == NOON + 60 * SECOND

    clock.drained("p001")
    assert clock.now() == NOON + 3600 * SECOND
