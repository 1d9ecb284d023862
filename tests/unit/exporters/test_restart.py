"""The ring across stops, crashes, removed exporters and a store that fails: nothing is lost."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.unit.exporters.support import (
    FakeClock,
    Scripted,
    an_insight,
    ended,
    named,
    put,
    reason_is,
    running,
    states,
    store,
    story,
    until,
)
from tokensense_otel.exporters import EndpointDown, Payload, Reject
from tokensense_otel.exporters.delivery.ring import Ring
from tokensense_otel.exporters.muting.gate import Gate
from tokensense_otel.store.outbox import Outbox, State


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return store(tmp_path)


def test_stop_lets_what_is_under_way_end(engine: Engine) -> None:
    """A send that ends within the grace is recorded; what waits behind it is left for the next start."""
    exporter, clock = Scripted(), FakeClock()

    async def run() -> None:
        entered, release = asyncio.Event(), asyncio.Event()

        async def gate(_: Payload) -> None:
            entered.set()
            await release.wait()

        exporter.gate = gate
        ring = Ring(Outbox(engine, clock), [named(exporter)], gate=Gate(engine, {}, clock), clock=clock)
        await ring.start()
        put(engine, *story("ep_1"))
        await entered.wait()
        stopping = asyncio.create_task(ring.stop(grace_s=10.0))
        await asyncio.sleep(0)
        release.set()
        await stopping

    asyncio.run(run())
    assert states(engine) == [State.DELIVERED, State.PENDING]


def test_a_new_ring_sends_again_what_a_killed_one_had_under_way(engine: Engine) -> None:
    """Stopped without grace in the middle of a send, the same id is sent again; nothing is lost, order is kept."""
    clock = FakeClock()
    first, second = Scripted(), Scripted()

    async def cut_short() -> None:
        entered = asyncio.Event()

        async def gate(_: Payload) -> None:
            entered.set()
            await asyncio.Event().wait()

        first.gate = gate
        ring = Ring(Outbox(engine, clock), [named(first)], gate=Gate(engine, {}, clock), clock=clock)
        await ring.start()
        put(engine, *story("ep_1"))
        await entered.wait()
        await ring.stop(grace_s=0.0)

    async def again() -> None:
        async with running(engine, clock, named(second)):
            await until(ended(engine, 2))

    asyncio.run(cut_short())
    asyncio.run(again())
    assert first.sent == second.sent[:1]
    assert [body for _, body in second.sent] == ["firing", "resolved"]
    assert max(delivery.attempts for delivery in Outbox(engine).listing()) == 2


def test_stop_without_start_and_twice(engine: Engine) -> None:
    """Stopping is always safe."""

    async def run() -> None:
        ring = Ring(Outbox(engine), [named(Scripted())], gate=Gate(engine, {}, FakeClock()), clock=FakeClock())
        await ring.stop()
        await ring.stop()

    asyncio.run(run())


def test_a_removed_exporters_backlog_is_suppressed(engine: Engine) -> None:
    """Started without it, the ring ends what waited for it and says why."""
    clock = FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(Scripted([EndpointDown("x")]), "old")):
            put(engine, an_insight())
            await until(reason_is(engine, "x"))
        async with running(engine, clock, named(Scripted(), "new")):
            pass

    asyncio.run(run())
    assert states(engine, "old") == [State.SUPPRESSED]


def test_a_replay_by_hand_is_noticed(engine: Engine) -> None:
    """A dead letter that another process replays goes out without a restart."""
    exporter, clock = Scripted([Reject("x")]), FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(exporter)) as ring:
            put(engine, an_insight())
            await until(ended(engine, 1))
            Outbox(engine, clock).replay(exporter="ops")
            ring.wake()
            await until(lambda: states(engine) == [State.DELIVERED])

    asyncio.run(run())


def test_a_store_that_fails_for_a_moment_loses_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a verdict cannot be written at first, it is kept and written later; the message is not sent again."""
    exporter, clock = Scripted(), FakeClock()
    outbox = Outbox(engine, clock)
    record, failures = outbox.record, [OSError("disk full")]

    def fails_once(*args: object) -> None:
        if failures:
            raise failures.pop()
        record(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(outbox, "record", fails_once)

    async def run() -> None:
        ring = Ring(outbox, [named(exporter)], gate=Gate(engine, {}, clock), clock=clock)
        await ring.start()
        put(engine, an_insight())
        await until(lambda: not failures)
        ring.wake()
        await until(ended(engine, 1))
        await ring.stop()

    asyncio.run(run())
    assert len(exporter.sent) == 1
