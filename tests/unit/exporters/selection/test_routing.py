"""Routes say which exporter gets a finding; what follows of it goes where its firing went."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.unit.exporters.support import (
    NOON,
    FakeClock,
    Scripted,
    an_insight,
    ended,
    put,
    running,
    store,
    story,
    until,
)
from tokensense_otel.core.insight import Severity, Status
from tokensense_otel.exporters import ExporterConfig, NamedExporter, Retry
from tokensense_otel.exporters.selection.config import RouteConfig
from tokensense_otel.exporters.selection.routing import is_routed
from tokensense_otel.store.held import HeldBack
from tokensense_otel.store.outbox import Outbox, State, Verdict


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return store(tmp_path)


def a_route(**keys: Any) -> RouteConfig:
    return RouteConfig.model_validate(keys)


def routed(exporter: Scripted, name: str, **keys: Any) -> NamedExporter:
    return NamedExporter(name, exporter, ExporterConfig.model_validate({"type": "scripted", **keys}))


HIGH = {"match": ["severity=high"]}
PAYMENTS = {"match": ["team=payments", "rule=~SPIKE|BUDGET"]}
OFFICE = {"days": ["thu"], "start": "08:00", "end": "12:00"}  # NOON is a Thursday


@pytest.mark.parametrize(
    ("routes", "team", "severity", "now_ns", "taken"),
    [
        ([], "checkout", Severity.LOW, NOON, True),
        ([HIGH], "checkout", Severity.HIGH, NOON, True),
        ([HIGH], "checkout", Severity.LOW, NOON, False),
        ([HIGH, PAYMENTS], "payments", Severity.LOW, NOON, True),
        ([PAYMENTS], "checkout", Severity.LOW, NOON, False),
        ([OFFICE], "checkout", Severity.LOW, NOON - 1, True),
        ([OFFICE], "checkout", Severity.LOW, NOON, False),
        ([{**OFFICE, **HIGH}], "checkout", Severity.HIGH, NOON - 1, True),
        ([{**OFFICE, **HIGH}], "checkout", Severity.LOW, NOON - 1, False),
    ],
)
def test_one_route_that_takes_it_is_enough(
    routes: list[dict[str, Any]], team: str, severity: Severity, now_ns: int, taken: bool
) -> None:
    """All matchers of a route have to hold, in its hours; no routes take everything."""
    insight = an_insight(scope={"team": team}, severity=severity)
    assert is_routed(insight, [a_route(**keys) for keys in routes], now_ns) is taken


def test_an_exporter_gets_its_findings_whole_and_no_others(engine: Engine) -> None:
    """The firing decides: its update and resolve follow; of a finding that is not routed nothing is accepted."""
    all_, some, clock = Scripted(), Scripted(), FakeClock()
    mine = [an_insight(status, severity=Severity.HIGH) for status in (Status.FIRING, Status.UPDATE)]
    over = an_insight(Status.RESOLVED, severity=Severity.LOW)  # as it would be if the configuration changed meanwhile
    others = story("ep_2")

    async def run() -> None:
        async with running(engine, clock, routed(all_, "all"), routed(some, "some", routes=[HIGH])):
            put(engine, *mine, *others)
            await until(ended(engine, 4, "all"))
            put(engine, over)
            await until(ended(engine, 5, "all"))
            await until(ended(engine, 3, "some"))

    asyncio.run(run())
    assert [sent for sent, _ in some.sent] == [mine[0].id, mine[1].id, over.id]
    assert {book.exporter: book.accepted for book in Outbox(engine).audit()} == {"all": 5, "some": 3}


def test_hours_are_those_in_which_it_fires(engine: Engine) -> None:
    """Fired in the hours: the end is told after them. Fired after them: never told."""
    exporter, clock = Scripted(), FakeClock()
    early, late = an_insight(), an_insight(episode="ep_2", scope={"team": "search"})

    async def run() -> None:
        async with running(engine, clock, routed(exporter, "ops", routes=[{**OFFICE, "end": "12:01"}])) as ring:
            put(engine, early)
            await until(ended(engine, 1))
            clock.advance(60)
            put(engine, late, an_insight(Status.RESOLVED))
            ring.wake()
            await until(ended(engine, 2))

    asyncio.run(run())
    assert [body for _, body in exporter.sent] == ["firing", "resolved"]


def test_another_exporter_stands_in_for_one_that_fails(engine: Engine) -> None:
    """After the time it may take, the fallback gets the finding and its end, once each; the first still tries."""
    broken, other, clock = Scripted(100 * [Retry("HTTP 500")]), Scripted(), FakeClock()
    pager = routed(broken, "pager", fallback="mail", fallback_after_s=200)
    mail = routed(other, "mail", routes=[PAYMENTS])

    async def run() -> None:
        async with running(engine, clock, pager, mail) as ring:
            put(engine, an_insight())
            await until(lambda: len(broken.sent) == 1)
            clock.advance(199)
            ring.wake()
            await until(lambda: len(broken.sent) == 2)
            assert other.sent == []
            clock.advance(1)
            await until(lambda: len(other.sent) == 1)
            put(engine, an_insight(Status.RESOLVED))
            await until(lambda: len(other.sent) == 2)

    asyncio.run(run())
    assert [body for _, body in other.sent] == ["firing", "resolved"]
    books = {book.exporter: book for book in Outbox(engine).audit()}
    assert (books["mail"].delivered, books["mail"].accepted, books["pager"].pending) == (2, 2, 2)
    assert all(book.balanced for book in books.values())


def test_a_fallback_that_has_it_anyway_is_not_told_twice(engine: Engine) -> None:
    """The fallback takes everything: standing in adds nothing."""
    broken, other, clock = Scripted(100 * [Retry("HTTP 500")]), Scripted(), FakeClock()

    async def run() -> None:
        pager = routed(broken, "pager", fallback="mail", fallback_after_s=1)
        async with running(engine, clock, pager, routed(other, "mail")) as ring:
            put(engine, an_insight())
            await until(ended(engine, 1, "mail"))
            clock.advance(400)
            ring.wake()
            await until(lambda: len(broken.sent) >= 2)

    asyncio.run(run())
    assert len(other.sent) == 1


def test_what_is_held_back_on_purpose_is_no_case_for_the_fallback(engine: Engine) -> None:
    """Somebody silenced it: that is no failure of the exporter."""
    outbox = Outbox(engine, lambda: NOON)
    outbox.register(["pager", "mail"])
    put(engine, an_insight())
    outbox.enqueue(["pager"])
    [delivery] = outbox.due("pager", NOON, 1)
    assert outbox.fall_back("pager", "mail", NOON - 1) == 0
    HeldBack(engine).hold(delivery, "sil_1", NOON + 10, "silence sil_1")
    assert outbox.fall_back("pager", "mail", NOON) == 0
    HeldBack(engine).release()
    assert outbox.fall_back("pager", "mail", NOON) == 1
    assert outbox.fall_back("pager", "mail", NOON) == 0
    assert [each.state for each in outbox.listing(exporter="mail")] == [State.PENDING]


def test_the_fallback_gets_what_follows_and_nothing_from_before(engine: Engine) -> None:
    """A firing that arrived is not told again after its update; an end that was merged away is told all the same."""
    outbox = Outbox(engine, lambda: NOON)
    outbox.register(["pager", "mail"])
    firing, update, end = story("ep_1", Status.FIRING, Status.UPDATE, Status.RESOLVED)
    put(engine, firing)
    outbox.enqueue(["pager"])
    outbox.record([(delivery, Verdict(state=State.DELIVERED)) for delivery in outbox.due("pager", NOON, 1)])
    put(engine, update)
    outbox.enqueue(["pager"])
    assert [outbox.fall_back("pager", "mail", NOON) for _ in range(2)] == [1, 0]
    put(engine, end)
    outbox.enqueue(["pager"])
    HeldBack(engine).suppress({each.id: "over" for each in outbox.listing(exporter="pager", state=State.PENDING)}, NOON)
    assert [outbox.fall_back("pager", "mail", NOON) for _ in range(2)] == [1, 0]
    assert [each.insight_id for each in reversed(outbox.listing(exporter="mail"))] == [update.id, end.id]
