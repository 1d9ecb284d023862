"""The dead man's switch: passes heartbeats on from the store and tells the outside for as long as they come.

Delivery: at most once, every so often. It is the absence of a signal that means something, so none is made up for.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Engine

from tokensense_otel.core.component import Clock
from tokensense_otel.core.errors import TokenSenseError
from tokensense_otel.exporters import events
from tokensense_otel.exporters.dead_mans_switch.config import DeadMansSwitchConfig
from tokensense_otel.exporters.dead_mans_switch.pulse import Pulse, Turn
from tokensense_otel.exporters.http.client import HttpClient
from tokensense_otel.store.heartbeats import pass_on, read_heartbeats

_LOOK_S = 5.0


class DeadMansSwitch:
    """`receivers` are the processes whose heartbeats have to come; `delivers` says whether deliveries are made."""

    def __init__(
        self,
        config: DeadMansSwitchConfig,
        engine: Engine,
        *,
        receivers: Sequence[str],
        delivers: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._config = config
        self._engine = engine
        self._receivers = receivers
        self._delivers = delivers
        self._clock = clock
        self._pulse = Pulse(config.every_s, config.max_lag_s, clock())
        self._passed_ns = 0
        self._unreached = False
        self._http = HttpClient(
            allow_private=config.allow_private, deadline_s=config.timeout_s, connections=1, clock=clock
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._http.aclose()

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may be better, and silence tells
                events.SWITCH_FAILED(error=f"{type(error).__name__}: {error}"[:1000])
            await asyncio.sleep(min(_LOOK_S, self._config.every_s / 4))

    async def look(self) -> None:
        """Pass the newest heartbeat on, and tell the outside if that is due."""
        if self._delivers():
            self._passed_ns = await asyncio.to_thread(self._pass_on)
        verdict = self._pulse.judge(self._passed_ns, self._clock())
        if verdict.turn is Turn.LOST:
            events.HEARTBEAT_LOST(lag_s=verdict.lag_ns // 1_000_000_000)
        elif verdict.turn is Turn.BACK:
            events.HEARTBEAT_BACK()
        if verdict.send and self._config.url.get_secret_value():
            await self._tell(verdict.lag_ns)

    def _pass_on(self) -> int:
        beats = read_heartbeats(self._engine)
        newest = beats.oldest(self._receivers)
        if newest > beats.exporters:
            pass_on(self._engine, newest)
        return newest

    async def _tell(self, lag_ns: int) -> None:
        headers = {name: value.get_secret_value() for name, value in self._config.headers.items()}
        body = msgspec.json.encode({"status": "ok", "pipeline_lag_seconds": lag_ns / 1e9})
        try:
            await self._http.post(
                self._config.url.get_secret_value(), body, {"content-type": "application/json"} | headers
            )
        except TokenSenseError as error:
            if not self._unreached:
                events.SWITCH_UNREACHED(error=str(error)[:1000])
            self._unreached = True
            return
        self._unreached = False
        self._pulse.sent(self._clock())
        events.SWITCH_SENT()
