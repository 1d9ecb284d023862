"""What the delivery tests share: a store with insights in it, a clock that tests move, exporters that obey a script."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import Engine

from tests.support.calls import NOON, SECOND, an_insight
from tokensense_otel.core.insight import Insight, Status, encode_insight
from tokensense_otel.exporters import Context, ExporterConfig, NamedExporter, Payload, Receipt
from tokensense_otel.exporters.delivery.ring import Ring
from tokensense_otel.exporters.muting.config import MaintenanceConfig
from tokensense_otel.exporters.muting.gate import Gate
from tokensense_otel.store.database import open_database, writing
from tokensense_otel.store.outbox import Outbox, State
from tokensense_otel.store.schema import insights

__all__ = [
    "NOON",
    "SECOND",
    "FakeClock",
    "Scripted",
    "an_insight",
    "ended",
    "named",
    "put",
    "reason_is",
    "running",
    "states",
    "store",
    "story",
    "until",
]


class FakeClock:
    """Unix nanoseconds that move when a test says so."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


def store(folder: Path) -> Engine:
    return open_database("sqlite", data_dir=folder)


def put(engine: Engine, *added: Insight) -> None:
    """Insert insights as the dataflow would, in this order."""
    rows = [
        {
            "id": insight.id,
            "episode_id": insight.episode_id,
            "tenant": insight.tenant,
            "project": insight.project,
            "rule": insight.rule,
            "status": insight.status.value,
            "severity": insight.severity.value,
            "body": encode_insight(insight).decode(),
            "recorded_ns": NOON,
        }
        for insight in added
    ]
    with writing(engine).begin() as connection:
        connection.execute(insights.insert(), rows)


def story(episode: str, *statuses: Status) -> list[Insight]:
    """An episode's insights: firing and resolved unless other statuses are given."""
    return [an_insight(status, episode=episode) for status in statuses or (Status.FIRING, Status.RESOLVED)]


class Scripted:
    """An exporter that records what it was given and answers with the next of its script, else with a receipt."""

    Config = ExporterConfig

    def __init__(self, script: Iterable[Exception | Receipt] = (), *, fallback: str | None = None) -> None:
        self.script = deque(script)
        self.sent: list[tuple[str, str]] = []
        """(insight id, body) of each attempt."""
        self.priors: list[Receipt | None] = []
        self.closed = 0
        self.most_at_once = 0
        self._at_once = 0
        self._fallback = fallback
        self.gate: Callable[[Payload], Awaitable[None]] | None = None

    def render(self, insight: Insight) -> Payload:
        return Payload(insight.id, insight.episode_id, insight.status.value, self._fallback)

    async def start(self, context: Context) -> None:
        """Ready."""

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:
        self.sent.append((payload.id, str(payload.body)))
        self.priors.append(prior)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self.gate is not None:
                await self.gate(payload)
            answer = self.script.popleft() if self.script else Receipt({"id": payload.id})
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self._at_once -= 1

    async def aclose(self) -> None:
        self.closed += 1


def named(exporter: Scripted, name: str = "ops", **keys: float) -> NamedExporter:
    return NamedExporter(name, exporter, ExporterConfig.model_validate({"type": "scripted", **keys}))


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Let the loop run until the condition holds.

    Raises:
        TimeoutError: when it does not in time.
    """
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for is written by another thread
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running(
    engine: Engine, clock: FakeClock, *exporters: NamedExporter, windows: Mapping[str, MaintenanceConfig] | None = None
) -> AsyncIterator[Ring]:
    gate = Gate(engine, windows or {}, clock)
    ring = Ring(Outbox(engine, clock), exporters, gate=gate, clock=clock, jitter=lambda: 0.5)
    await ring.start()
    try:
        yield ring
    finally:
        await ring.stop(grace_s=0.2)


def states(engine: Engine, exporter: str = "ops") -> list[State]:
    """In the order of the insights."""
    return [delivery.state for delivery in reversed(Outbox(engine).listing(exporter=exporter, limit=100_000))]


def ended(engine: Engine, count: int, exporter: str = "ops") -> Callable[[], bool]:
    return lambda: sum(state is not State.PENDING for state in states(engine, exporter)) == count


def reason_is(engine: Engine, reason: str) -> Callable[[], bool]:
    return lambda: any(delivery.reason == reason for delivery in Outbox(engine).listing())
