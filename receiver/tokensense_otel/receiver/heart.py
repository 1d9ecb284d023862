"""The receiver's heart: puts a heartbeat on the log now and then, by the way that requests take."""

import asyncio

from tokensense_otel.core.component import Clock
from tokensense_otel.core.errors import TokenSenseError
from tokensense_otel.receiver.log.heartbeat import heartbeat
from tokensense_otel.receiver.log.log import LogWriter


class Heart:
    """Beats every `every_s` seconds from `start` to `stop`. Where the log takes nothing, a beat is missed: that is what
    others look for."""

    def __init__(self, name: str, writer: LogWriter, every_s: float, clock: Clock) -> None:
        self._name = name
        self._writer = writer
        self._every_s = every_s
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self._writer.append(heartbeat(self._name, self._clock()))
            except TokenSenseError:
                continue  # the log has told why
