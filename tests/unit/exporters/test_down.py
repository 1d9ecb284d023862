"""An exporter that takes nothing is told of through the others, once, and so is its return."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.unit.exporters.support import (
    NOON,
    SECOND,
    FakeClock,
    Scripted,
    an_insight,
    named,
    put,
    running,
    store,
    until,
)
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.exporters import EndpointDown, Receipt, Retry, Throttle
from tokensense_otel.exporters.delivery.down import RULE, Health, Outages
from tokensense_otel.store.insights import list_insights
from tokensense_otel.store.outbox import Outbox

AGO = NOON - 300 * SECOND


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return store(tmp_path)


def told(engine: Engine) -> list[Insight]:
    return [insight for _, insight in list_insights(engine, rule=RULE)]


def look(outages: Outages, health: dict[str, Health], waiting: dict[str, int], now_ns: int) -> list[Insight]:
    said: list[Insight] = []
    outages.look(health, waiting, now_ns, said.append)
    return said


def test_what_could_not_be_told_is_told_at_the_next_look() -> None:
    """A store that is locked for a moment loses neither the outage nor its end."""

    def locked(_insight: Insight) -> None:
        raise OSError("locked")

    outages, down, up = Outages(()), {"chat": Health(AGO, 0, "HTTP 404")}, {"chat": Health(None, NOON, "")}
    for health, status in ((down, Status.FIRING), (up, Status.RESOLVED)):
        with pytest.raises(OSError, match="locked"):
            outages.look(health, {}, NOON, locked)
        assert [each.status for each in look(outages, health, {}, NOON)] == [status]


def test_it_is_down_after_five_minutes_without_a_delivery() -> None:
    """Not a moment earlier, and once; the numbers, the reason and what to do are in it."""
    outages = Outages(())
    assert look(outages, {"chat": Health(AGO + 1, 0, "HTTP 404")}, {"chat": 3}, NOON) == []
    [firing] = look(outages, {"chat": Health(AGO, 0, "HTTP 404")}, {"chat": 3}, NOON)
    assert (firing.scope, firing.started_at) == ({"exporter": "chat"}, "2026-01-01T11:55:00Z")
    assert firing.evidence["waiting_deliveries"] == 3
    assert firing.summary.endswith("and 3 wait. The reason: HTTP 404")
    assert look(outages, {"chat": Health(AGO, 0, "HTTP 404")}, {"chat": 4}, NOON + SECOND) == []


def test_a_delivery_ends_it_and_a_new_start_does_not() -> None:
    """What an earlier process told stays open until something arrives, or until it is no longer configured."""
    [firing] = look(Outages(()), {"chat": Health(AGO, 0, "HTTP 404")}, {}, NOON)
    again = Outages([firing])
    assert look(again, {"chat": Health(None, 0, "")}, {}, NOON) == []
    [over] = look(again, {"chat": Health(None, NOON, "")}, {}, NOON)
    assert (over.status, over.episode_id, over.summary) == (
        Status.RESOLVED,
        firing.episode_id,
        "It takes messages again.",
    )
    [removed] = look(Outages([firing]), {}, {}, NOON)
    assert removed.summary == "It is no longer configured."


def test_the_others_hear_of_it(engine: Engine) -> None:
    """A dead endpoint becomes a finding, delivered by the one that works, and ends with the first success."""
    broken, fine, clock = Scripted([EndpointDown("HTTP 404")] * 6), Scripted(), FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(broken, "chat"), named(fine, "hook")) as ring:
            put(engine, an_insight())
            await until(lambda: len(broken.sent) == 1)
            for _ in range(5):
                clock.advance(61)
                ring.wake()
                await asyncio.sleep(0.05)
            await until(lambda: len(told(engine)) == 1)
            await until(lambda: len(fine.sent) == 2)
            broken.script.clear()
            clock.advance(61)
            ring.wake()
            await until(lambda: len(told(engine)) == 2)

    asyncio.run(run())
    assert [each.status for each in told(engine)] == [Status.FIRING, Status.RESOLVED]


@pytest.mark.parametrize("outcome", [Retry("HTTP 500"), Throttle("HTTP 429", after=1), Receipt()])
def test_a_passing_failure_or_a_throttle_is_no_outage(engine: Engine, outcome: Exception | Receipt) -> None:
    """Only an endpoint that took nothing for five minutes is down."""
    exporter, clock = Scripted([outcome]), FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(exporter)) as ring:
            put(engine, an_insight())
            await until(lambda: len(exporter.sent) == 1)
            clock.advance(10)
            ring.wake()
            await until(lambda: Outbox(engine).audit()[0].delivered == 1)
            clock.advance(400)
            ring.wake()
            await asyncio.sleep(0.05)

    asyncio.run(run())
    assert told(engine) == []


def test_what_ended_long_ago_is_forgotten_and_still_counted(engine: Engine) -> None:
    """Thirty days after: the row goes, the audit stays; a finding that is open keeps its receipts."""
    clock = FakeClock()
    outbox = Outbox(engine, clock)
    exporter = Scripted()

    async def run() -> None:
        async with running(engine, clock, named(exporter)):
            outbox.tell(an_insight())
            outbox.tell(an_insight(episode="ep_2", scope={"team": "search"}))
            outbox.tell(an_insight(Status.RESOLVED, episode="ep_2", scope={"team": "search"}))
            await until(lambda: bool(outbox.audit()) and outbox.audit()[0].delivered == 3)

    asyncio.run(run())
    before = outbox.audit()
    assert outbox.trim(clock()) == 0
    assert outbox.trim(clock() + 1) == 2
    assert outbox.audit() == before
    assert [each.episode_id for each in outbox.listing()] == ["ep_1"]
