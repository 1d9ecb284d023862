"""The ring over a real store: what is put in the store arrives, in order, whatever fails and whoever is dead."""

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
from tokensense_otel.core.insight import Status
from tokensense_otel.exporters import EndpointDown, Payload, Receipt, Reject, Retry, Throttle
from tokensense_otel.exporters.delivery.policy import Policy
from tokensense_otel.exporters.delivery.ring import Ring
from tokensense_otel.exporters.muting.gate import Gate
from tokensense_otel.store.outbox import Outbox, State


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return store(tmp_path)


def test_an_insight_is_delivered_once(engine: Engine) -> None:
    """One insight, one send, one receipt in the outbox."""
    exporter, clock = Scripted(), FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(exporter)):
            put(engine, an_insight())
            await until(ended(engine, 1))

    asyncio.run(run())
    [delivery] = Outbox(engine).listing()
    assert (delivery.state, delivery.attempts) == (State.DELIVERED, 1)
    assert delivery.receipt == {"id": an_insight().id}
    assert exporter.sent == [(an_insight().id, "firing")]


def test_an_episode_goes_in_order_with_its_receipts(engine: Engine) -> None:
    """Firing, update and resolve go one by one, and each gets the receipt of the one before."""
    exporter, clock = Scripted(), FakeClock()
    told = story("ep_1", Status.FIRING, Status.UPDATE, Status.RESOLVED)

    async def run() -> None:
        async with running(engine, clock, named(exporter)):
            put(engine, *told)
            await until(ended(engine, 3))

    asyncio.run(run())
    assert [body for _, body in exporter.sent] == ["firing", "update", "resolved"]
    assert exporter.most_at_once == 1
    assert [prior and prior.data["id"] for prior in exporter.priors] == [None, told[0].id, told[1].id]


def test_episodes_do_not_wait_for_each_other(engine: Engine) -> None:
    """While one episode's firing hangs, others are sent, as many at once as allowed and no more."""
    exporter, clock = Scripted(), FakeClock()
    release = asyncio.Event()

    async def gate(payload: Payload) -> None:
        if payload.episode_id == "ep_0":
            await release.wait()

    exporter.gate = gate

    async def run() -> None:
        async with running(engine, clock, named(exporter, max_in_flight=3)):
            put(engine, *story("ep_0"), *(an_insight(episode=f"ep_{number}") for number in range(1, 9)))
            await until(ended(engine, 8))
            assert states(engine)[:2] == [State.PENDING, State.PENDING]
            release.set()
            await until(ended(engine, 10))

    asyncio.run(run())
    assert exporter.most_at_once <= 3


def test_a_failure_is_retried_when_its_time_has_come(engine: Engine) -> None:
    """After a failure the resolve waits behind its firing, which is sent again at 5 s and not before."""
    exporter, clock = Scripted([Retry("HTTP 500", ambiguous=True)]), FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(exporter)) as ring:
            put(engine, *story("ep_1"))
            await until(reason_is(engine, "HTTP 500"))
            clock.advance(4.999)
            ring.wake()
            put(engine, an_insight(episode="ep_2"))  # a whole turn of the loop
            await until(ended(engine, 1))
            assert [body for _, body in exporter.sent] == ["firing", "firing"]
            clock.advance(0.001)
            ring.wake()
            await until(ended(engine, 3))

    asyncio.run(run())
    assert [body for _, body in exporter.sent] == ["firing", "firing", "firing", "resolved"]
    assert exporter.sent[0] == exporter.sent[2]
    assert {delivery.ambiguous for delivery in Outbox(engine).listing()} == {0, 1}


def test_a_throttle_holds_the_whole_endpoint(engine: Engine) -> None:
    """Nothing goes to it before Retry-After, not even another episode; then everything does."""
    exporter, clock = Scripted([Throttle("HTTP 429", after=3)]), FakeClock()
    other = Scripted()

    async def run() -> None:
        async with running(engine, clock, named(exporter), named(other, "other")) as ring:
            put(engine, an_insight(episode="ep_1"))
            await until(reason_is(engine, "HTTP 429"))
            put(engine, an_insight(episode="ep_2"))
            clock.advance(2.999)
            ring.wake()
            await until(ended(engine, 2, "other"))
            assert len(exporter.sent) == 1
            clock.advance(0.001)
            ring.wake()
            await until(ended(engine, 2))

    asyncio.run(run())


def test_a_rejected_message_is_sent_in_short(engine: Engine) -> None:
    """The fallback goes out at once after a rejection, and its success is a delivery."""
    exporter, clock = Scripted([Reject("HTTP 400")], fallback="short"), FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(exporter)):
            put(engine, an_insight())
            await until(ended(engine, 1))

    asyncio.run(run())
    assert [body for _, body in exporter.sent] == ["firing", "short"]
    [delivery] = Outbox(engine).listing()
    assert (delivery.state, delivery.degraded, delivery.attempts) == (State.DELIVERED, True, 2)


def test_a_message_rejected_twice_is_a_dead_letter_and_its_lane_goes_on(engine: Engine) -> None:
    """The resolve is still sent: if the firing did arrive, nothing stays open."""
    exporter, clock = Scripted([Reject("HTTP 400"), Reject("HTTP 413")], fallback="short"), FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(exporter)):
            put(engine, *story("ep_1"))
            await until(ended(engine, 2))

    asyncio.run(run())
    assert states(engine) == [State.DEAD, State.DELIVERED]


def test_a_dead_endpoint_is_probed_and_gets_its_backlog_when_it_is_back(engine: Engine) -> None:
    """One send finds it dead, none follows for a minute, the probe succeeds, everything goes at once, in order."""
    exporter, clock = Scripted([EndpointDown("HTTP 401")]), FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(exporter, max_in_flight=1)) as ring:
            put(engine, *(an_insight(episode=f"ep_{number}") for number in range(5)))
            await until(reason_is(engine, "HTTP 401"))
            clock.advance(59.999)
            ring.wake()
            put(engine, an_insight(episode="ep_5"))
            await until(lambda: len(states(engine)) == 6)
            assert len(exporter.sent) == 1
            clock.advance(0.001)
            ring.wake()
            await until(ended(engine, 6))

    asyncio.run(run())
    assert [insight for insight, _ in exporter.sent[1:]] == [
        an_insight(episode=f"ep_{number}").id for number in range(6)
    ]


def test_a_probe_and_a_recovery_do_not_wait_for_the_schedule(engine: Engine) -> None:
    """Both messages are to be tried in an hour; a minute after the endpoint opened one probes, then the other goes."""
    exporter, clock = Scripted([Retry("HTTP 500"), Retry("HTTP 500")]), FakeClock()
    impatient = Policy(schedule_s=(3600,), failures_to_open=2, width=1)

    async def run() -> None:
        ring = Ring(
            Outbox(engine, clock),
            [named(exporter)],
            gate=Gate(engine, {}, clock),
            clock=clock,
            policy=lambda _: impatient,
        )
        await ring.start()
        try:
            put(engine, an_insight(episode="ep_1"), an_insight(episode="ep_2"))
            await until(lambda: [one.reason for one in Outbox(engine).listing()] == ["HTTP 500", "HTTP 500"])
            clock.advance(60)
            ring.wake()
            await until(ended(engine, 2))
        finally:
            await ring.stop()

    asyncio.run(run())
    assert [insight for insight, _ in exporter.sent] == [an_insight(episode=f"ep_{n}").id for n in (1, 2, 1, 2)]


def test_a_dead_exporter_delays_no_other(engine: Engine) -> None:
    """With one that hangs and one that is down, the third has everything."""
    clock = FakeClock()
    hanging, down, healthy = Scripted(), Scripted([EndpointDown("x")] * 100), Scripted()

    async def forever(_: Payload) -> None:
        await asyncio.Event().wait()

    hanging.gate = forever

    async def run() -> None:
        async with running(engine, clock, named(hanging, "hanging"), named(down, "down"), named(healthy, "healthy")):
            put(engine, *(an_insight(episode=f"ep_{number}") for number in range(50)))
            await until(ended(engine, 50, "healthy"))

    asyncio.run(run())
    assert set(states(engine, "hanging")) == set(states(engine, "down")) == {State.PENDING}
    assert all(books.balanced for books in Outbox(engine).audit())


@pytest.mark.parametrize("answer", [ZeroDivisionError("oops"), None, Receipt({"x": "y" * 3000}), KeyError()])
def test_a_buggy_exporter_harms_only_its_message(engine: Engine, answer: object) -> None:
    """An exception of its own, no receipt or a huge one are retried and said; the next message goes out."""
    exporter, clock = Scripted([answer]), FakeClock()  # type: ignore[list-item]

    async def run() -> None:
        async with running(engine, clock, named(exporter)):
            put(engine, an_insight(episode="ep_1"), an_insight(episode="ep_2"))
            await until(ended(engine, 1))

    asyncio.run(run())
    assert sorted(states(engine)) == [State.DELIVERED, State.PENDING]


def test_an_insight_that_cannot_be_rendered_is_a_dead_letter(engine: Engine) -> None:
    """Render is pure: it would fail again, so its lane goes on."""

    class Fussy(Scripted):
        def render(self, insight: object) -> Payload:
            if getattr(insight, "status", None) is Status.FIRING:
                raise ValueError("no")
            return super().render(insight)  # type: ignore[arg-type]

    exporter, clock = Fussy(), FakeClock()

    async def run() -> None:
        async with running(engine, clock, named(exporter)):
            put(engine, *story("ep_1"))
            await until(ended(engine, 2))

    asyncio.run(run())
    assert states(engine) == [State.DEAD, State.DELIVERED]
    assert reason_is(engine, "it could not be rendered (ValueError: no)")()


def test_a_send_that_never_ends_is_ended(engine: Engine) -> None:
    """Past the exporter's own deadline the ring's ends it: ambiguous, and tried again."""
    exporter, clock = Scripted(), FakeClock()

    async def forever(_: Payload) -> None:
        await asyncio.Event().wait()

    exporter.gate = forever

    async def run() -> None:
        async with running(engine, clock, named(exporter, timeout_s=0.01)):
            put(engine, an_insight())
            await until(reason_is(engine, "no answer in time"))

    asyncio.run(run())
    assert Outbox(engine).listing()[0].ambiguous == 1
