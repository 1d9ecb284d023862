"""The sink writes soon, also when nothing follows, and never outside its epoch."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine

from tests.support.calls import NOON, SECOND, a_call, an_insight, posted
from tokensense_otel.dataflow.deltas import Deltas
from tokensense_otel.dataflow.engine.sink import StorePartition
from tokensense_otel.store.database import open_database
from tokensense_otel.store.insights import list_insights
from tokensense_otel.store.reader import read_usage
from tokensense_otel.store.rollups import RollupWriter


class Sink:
    """A partition with time and its timer in the test's hands."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = 0.0
        self.timers: list[Callable[[], None]] = []
        self.writer = RollupWriter(engine, "p0", None, lambda: NOON)
        self.part = StorePartition(
            self.writer, lambda: self.now, lambda _delay, call: self.timers.append(call), lambda: NOON
        )

    @property
    def calls(self) -> int:
        return sum(usage.calls for _, usage in read_usage(self.engine))


def one_call() -> Deltas:
    deltas = Deltas()
    deltas.post(posted(a_call()))
    return deltas


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    engine = open_database("sqlite", data_dir=tmp_path)
    yield Sink(engine)
    engine.dispose()


def test_a_write_after_a_quiet_moment_is_done_at_once(sink: Sink) -> None:
    """The first write, and any after a tenth of a second without one, is in the store when the call returns."""
    sink.part.write_batch([one_call()])
    assert sink.calls == 1

    sink.now = 0.1
    sink.part.write_batch([one_call()])

    assert (sink.calls, sink.timers) == (2, [])


def test_a_write_that_nothing_follows_is_done_by_the_timer(sink: Sink) -> None:
    """What is gathered does not wait for the end of the epoch; one timer serves all that is gathered."""
    sink.part.write_batch([one_call()])
    sink.part.write_batch([one_call()])
    sink.part.write_batch([one_call()])
    assert (sink.calls, len(sink.timers)) == (1, 1)

    sink.timers.pop()()

    assert sink.calls == 3


def test_an_insight_is_written_at_once_with_all_that_led_to_it(sink: Sink) -> None:
    """Nobody who is told of a finding can look and not find its calls."""
    sink.part.write_batch([one_call()])

    sink.part.write_batch([one_call(), an_insight()])

    assert (sink.calls, len(list_insights(sink.engine))) == (2, 1)


def test_a_snapshot_leaves_nothing_for_the_timer(sink: Sink) -> None:
    """All of an epoch is in the store before it can commit, and the late timer adds nothing."""
    sink.part.write_batch([one_call()])
    sink.part.write_batch([one_call()])

    assert sink.part.snapshot() == 1
    assert sink.calls == 2
    sink.timers.pop()()
    assert sink.calls == 2


def test_a_closed_sink_writes_nothing_more(sink: Sink) -> None:
    """What did not reach a snapshot is read again, so the timer of a closed sink may not write it as well."""
    sink.part.write_batch([one_call()])
    sink.part.write_batch([one_call()])
    sink.part.close()

    sink.timers.pop()()

    assert sink.calls == 1


def test_a_failure_of_the_timers_write_stops_the_flow(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that failed in the background fails the next batch and the snapshot, so its epoch cannot commit."""
    sink.part.write_batch([one_call()])
    sink.part.write_batch([one_call()])

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(sink.writer, "write", full)
    sink.timers.pop()()

    with pytest.raises(OSError, match="disk full"):
        sink.part.write_batch([one_call()])
    with pytest.raises(OSError, match="disk full"):
        sink.part.snapshot()


def test_the_way_to_the_books_is_timed_once_it_is_over(sink: Sink) -> None:
    """From the reception to the write: 0.5 s and 2 s, each counted when it is in the store, and what came of itself
    not at all."""

    def delays() -> tuple[float, float]:
        name = "tokensense_dataflow_commit_delay_seconds"
        count, total = (REGISTRY.get_sample_value(f"{name}_{kind}") for kind in ("count", "sum"))
        return count or 0, total or 0

    before = delays()
    first, second, third = one_call(), one_call(), one_call()
    first.since, second.since = {NOON - SECOND // 2}, {NOON - 2 * SECOND}
    sink.part.write_batch([first])
    assert delays() == (before[0] + 1, before[1] + 0.5)
    sink.part.write_batch([second, third])
    assert delays() == (before[0] + 1, before[1] + 0.5)  # gathered, not written

    sink.timers.pop()()

    assert delays() == (before[0] + 2, before[1] + 2.5)
