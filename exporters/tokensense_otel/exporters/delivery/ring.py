"""The ring: moves new insights into the outbox, and runs one sender for each exporter so that none delays another.

Delivery: at least once, in order within an episode. All state is in the outbox; a new ring carries on where a killed
one was.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from tokensense_otel.core.component import Clock
from tokensense_otel.exporters import events
from tokensense_otel.exporters.config import ExporterConfig
from tokensense_otel.exporters.delivery.down import RULE, Outages
from tokensense_otel.exporters.delivery.policy import Policy, policy_of
from tokensense_otel.exporters.delivery.sender import Sender
from tokensense_otel.exporters.exporter import NamedExporter
from tokensense_otel.exporters.muting.gate import Gate
from tokensense_otel.exporters.selection.routing import is_routed
from tokensense_otel.store.intake import Wants
from tokensense_otel.store.outbox import Outbox

P = ParamSpec("P")
R = TypeVar("R")

POLL_S = 0.1
"""How often the store is asked for new insights: one look at the end of an index."""

_GAUGE_EVERY = 50  # polls
_LOOK_EVERY = 10
_TRIM_EVERY = 600
_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_KEPT_NS = 30 * 86_400 * _SECOND
"""How long what has ended stays on record, at least; docs/exporters.md says so."""


class Ring:
    def __init__(
        self,
        outbox: Outbox,
        exporters: Sequence[NamedExporter],
        *,
        gate: Gate,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
        policy: Callable[[ExporterConfig], Policy] = policy_of,
    ) -> None:
        self._outbox = outbox
        self._gate = gate
        self._names = [named.name for named in exporters]
        self._wants = {named.name: _wants(named, clock) for named in exporters if named.config.routes}
        self._fallbacks = {named.name: named.config for named in exporters if named.config.fallback}
        self._clock = clock
        self._outages = Outages(())
        # One thread: SQLite has one writer anyway, and the event loop never waits for a disk.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._senders = [
            Sender(named, outbox, gate, store=self._store, clock=clock, jitter=jitter, policy=policy(named.config))
            for named in exporters
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._pump: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._polled_ns = 0

    @property
    def delivers(self) -> bool:
        """Whether the outbox was looked at within the last minute and every exporter has its sender."""
        return self._clock() - self._polled_ns < _MINUTE and not any(task.done() for task in self._tasks)

    async def start(self) -> None:
        """Register the exporters and begin to deliver; what an earlier ring left is taken up."""
        await self._store(self._outbox.register, self._names)
        for name, count in (await self._store(self._outbox.retire, self._names)).items():
            events.SUPPRESSED(count, exporter=name, reason="removed", deliveries=count)
        await self._store(self._gate.reset)
        self._outages = Outages(await self._store(self._outbox.ongoing, RULE))
        self._tasks = [asyncio.create_task(sender.run()) for sender in self._senders]
        self._pump = asyncio.create_task(self._feed())

    async def stop(self, grace_s: float = 10.0) -> None:
        """Start no more sends, let those under way end for up to `grace_s`, leave the rest in the outbox."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
            self._pump = None
        for sender in self._senders:
            sender.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks = []
        await asyncio.to_thread(self._thread.shutdown)

    def wake(self) -> None:
        """Look for new insights and due deliveries now."""
        self._wake.set()
        for sender in self._senders:
            sender.wake()

    async def _feed(self) -> None:
        seen, polls = -1, 0
        while True:
            self._wake.clear()
            try:
                newest = await self._store(self._outbox.newest)
                if newest != seen:
                    accepted = await self._store(self._outbox.enqueue, self._names, self._wants)
                    seen = newest
                    if accepted:
                        events.ACCEPTED(accepted)
                        for name in self._names:
                            await self._store(self._gate.settle, name)
                        for sender in self._senders:
                            sender.wake()
                if polls % _LOOK_EVERY == 0:
                    await self._fall_back()
                    await self._store(self._look)
                if polls % _TRIM_EVERY == 0:
                    await self._store(self._outbox.trim, self._clock() - _KEPT_NS)
                if polls % _GAUGE_EVERY == 0:
                    for name, count in (await self._store(self._outbox.waiting, self._names)).items():
                        events.PENDING.set(count, exporter=name)
                polls += 1
                self._polled_ns = self._clock()
            except Exception as error:  # noqa: BLE001 - a full disk or a locked store must not end delivery
                events.RING_FAILED(part="outbox", error=str(error)[:1000])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()

    def _look(self) -> None:
        """Record which endpoints are down, and which are no longer: it is told as every finding is."""
        now = self._clock()
        health = {name: sender.health for name, sender in zip(self._names, self._senders, strict=True)}
        self._outages.look(health, self._outbox.waiting(self._names), now, self._outbox.tell)

    async def _fall_back(self) -> None:
        """Let the exporters that stand in for others deliver what those could not."""
        for name, config in self._fallbacks.items():
            overdue_ns = self._clock() - int(config.fallback_after_s * _SECOND)
            count = await self._store(self._outbox.fall_back, name, config.fallback, overdue_ns)
            if count:
                events.FELL_BACK(count, exporter=name, to=config.fallback, deliveries=count)
                self.wake()

    async def _store(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *args, **kwargs))


def _wants(named: NamedExporter, clock: Clock) -> Wants:
    return lambda insight: is_routed(insight, named.config.routes, clock())
