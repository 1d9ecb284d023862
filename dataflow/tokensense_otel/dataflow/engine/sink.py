"""Write usage, accounting, tallies, insights and the facts that explain them to the store.

Delivery: exactly once in effect for usage, accounting and tallies (see `store.rollups`), at least once with stable ids
for insights and facts. What was written in an epoch is in the store before the epoch can commit.
"""

import threading
from collections.abc import Callable

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from sqlalchemy import Engine

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.core.insight import Insight
from tokensense_otel.dataflow import events
from tokensense_otel.dataflow.deltas import Deltas
from tokensense_otel.dataflow.explain.keep import to_kept
from tokensense_otel.store.config import ExplainConfig
from tokensense_otel.store.rollups import RollupWriter

_PART = "p0"
# Under load, writes are gathered for this long; after a quiet moment they are done at once.
_GATHER_S = 0.1

Item = Deltas | Insight
Later = Callable[[float, Callable[[], None]], None]
"""Calls something once, so many seconds from now, in whatever thread."""


def later(delay_s: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(delay_s, call)
    timer.daemon = True
    timer.start()


class StorePartition(StatefulSinkPartition[Item, int]):
    """Bytewax gives a sink no timers, so what a lull would leave waiting until the epoch's end is written by one of its
    own. A failure there is raised in the engine's next call, and that of an epoch with data always comes."""

    def __init__(
        self, writer: RollupWriter, monotonic: Callable[[], float], later: Later, clock: Clock = system_clock
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._monotonic = monotonic
        self._later = later
        self._lock = threading.Lock()
        self._deltas = Deltas()
        self._written_at = monotonic() - _GATHER_S
        self._scheduled = False
        self._failure: Exception | None = None

    def write_batch(self, values: list[Item]) -> None:
        insights = [value for value in values if isinstance(value, Insight)]
        with self._lock:
            self._raise_failure()
            for value in values:
                if isinstance(value, Deltas):
                    self._deltas.merge(value)
            if insights or self._monotonic() - self._written_at >= _GATHER_S:
                self._flush(insights)
            elif not self._scheduled:
                self._scheduled = True
                self._later(_GATHER_S, self._flush_later)

    def _flush_later(self) -> None:
        with self._lock:
            self._scheduled = False
            try:
                self._flush([])
            except Exception as error:  # noqa: BLE001 - raised in the engine's thread, which restarts what it must
                self._failure = error

    def _flush(self, insights: list[Insight]) -> None:
        deltas, self._deltas = self._deltas.trimmed(), Deltas()
        if insights or not deltas.empty:
            spans = [to_kept(facts, received_ns) for received_ns, facts in deltas.seen if self._writer.keeps_spans]
            self._writer.write(deltas.usage, deltas.accounting, insights, deltas.tallies, spans, deltas.heartbeats)
            now_ns = self._clock()
            for received_ns in deltas.since:
                events.COMMIT_DELAY(max(0, now_ns - received_ns) / 1e9)
        self._written_at = self._monotonic()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def snapshot(self) -> int:
        with self._lock:
            self._raise_failure()
            self._flush([])
            return self._writer.snapshot()

    def close(self) -> None:
        """Forget what was not flushed: it belongs to an epoch that did not commit and is read again."""
        with self._lock:
            self._deltas = Deltas()


class StoreSink(FixedPartitionedSink[Item, int]):
    def __init__(
        self, engine: Engine, clock: Clock, monotonic: Callable[[], float], explain: ExplainConfig | None = None
    ) -> None:
        self._engine = engine
        self._explain = explain
        self._clock = clock
        self._monotonic = monotonic

    def list_parts(self) -> list[str]:
        return [_PART]

    def part_fn(self, item_key: str) -> int:  # noqa: ARG002 - there is one part
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> StorePartition:  # noqa: ARG002
        writer = RollupWriter(self._engine, for_part, resume_state, self._clock, self._explain)
        return StorePartition(writer, self._monotonic, later, self._clock)
