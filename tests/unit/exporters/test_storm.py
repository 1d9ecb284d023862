"""A burst, or an endpoint that took nothing for a while: what is told together, and what is left out."""

import asyncio
from collections import Counter
from functools import partial
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
from tokensense_otel.core.insight import Insight, Severity, Status
from tokensense_otel.exporters import Reject, Retry
from tokensense_otel.exporters.delivery.digest import digest
from tokensense_otel.exporters.delivery.merge import superseded
from tokensense_otel.store.held import Waiting
from tokensense_otel.store.outbox import Outbox, State

F, U, R = Status.FIRING, Status.UPDATE, Status.RESOLVED


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return store(tmp_path)


@pytest.mark.parametrize(
    ("lane", "tried", "told", "gone"),
    [
        ([F, R], 0, False, [0, 1]),
        ([F, U, R], 0, False, [0, 1, 2]),
        ([F, R], 1, True, []),
        ([F, U, U, R], 1, True, [1, 2]),
        ([U, U, R], 0, True, [0, 1]),
        ([F, U, U], 0, False, [1]),
        ([U, U], 1, True, []),
        ([F], 0, False, []),
    ],
)
def test_what_waits_is_merged_but_never_what_was_tried(
    lane: list[Status], tried: int, told: bool, gone: list[int]
) -> None:
    """Untold and over: nothing of it. Else the newest update alone; the first `tried` messages stay whatever came."""
    waiting = [Waiting(number, status, number < tried) for number, status in enumerate(lane)]
    assert sorted(superseded(waiting, told=told)) == gone


def attempts_are(engine: Engine, count: int) -> bool:
    """Whether the oldest delivery was tried so often, the last verdict on record."""
    oldest = Outbox(engine).listing()[-1] if states(engine) else None
    return oldest is not None and oldest.attempts == count and oldest.next_ns > 0 and oldest.ambiguous == count


def many(count: int) -> list[Insight]:
    return [an_insight(episode=f"ep_{n}", scope={"team": f"team-{n}"}) for n in range(count)]


def test_a_digest_says_how_many_of_what_and_names_the_gravest() -> None:
    """Counts by kind, rule and team; ten by name, grave and dear ones first; the id depends on what is in it only."""
    dear = an_insight(episode="ep_d", severity=Severity.HIGH, title="dear", estimated_monthly_savings_usd="9.5")
    grave = an_insight(episode="ep_g", severity=Severity.HIGH, title="grave")
    over = an_insight(R, episode="ep_o", severity=Severity.HIGH, title="over")
    told = digest([over, *many(20), grave, dear])
    assert told.title == "23 findings at once: 22 began, 1 ended"
    assert told.summary.startswith("high SPIKE: dear; high SPIKE: grave; low SPIKE: ")
    assert told.summary.endswith("; and 13 more.")
    assert (told.severity, told.rule, told.tenant) == (Severity.HIGH, "DIGEST", "default")
    assert told.evidence["by_rule"] == {"SPIKE": 23}
    assert told.evidence["gravest"][:2] == [dear.id, grave.id]
    assert digest([over, dear]).id == digest([over, dear]).id != digest([dear]).id
    assert digest([an_insight(tenant="a"), an_insight(tenant="b")]).tenant == "several"


def test_a_burst_at_a_slow_endpoint_is_told_in_digests(engine: Engine) -> None:
    """600 findings at one message a second would take ten minutes: the slow one gets digests, the fast one all."""
    slow, fast, clock = Scripted(), Scripted(), FakeClock()
    chat = named(slow, "chat", min_interval_s=1, digest_after_s=120)

    async def run() -> None:
        async with running(engine, clock, chat, named(fast, "hook", max_in_flight=64)) as ring:
            put(engine, *many(600))
            while not ended(engine, 600, "chat")():
                clock.advance(1)
                ring.wake()
                await asyncio.sleep(0.01)
            await until(ended(engine, 600, "hook"), 60)

    asyncio.run(run())
    assert len(slow.sent) <= 6
    assert len(fast.sent) == 600
    told = Counter(each.reason for each in Outbox(engine).listing(exporter="chat", limit=600))
    assert told["told in a digest"] >= 590
    assert set(states(engine, "chat")) == {State.DELIVERED}
    assert all(book.balanced for book in Outbox(engine).audit())


def test_a_digest_that_is_refused_leaves_no_finding_untold(engine: Engine) -> None:
    """After the refusal each goes by itself; after a passing failure the digest is tried again."""
    exporter, clock = Scripted([Retry("HTTP 500"), Reject("too long")]), FakeClock()
    chat = named(exporter, min_interval_s=1, digest_after_s=5)

    async def run() -> None:
        async with running(engine, clock, chat) as ring:
            put(engine, *many(20))
            while not ended(engine, 20)():
                clock.advance(1)
                ring.wake()
                await asyncio.sleep(0.01)

    asyncio.run(run())
    digests = [name for name, _ in exporter.sent if name.startswith("dg_")]
    assert len(digests) == 2
    assert len({name for name, _ in exporter.sent if name.startswith("in_")}) == 20
    assert set(states(engine)) == {State.DELIVERED}


def test_few_messages_are_never_a_digest(engine: Engine) -> None:
    """What can be told in time is told one by one."""
    exporter, clock = Scripted(), FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(exporter, min_interval_s=1, digest_after_s=120)) as ring:
            put(engine, *many(5))
            while not ended(engine, 5)():
                clock.advance(1)
                ring.wake()
                await asyncio.sleep(0.01)

    asyncio.run(run())
    assert len(exporter.sent) == 5


def test_what_came_and_went_while_an_endpoint_was_down_is_left_out(engine: Engine) -> None:
    """Five failures open the breaker. When it is back: nothing that is over, the newest update of what is not."""
    exporter, clock = Scripted([Retry("HTTP 503", ambiguous=True)] * 5), FakeClock()
    first = story("ep_first", F)
    waiting = [*story("ep_over"), *story("ep_on", F, U), an_insight(U, episode="ep_on", id="in_newest")]

    async def run() -> None:
        async with running(engine, clock, named(exporter, max_in_flight=1)) as ring:
            put(engine, *first)
            for tries in range(1, 6):
                await until(partial(attempts_are, engine, tries))
                if tries == 5:
                    put(engine, *waiting)
                    await until(lambda: len(states(engine)) == 6)
                clock.advance(400)
                ring.wake()
            await until(ended(engine, 6))

    asyncio.run(run())
    assert [name for name, _ in exporter.sent[5:]] == [first[0].id, story("ep_on", F)[0].id, "in_newest"]
    reasons = Counter(each.reason for each in Outbox(engine).listing() if each.state is State.SUPPRESSED)
    assert reasons == {"over before it could be told": 2, "a newer one waits as well": 1}
    assert all(book.balanced for book in Outbox(engine).audit())


def test_an_exporter_that_wants_all_of_it_gets_all_of_it(engine: Engine) -> None:
    """With `merge_waiting: false` nothing is left out, however long it waited."""
    exporter, clock = Scripted([Retry("HTTP 503")]), FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(exporter, merge_waiting=False)) as ring:
            put(engine, *story("ep_1", F, U), an_insight(U, id="in_newer"), an_insight(R))
            await until(reason_is(engine, "HTTP 503"))
            clock.advance(600)
            ring.wake()
            await until(ended(engine, 4))

    asyncio.run(run())
    assert len(exporter.sent) == 5
