"""Write usage, accounting, tallies, insights and the facts that explain them to the store.

Delivery: exactly once in effect for usage, accounting and tallies (see `store.rollups`), at least once with stable ids
for insights and facts. What was written in an epoch is in the store before the epoch can commit.
"""

from collections.abc import Callable

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from sqlalchemy import Engine

from tokensense_otel.core.component import Clock
from tokensense_otel.core.insight import Insight
from tokensense_otel.dataflow.deltas import Deltas
from tokensense_otel.dataflow.explain.keep import to_kept
from tokensense_otel.store.config import ExplainConfig
from tokensense_otel.store.rollups import RollupWriter

_PART = "p0"
# Under load, writes are gathered for this long; a quiet stream is written at once.
_GATHER_S = 0.1

Item = Deltas | Insight


class StorePartition(StatefulSinkPartition[Item, int]):
    def __init__(self, writer: RollupWriter, monotonic: Callable[[], float]) -> None:
        self._writer = writer
        self._monotonic = monotonic
        self._deltas = Deltas()
        self._written_at = monotonic()

    def write_batch(self, values: list[Item]) -> None:
        insights = []
        for value in values:
            if isinstance(value, Insight):
                insights.append(value)
            else:
                self._deltas.merge(value)
        if insights or self._monotonic() - self._written_at >= _GATHER_S:
            self._flush(insights)

    def _flush(self, insights: list[Insight]) -> None:
        deltas, self._deltas = self._deltas.trimmed(), Deltas()
        if insights or not deltas.empty:
            spans = [to_kept(facts, received_ns) for received_ns, facts in deltas.seen if self._writer.keeps_spans]
            self._writer.write(deltas.usage, deltas.accounting, insights, deltas.tallies, spans)
        self._written_at = self._monotonic()

    def snapshot(self) -> int:
        self._flush([])
        return self._writer.snapshot()

    def close(self) -> None:
        """Nothing to do: what was not flushed belongs to an epoch that did not commit and is read again."""


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
        return StorePartition(writer, self._monotonic)
