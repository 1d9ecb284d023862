"""Heartbeats are put on the log by the way that requests take, and nothing takes them for a request."""

import asyncio

import pytest

from tests.support.receiving import NOW, MemoryLog, running
from tokensense_otel.core.errors import Retryable
from tokensense_otel.receiver.heart import Heart
from tokensense_otel.receiver.log.entry import Entry, Signal, decode_entry, encode_entry
from tokensense_otel.receiver.log.heartbeat import heartbeat, heartbeat_of


def test_a_heartbeat_says_whose_it_is_after_its_way_over_the_disk() -> None:
    """What is written to the log and read again is the heartbeat of the same process, at the same time."""
    entry = decode_entry(encode_entry(heartbeat("receiver-2", 7)))
    assert (heartbeat_of(entry), entry.received_ns) == ("receiver-2", 7)


@pytest.mark.parametrize(
    "entry",
    [
        Entry(Signal.TRACES, "default", "", 7, b""),
        Entry(Signal.TRACES, "heartbeat:receiver", "", 7, b""),
        Entry(Signal.TRACES, "\0heartbeat:receiver", "", 7, b"\x0a\x00"),
    ],
)
def test_a_request_is_no_heartbeat(entry: Entry) -> None:
    """Neither an empty request, nor one of a tenant with such a name, nor one with something in it."""
    assert heartbeat_of(entry) == ""


def test_a_running_receiver_beats() -> None:
    """From start to stop, under its name, with the time of its clock."""

    async def story() -> None:
        log = MemoryLog()
        async with running(log, heartbeat_s=0.001), asyncio.timeout(10):
            await log.waiting.wait()
        assert {(heartbeat_of(entry), entry.received_ns) for entry in log.entries} == {("receiver", NOW)}

    asyncio.run(story())


def test_a_beat_that_the_log_refuses_is_missed_and_the_next_one_made() -> None:
    """A full disk stops heartbeats for as long as it stops requests, and no longer."""

    async def story() -> None:
        log = MemoryLog(Retryable("the log is full"), Retryable("the log is full"))
        heart = Heart("receiver", log, 0.001, lambda: NOW)
        heart.start()
        async with asyncio.timeout(10):
            while not log.entries:
                log.waiting.clear()
                await log.waiting.wait()
                await asyncio.sleep(0)
        await heart.stop()
        assert log.failures == []

    asyncio.run(story())
