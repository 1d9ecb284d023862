"""The ring over a real store while something is muted: what waits, what is told after it, and balanced books."""

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
    ended,
    named,
    put,
    running,
    store,
    story,
    until,
)
from tokensense_otel.core.insight import Status
from tokensense_otel.core.mutes import Mute, MuteKind, parse_matcher
from tokensense_otel.exporters import EndpointDown
from tokensense_otel.exporters.muting.config import MaintenanceConfig
from tokensense_otel.store.mutes import Mutes
from tokensense_otel.store.outbox import Outbox, State

HOUR = 3600


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return store(tmp_path)


def silence(engine: Engine, *matchers: str, hours: float = 1, kind: MuteKind = MuteKind.SILENCE) -> Mute:
    return Mutes(engine).add(
        kind,
        [parse_matcher(text) for text in matchers or ("team=checkout",)],
        starts_ns=NOON,
        ends_ns=NOON + int(hours * HOUR * SECOND),
        by="ada",
        reason="migration",
        now_ns=NOON,
    )


def reasons(engine: Engine) -> list[tuple[State, str]]:
    return [(each.state, each.reason) for each in reversed(Outbox(engine).listing())]


def held(engine: Engine, count: int = 1) -> bool:
    return sum("silence" in reason or "maintenance" in reason for _, reason in reasons(engine)) == count


def balanced(engine: Engine) -> bool:
    return all(book.balanced for book in Outbox(engine).audit())


def test_a_silenced_finding_is_told_when_the_silence_ends_and_it_is_still_so(engine: Engine) -> None:
    """Held for the hour with its reason on record, then sent; another team's is sent at once."""
    exporter, clock = Scripted(), FakeClock()
    mute = silence(engine)
    other, third = (an_insight(episode=f"ep_{n}", scope={"team": "search"}) for n in (2, 3))

    async def run() -> None:
        async with running(engine, clock, named(exporter)) as ring:
            put(engine, an_insight(), other)
            await until(ended(engine, 1))
            await until(lambda: held(engine))
            assert reasons(engine)[0] == (
                State.PENDING,
                f"silence {mute.id} by ada until 2026-01-01T13:00:00Z: migration",
            )
            clock.advance(HOUR - 1)
            ring.wake()
            put(engine, third)  # a whole turn of the loop
            await until(ended(engine, 2))
            clock.advance(1)
            ring.wake()
            await until(ended(engine, 3))

    asyncio.run(run())
    assert [sent for sent, _ in exporter.sent] == [other.id, third.id, an_insight().id]
    assert balanced(engine)


def test_what_is_over_before_the_silence_ends_is_never_told(engine: Engine) -> None:
    """Firing and resolve within the silence: both are suppressed with a reason, at once and not only at its end."""
    exporter, clock = Scripted(), FakeClock()
    silence(engine)

    async def run() -> None:
        async with running(engine, clock, named(exporter)):
            put(engine, an_insight())
            await until(lambda: held(engine))
            put(engine, an_insight(Status.RESOLVED))
            await until(ended(engine, 2))

    asyncio.run(run())
    assert exporter.sent == []
    assert reasons(engine) == 2 * [(State.SUPPRESSED, "over before it was told: it was muted")]
    assert balanced(engine)


def test_an_acknowledged_finding_is_quiet_until_its_end(engine: Engine) -> None:
    """Told, acknowledged, updated twice, resolved: the receiver hears the firing and the end."""
    exporter, clock = Scripted(), FakeClock()
    firing, update, resolved = story("ep_1", Status.FIRING, Status.UPDATE, Status.RESOLVED)
    again = an_insight(Status.UPDATE, episode="ep_1", id="in_again")

    async def run() -> None:
        async with running(engine, clock, named(exporter)):
            put(engine, firing)
            await until(ended(engine, 1))
            silence(engine, "episode=ep_1", kind=MuteKind.ACKNOWLEDGEMENT)
            put(engine, update, again)
            await until(lambda: any("acknowledgement" in reason for _, reason in reasons(engine)))
            put(engine, resolved)
            await until(ended(engine, 4))

    asyncio.run(run())
    assert [sent for sent, _ in exporter.sent] == [firing.id, resolved.id]
    assert balanced(engine)


def test_ending_a_silence_tells_what_it_held_back(engine: Engine) -> None:
    """No waiting for the planned end: firing and newest update go out, the update between is superseded."""
    exporter, clock = Scripted(), FakeClock()
    mute = silence(engine)
    firing, old = story("ep_1", Status.FIRING, Status.UPDATE)
    new = an_insight(Status.UPDATE, episode="ep_1", id="in_new")

    async def run() -> None:
        async with running(engine, clock, named(exporter)) as ring:
            put(engine, firing, old, new)
            await until(ended(engine, 1))
            assert Mutes(engine).end(mute.id, NOON + SECOND) is not None
            clock.advance(1)
            ring.wake()
            await until(ended(engine, 3))

    asyncio.run(run())
    assert [sent for sent, _ in exporter.sent] == [firing.id, new.id]
    assert reasons(engine)[1] == (State.SUPPRESSED, "a newer update waits as well")
    assert Mutes(engine).end(mute.id, NOON + 2 * SECOND) is None


def test_a_restart_looks_anew_at_what_a_removed_window_held(engine: Engine) -> None:
    """A maintenance window that is gone from the configuration holds nothing back any more."""
    exporter, clock = Scripted(), FakeClock()
    window = MaintenanceConfig.model_validate({"reason": "backup"})

    async def run() -> None:
        async with running(engine, clock, named(exporter), windows={"backup": window}):
            put(engine, an_insight())
            await until(lambda: held(engine))
        async with running(engine, clock, named(exporter)):
            await until(ended(engine, 1))

    asyncio.run(run())
    assert [state for state, _ in reasons(engine)] == [State.DELIVERED]


def test_a_probe_of_a_dead_endpoint_is_never_what_is_held_back(engine: Engine) -> None:
    """The oldest message probes; one that is held back is not that, whatever its age."""
    exporter, clock = Scripted([EndpointDown("HTTP 404")]), FakeClock()
    silence(engine)
    first, second = (an_insight(episode=f"ep_{n}", scope={"team": "search"}) for n in (2, 3))

    async def run() -> None:
        async with running(engine, clock, named(exporter)) as ring:
            put(engine, an_insight(), first)
            await until(lambda: held(engine) and any("404" in reason for _, reason in reasons(engine)))
            put(engine, second)
            clock.advance(61)
            ring.wake()
            await until(ended(engine, 2))

    asyncio.run(run())
    assert {sent for sent, _ in exporter.sent} == {first.id, second.id}
    assert reasons(engine)[0][0] is State.PENDING
