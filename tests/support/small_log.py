"""A small embedded log under test: one partition, files of 4 KiB, at most 1 MiB."""

import asyncio
from collections.abc import Awaitable, Callable

from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.entry import Entry, Signal
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
