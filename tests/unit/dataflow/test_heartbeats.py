"""A heartbeat goes from the log through the dataflow into the store, and is nobody's traffic."""

from pathlib import Path

from sqlalchemy import Engine

from tests.support.road import Road
from tests.support.spans import a_request, an_otlp_span
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.deltas import Deltas
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.log.heartbeat import heartbeat
from tokensense_otel.store.database import open_database
from tokensense_otel.store.heartbeats import Heartbeats, pass_on, read_heartbeats
from tokensense_otel.store.rollups import RollupWriter


def test_a_heartbeat_changes_no_sum() -> None:
    """Between requests, alone or many: spans, calls and rejections are those of the requests."""
    request = Entry(Signal.TRACES, "default", "", 5, a_request(an_otlp_span({"http.route": "/"})).SerializeToString())
    road = Road()
    road.take([heartbeat("receiver", 3), request, heartbeat("receiver", 9), heartbeat("receiver-2", 7)])
    assert road.total() == Accounting(spans=1, not_genai=1)
    assert road.books.heartbeats == {"receiver": 9, "receiver-2": 7}


def test_gathered_writes_keep_the_newest() -> None:
    """Whatever order they are merged in."""
    one, other = Deltas(heartbeats={"a": 5, "b": 1}), Deltas(heartbeats={"a": 3, "b": 2})
    one.merge(other)
    assert one.heartbeats == {"a": 5, "b": 2}
    assert one.trimmed().heartbeats == one.heartbeats
    assert not one.empty


def _write(engine: Engine, beats: dict[str, int]) -> None:
    RollupWriter(engine, "p0", None, lambda: 0).write({}, {}, [], heartbeats=beats)


def test_the_store_knows_how_far_heartbeats_came(tmp_path: Path) -> None:
    """Of each process the newest, and what the exporters passed on; reading an old one again takes nothing back."""
    engine = open_database("sqlite", data_dir=tmp_path)
    assert read_heartbeats(engine) == Heartbeats({}, 0)
    _write(engine, {"receiver": 100, "receiver-2": 70})
    _write(engine, {"receiver": 90})
    pass_on(engine, 60)
    assert read_heartbeats(engine) == Heartbeats({"receiver": 100, "receiver-2": 70}, 60)
    engine.dispose()


def test_the_one_furthest_behind_counts() -> None:
    """A process that never beat is furthest behind of all; one that is not configured does not count."""
    beats = Heartbeats({"receiver": 100, "receiver-2": 70, "receiver-9": 1}, 0)
    assert beats.oldest(["receiver", "receiver-2"]) == 70
    assert beats.oldest(["receiver", "receiver-3"]) == 0
