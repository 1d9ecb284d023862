"""A receiver on free ports over a log in memory that can be told to fail."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tokensense_otel.receiver.config import ReceiverConfig
from tokensense_otel.receiver.log.entry import Entry
from tokensense_otel.receiver.server import Receiver

NOW = 1_767_225_600_000_000_000


class MemoryLog:
    """A `LogWriter`. `failures` are raised one after the other by the next appends; `gate` holds appends back."""

    def __init__(self, *failures: Exception) -> None:
        self.entries: list[Entry] = []
        self.failures = list(failures)
        self.gate: asyncio.Event | None = None
        self.waiting = asyncio.Event()
        self.started = self.stopped = 0

    async def start(self) -> None:
        self.started += 1

    async def append(self, entry: Entry) -> None:
        self.waiting.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.entries.append(entry)

    async def stop(self) -> None:
        self.stopped += 1


def receiver_config(**settings: Any) -> ReceiverConfig:
    """Free ports, and whatever else is given."""
    free = {"grpc": {"endpoint": "127.0.0.1:0"}, "http": {"endpoint": "127.0.0.1:0"}}
    return ReceiverConfig.model_validate({**free, **settings})


@contextlib.asynccontextmanager
async def running(log: MemoryLog, **settings: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver(receiver_config(**settings), log, lambda: NOW)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()
