"""The component as it is run: real sockets, a real store, and secrets that show up nowhere."""

import asyncio
import base64
import io
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import prometheus_client
import pytest
from sqlalchemy import Engine

from tests.unit.exporters.support import FakeClock, Scripted, an_insight, named, put, store, story, until
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.insight import Status
from tokensense_otel.exporters import Context, NamedExporter
from tokensense_otel.exporters.process import Exporters
from tokensense_otel.exporters.registry import load_exporters
from tokensense_otel.exporters.testing import Fault, FaultServer
from tokensense_otel.exporters.trial import send_test
from tokensense_otel.store.outbox import Outbox, State


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return store(tmp_path)


def configured(**sections: dict[str, Any]) -> list[NamedExporter]:
    return load_exporters(sections, base_dir=Path())


def webhook(server: FaultServer, **keys: Any) -> dict[str, Any]:
    return {"type": "webhook", "url": server.url("/hook"), "allow_private": True, **keys}


async def deliver(
    engine: Engine, exporters: list[NamedExporter], *, count: int, clock: FakeClock | None = None
) -> None:
    """Run until so many deliveries have an outcome."""
    outbox = Outbox(engine)
    component = Exporters(exporters, engine, clock or FakeClock())
    await component.start()
    try:
        put(engine, *story("ep_1"))
        await until(lambda: sum(bool(one.reason or one.ended_ns) for one in outbox.listing()) >= count)
    finally:
        await component.stop()


def test_an_insight_reaches_a_webhook(engine: Engine) -> None:
    """Firing and resolve arrive in order, signed, under their ids."""
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    with FaultServer() as server:
        asyncio.run(deliver(engine, configured(ops=webhook(server, secret=secret)), count=2))
    bodies = [json.loads(request.body) for request in server.requests]
    assert [body["type"] for body in bodies] == ["insight.firing", "insight.resolved"]
    assert [request.headers["webhook-id"] for request in server.requests] == [body["data"]["id"] for body in bodies]
    assert all(request.headers["webhook-signature"].startswith("v1,") for request in server.requests)


def test_a_retry_carries_the_same_id(engine: Engine) -> None:
    """After a reset that may have followed an arrival, the copy can be told by its id."""
    clock = FakeClock()

    async def run(server: FaultServer) -> None:
        component = Exporters(configured(ops=webhook(server)), engine, clock)
        await component.start()
        try:
            put(engine, an_insight())
            await until(lambda: bool(Outbox(engine).listing() and Outbox(engine).listing()[0].reason))
            clock.advance(6)  # the first pause is 5 s, with jitter at most 6 s; an idle look follows within a second
            await until(lambda: Outbox(engine).listing()[0].state is State.DELIVERED)
        finally:
            await component.stop()

    with FaultServer() as server:
        server.next(Fault(kind="reset"))
        asyncio.run(run(server))
    assert len({request.headers["webhook-id"] for request in server.requests}) == 1
    assert len(server.requests) == 2
    assert Outbox(engine).listing()[0].ambiguous == 1


def test_slack_gets_plain_text_after_it_refused_blocks(engine: Engine) -> None:
    """On 400 invalid_blocks the same insight goes out as text, at once."""
    with FaultServer() as server:
        server.next(Fault(400, body=b"invalid_blocks"))
        section = {"type": "slack", "webhook_url": server.url("/s"), "allow_private": True, "min_interval_s": 0}
        asyncio.run(deliver(engine, configured(chat=section), count=2))
        first, second = (json.loads(request.body) for request in server.wait_for(2)[:2])
    assert set(first) == {"text", "blocks"}
    assert set(second) == {"text"}


@pytest.mark.parametrize(
    ("body", "state"),
    [
        (b"ok", State.DELIVERED),
        (b"", State.DELIVERED),
        (b'{"ok":true}', State.DELIVERED),
        (b"<html>", State.DELIVERED),
        (b"no_service", State.PENDING),
        (b'{"ok":false,"error":"invalid_auth"}', State.PENDING),
        (b'{"ok":false,"error":"ratelimited","retry_after":3}', State.PENDING),
        (b"rollup_error", State.PENDING),
        (b'{"ok":false,"error":"something_new"}', State.DEAD),
        (b"msg_too_long", State.DEAD),
    ],
)
def test_slack_can_fail_with_a_200(engine: Engine, body: bytes, state: State) -> None:
    """A word for an error in a 200 is that error; any other body is a success."""
    [firing] = story("ep_1", Status.FIRING)

    async def run(server: FaultServer) -> None:
        keys = {"type": "slack", "webhook_url": server.url("/s"), "allow_private": True, "min_interval_s": 0}
        component = Exporters(configured(chat=keys), engine, FakeClock())
        await component.start()
        try:
            put(engine, firing)
            await until(lambda: any(one.ended_ns or one.next_ns for one in Outbox(engine).listing()))
        finally:
            await component.stop()

    with FaultServer(Fault(200, body=body)) as server:
        asyncio.run(run(server))
    assert [delivery.state for delivery in Outbox(engine).listing()] == [state]


def test_pagerduty_gets_its_key(engine: Engine) -> None:
    """Trigger and resolve, one dedup key, the routing key in each."""
    with FaultServer(Fault(202, body=b'{"status":"success"}')) as server:
        keys = {"type": "pagerduty", "routing_key": "R0", "url": server.url("/v2/enqueue"), "allow_private": True}
        asyncio.run(deliver(engine, configured(duty=keys | {"min_interval_s": 0}), count=2))
    events = [json.loads(request.body) for request in server.requests]
    assert [event["event_action"] for event in events] == ["trigger", "resolve"]
    assert {event["routing_key"] for event in events} == {"R0"}
    assert len({event["dedup_key"] for event in events}) == 1


def test_the_console_prints(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """One line an insight, on standard output."""
    asyncio.run(deliver(engine, configured(console={"type": "console"}), count=2))
    lines = [line for line in capsys.readouterr().out.splitlines() if "SPIKE team=checkout" in line]
    assert [line.split()[1] for line in lines] == ["FIRING", "RESOLVED"]


def test_a_closed_standard_output_keeps_the_messages(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be printed waits."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("tokensense_otel.exporters.console.exporter.sys", SimpleNamespace(stdout=closed))
    asyncio.run(deliver(engine, configured(console={"type": "console"}), count=1))
    assert {delivery.state for delivery in Outbox(engine).listing()} == {State.PENDING}


def test_no_secret_shows_up_anywhere(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Endpoints that echo what they got, and every kind of failure: not in output, logs, metrics, rows or reprs."""
    canary = "canary" * 5 + "ca"  # 32 characters that are base64 of 24 bytes as well
    caplog.set_level(logging.DEBUG)
    echo = f"you sent {canary} to /{canary}/x?{canary} with whsec_{canary} and Bearer {canary}".encode()
    for fault in (Fault(401, body=echo), Fault(400, body=echo), Fault(500, body=echo), Fault(429), Fault(kind="reset")):
        with FaultServer(fault) as server:
            common = {"allow_private": True, "min_interval_s": 0}
            url = server.url(f"/{canary}/x?{canary}")
            headers = {"Authorization": f"Bearer {canary}"}
            exporters = configured(
                ops={"type": "webhook", "url": url, "secret": f"whsec_{canary}", "headers": headers, **common},
                chat={"type": "slack", "webhook_url": url, **common},
                duty={"type": "pagerduty", "routing_key": canary, "url": url, **common},
            )
            asyncio.run(deliver(engine, exporters, count=3))
            results = [asyncio.run(send_test(one)) for one in exporters]
        shown = f"{exporters!r} {results!r} {Outbox(engine).listing(limit=1000)!r}"
        assert "you sent ***" in shown or not fault.body.startswith(b"you")
        printed = capsys.readouterr()
        seen = shown + printed.out + printed.err + caplog.text + prometheus_client.generate_latest().decode()
        assert canary not in seen
        assert all(canary.encode() not in path.read_bytes() for path in tmp_path.glob("store.db*"))
        with engine.begin() as connection:
            for table in ("deliveries", "insights"):
                connection.exec_driver_sql(f"delete from {table}")


def test_an_exporter_that_cannot_start_stops_the_others(engine: Engine) -> None:
    """The error names it; what was started before is closed again."""

    class Broken(Scripted):
        async def start(self, context: Context) -> None:
            raise OSError("no such device")

    fine, broken = Scripted(), Broken()
    component = Exporters([named(fine, "fine"), named(broken, "broken")], engine)

    async def run() -> None:
        with pytest.raises(ConfigError, match=r"exporters\.broken: it could not be started: OSError: no such device"):
            await component.start()

    asyncio.run(run())
    assert (fine.closed, broken.closed) == (1, 1)


def test_start_stop_start(engine: Engine) -> None:
    """Stopping before a start, twice and between starts is safe, and each start delivers."""
    exporter = Scripted()
    component = Exporters([named(exporter)], engine, FakeClock())

    async def run() -> None:
        await component.stop()
        for number in range(2):
            await component.start()
            put(engine, an_insight(episode=f"ep_{number}"))
            await until(lambda count=number + 1: len(exporter.sent) == count)  # type: ignore[misc]
            await component.stop()
            await component.stop()

    asyncio.run(run())
    assert len(exporter.sent) == 2


def trial(fault: Fault, **keys: Any) -> tuple[FaultServer, Any]:
    with FaultServer(fault) as server:
        [one] = configured(ops=webhook(server, **keys))
        return server, asyncio.run(send_test(one, clock=FakeClock()))


def test_a_trial_sends_one_marked_insight() -> None:
    """It says what it is, and how long it took."""
    server, result = trial(Fault())
    assert (result.ok, result.verdict, result.receipt) == (True, "delivered", {"status": 200})
    assert result.latency_ms > 0
    [request] = server.requests
    assert json.loads(request.body)["data"]["title"] == "Test message from TokenSense"


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (Fault(400), "rejected"),
        (Fault(401), "endpoint down"),
        (Fault(429), "throttled"),
        (Fault(500), "failed"),
        (Fault(kind="reset"), "failed"),
    ],
)
def test_a_trial_tells_what_is_wrong(fault: Fault, verdict: str) -> None:
    """Each outcome has its word and says why."""
    _, result = trial(fault)
    assert (result.ok, result.verdict) == (False, verdict)
    assert result.detail


def test_a_trial_of_a_private_address_names_the_key() -> None:
    """Loopback without `allow_private` says which key to set."""
    server, result = trial(Fault(), allow_private=False)
    assert result.verdict == "endpoint down"
    assert "allow_private" in result.detail
    assert server.connections == 0


def test_a_trial_leaves_no_incident_open() -> None:
    """What keeps state gets the resolve after the trigger."""
    with FaultServer(Fault(202, body=b"{}")) as server:
        keys = {"type": "pagerduty", "routing_key": "R0", "url": server.url(), "allow_private": True}
        [one] = configured(duty=keys)
        assert asyncio.run(send_test(one)).ok
    assert [json.loads(request.body)["event_action"] for request in server.requests] == ["trigger", "resolve"]


def test_a_trial_of_a_broken_exporter_is_a_result() -> None:
    """Whatever an exporter raises is told and not raised."""
    result = asyncio.run(send_test(named(Scripted([ZeroDivisionError("oops")]))))
    assert (result.verdict, result.detail) == ("bug", "ZeroDivisionError: oops")
