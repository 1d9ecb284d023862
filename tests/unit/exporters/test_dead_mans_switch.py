"""The dead man's switch: a signal while everything works, and silence when anything does not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine

from tokensense_otel.exporters.dead_mans_switch.config import DeadMansSwitchConfig
from tokensense_otel.exporters.dead_mans_switch.pulse import Pulse, Turn
from tokensense_otel.exporters.dead_mans_switch.switch import DeadMansSwitch
from tokensense_otel.exporters.testing.fault_server import Fault, FaultServer
from tokensense_otel.store.database import open_database
from tokensense_otel.store.heartbeats import read_heartbeats
from tokensense_otel.store.rollups import RollupWriter

SECOND = 1_000_000_000
START = 1_000 * SECOND


def _pulse() -> Pulse:
    return Pulse(every_s=60, max_lag_s=180, started_ns=START)


@pytest.mark.parametrize(("lag_s", "sends"), [(0, True), (180, True), (181, False)])
def test_it_sends_while_the_newest_heartbeat_is_young(lag_s: int, sends: bool) -> None:
    """Up to the greatest lag, and no second longer."""
    assert _pulse().judge(START, START + lag_s * SECOND).send is sends


@pytest.mark.parametrize(("after_s", "sends"), [(59, False), (60, True)])
def test_it_sends_so_often(after_s: int, sends: bool) -> None:
    """A minute after the signal before, if that was taken."""
    pulse = _pulse()
    pulse.sent(START)
    assert pulse.judge(START + 50 * SECOND, START + after_s * SECOND).send is sends


def test_a_start_is_no_alarm_and_no_all_clear() -> None:
    """Before a heartbeat came nothing is sent; that none came is told after the greatest lag, once."""
    pulse = _pulse()
    turns = [pulse.judge(0, START + after * SECOND) for after in (0, 180, 181, 300)]
    assert [verdict.send for verdict in turns] == [False] * 4
    assert [verdict.turn for verdict in turns] == [None, None, Turn.LOST, None]


def test_an_old_heartbeat_from_before_a_restart_says_nothing_yet() -> None:
    """What was stamped before an outage is no sign of life now, and no fault of this start either."""
    verdict = _pulse().judge(START - 3_600 * SECOND, START + SECOND)
    assert (verdict.send, verdict.turn) == (False, None)


def test_loss_and_return_are_each_told_once() -> None:
    """However often it looks in between."""
    pulse = _pulse()
    seen = [(START, 0), (START, 181), (START, 200), (START + 200 * SECOND, 201), (START + 200 * SECOND, 205)]
    turns = [pulse.judge(beat, START + now * SECOND).turn for beat, now in seen]
    assert turns == [None, Turn.LOST, None, Turn.BACK, None]


class Watched:
    """A switch over a real store and a real server, on a clock of the test's."""

    def __init__(self, folder: Path, server: FaultServer, **options: Any) -> None:
        self.engine: Engine = open_database("sqlite", data_dir=folder)
        self.now = START
        self.delivers = True
        plain = {"url": server.url("/ping"), "allow_private": True}
        self.switch = DeadMansSwitch(
            DeadMansSwitchConfig.model_validate(plain | options),
            self.engine,
            receivers=["receiver"],
            delivers=lambda: self.delivers,
            clock=lambda: self.now,
        )

    def beat(self) -> None:
        RollupWriter(self.engine, "p0", None, lambda: 0).write({}, {}, [], heartbeats={"receiver": self.now})

    async def look(self, after_s: float) -> None:
        self.now += round(after_s * SECOND)
        await self.switch.look()

    async def end(self) -> None:
        await self.switch.stop()
        self.engine.dispose()


def test_signals_follow_heartbeats_through_the_store(tmp_path: Path) -> None:
    """None before the first, one a minute while they come, none once the last is too old; each is passed on."""

    async def story() -> None:
        with FaultServer() as server:
            watched = Watched(tmp_path, server, headers={"authorization": "GenieKey k"})
            await watched.look(0)
            assert server.requests == []
            for _ in range(5):
                watched.beat()
                await watched.look(30)
            assert read_heartbeats(watched.engine).exporters == watched.now - 30 * SECOND
            assert len(server.requests) == 3  # at 30, 90 and 150 seconds
            assert (server.requests[0].method, server.requests[0].path) == ("POST", "/ping")
            assert server.requests[0].headers["authorization"] == "GenieKey k"
            assert server.requests[0].body == b'{"status":"ok","pipeline_lag_seconds":30.0}'
            await watched.look(300)
            assert len(server.requests) == 3
            await watched.end()

    asyncio.run(story())


def test_exporters_that_do_not_deliver_pass_nothing_on(tmp_path: Path) -> None:
    """Heartbeats in the store are worth nothing while nobody is told of insights."""

    async def story() -> None:
        with FaultServer() as server:
            watched = Watched(tmp_path, server)
            watched.beat()
            watched.delivers = False
            await watched.look(1)
            assert server.requests == []
            assert read_heartbeats(watched.engine).exporters == 0
            await watched.end()

    asyncio.run(story())


def test_a_signal_that_is_not_taken_is_sent_again_at_the_next_look(tmp_path: Path) -> None:
    """The other side was away for a moment: it hears of us as soon as it is back."""

    async def story() -> None:
        with FaultServer() as server:
            server.next(Fault(503))
            watched = Watched(tmp_path, server)
            watched.beat()
            await watched.look(1)
            await watched.look(5)
            await watched.look(5)
            assert len(server.requests) == 2
            await watched.end()

    asyncio.run(story())


def test_without_a_url_heartbeats_are_passed_on_all_the_same(tmp_path: Path) -> None:
    """`/readyz` and the metrics need them too."""

    async def story() -> None:
        with FaultServer() as server:
            watched = Watched(tmp_path, server, url="")
            watched.beat()
            await watched.look(1)
            assert server.requests == []
            assert read_heartbeats(watched.engine).exporters == START
            await watched.end()

    asyncio.run(story())


def test_a_private_address_is_refused_unless_allowed(tmp_path: Path) -> None:
    """As for every other destination, and it is no reason to fall over."""

    async def story() -> None:
        with FaultServer() as server:
            watched = Watched(tmp_path, server, allow_private=False)
            watched.beat()
            await watched.look(1)
            assert server.connections == 0
            await watched.end()

    asyncio.run(story())


def test_the_url_is_a_secret_and_has_to_be_one() -> None:
    """Its id is the password of the check; what is no URL is refused without being shown."""
    assert "hunter2" not in repr(DeadMansSwitchConfig.model_validate({"url": "https://hc-ping.com/hunter2"}))
    with pytest.raises(ValidationError) as refused:
        DeadMansSwitchConfig.model_validate({"url": "hc-ping.com/hunter2"})
    assert "hunter2" not in str(refused.value)
