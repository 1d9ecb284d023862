"""Write usage exactly once, although the dataflow may send it more than once.

Bytewax restores state and input to the last committed epoch and sends everything after it again, so increments have
to be undone first. Every row therefore carries the *generation* of its write: a number that goes up at each snapshot
and is part of the snapshot itself. After a crash, rows of generations above the restored one are deleted, then written
anew by the replay. Old generations are folded into generation 0, which nothing can undo.

Delivery: exactly once in effect, for a writer that calls `snapshot` at the end of every epoch it wrote in.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects.sqlite import insert

from tokensense_otel.core.component import Clock
from tokensense_otel.core.insight import Insight
from tokensense_otel.core.tally import Tally
from tokensense_otel.core.usage import ACCOUNTING_FIELDS, USAGE_FIELDS, Accounting, Usage, UsageKey
from tokensense_otel.store import events, schema
from tokensense_otel.store.config import ExplainConfig
from tokensense_otel.store.database import writing
from tokensense_otel.store.facts import KeptSpan, keep_spans
from tokensense_otel.store.heartbeats import stamp
from tokensense_otel.store.insights import record_insight
from tokensense_otel.store.meta import get_meta, set_meta

UsageDeltas = Mapping[UsageKey, Usage]
AccountingDeltas = Mapping[str, Accounting]

# A generation is folded two snapshots after its own: by then its epoch is committed, whatever the engine delays.
_FOLD_BEHIND = 2
_COUNT = ("count",)
_TABLES = ((schema.usage, USAGE_FIELDS), (schema.accounting, ACCOUNTING_FIELDS), (schema.tallies, _COUNT))
_NO_TALLIES: Mapping[Tally, int] = {}
_NO_HEARTBEATS: Mapping[str, int] = {}


class RollupWriter:
    """The one writer of a part. `resume` is what `snapshot` returned last before a restart, `None` on a fresh start."""

    def __init__(
        self, engine: Engine, part: str, resume: int | None, clock: Clock, explain: ExplainConfig | None = None
    ) -> None:
        self._engine = writing(engine)
        self._explain = explain or ExplainConfig(keep_spans=0)
        self._part = part
        self._clock = clock
        self._generation = (resume or 0) + 1
        with self._engine.begin() as connection:
            folded = int(get_meta(connection, self._folded_name) or 0)
            if folded > (resume or 0):
                events.ROLLUP_BEHIND(part=part, folded=folded, resumed=resume or 0)
                self._generation = folded + 1
            for table, _ in _TABLES:
                connection.execute(table.delete().where(table.c.part == part, table.c.generation >= self._generation))

    @property
    def _folded_name(self) -> str:
        return f"folded:{self._part}"

    @property
    def keeps_spans(self) -> bool:
        return self._explain.keep_spans > 0

    def write(
        self,
        usage: UsageDeltas,
        accounting: AccountingDeltas,
        insights: Iterable[Insight],
        tallies: Mapping[Tally, int] = _NO_TALLIES,
        spans: Sequence[KeptSpan] = (),
        heartbeats: Mapping[str, int] = _NO_HEARTBEATS,
    ) -> None:
        """Add deltas to the open generation, record insights, keep spans and stamp heartbeats, in one transaction."""
        with self._engine.begin() as connection:
            _upsert(
                connection, schema.usage, USAGE_FIELDS, [self._row(key._asdict(), cell) for key, cell in usage.items()]
            )
            _upsert(
                connection,
                schema.accounting,
                ACCOUNTING_FIELDS,
                [self._row({"tenant": tenant}, cell) for tenant, cell in accounting.items()],
            )
            _upsert(
                connection,
                schema.tallies,
                _COUNT,
                [
                    {"part": self._part, "generation": self._generation, **tally._asdict(), "count": count}
                    for tally, count in tallies.items()
                ],
            )
            keep_spans(connection, spans, self._explain, self._clock())
            stamp(connection, heartbeats)
            for insight in insights:
                record_insight(connection, insight, self._clock())

    def snapshot(self) -> int:
        """Close the open generation and return its number, to be kept with the epoch that it belongs to."""
        closed = self._generation
        self._generation += 1
        fold_to = closed - _FOLD_BEHIND
        if fold_to > 0:
            with self._engine.begin() as connection:
                for table, fields in _TABLES:
                    _fold(connection, table, fields, self._part, fold_to)
                set_meta(connection, self._folded_name, str(fold_to))
        return closed

    def _row(self, key: dict[str, Any], cell: Usage | Accounting) -> dict[str, Any]:
        fields = type(cell).__struct_fields__
        return (
            {"part": self._part, "generation": self._generation} | key | {name: getattr(cell, name) for name in fields}
        )


def _upsert(connection: Connection, table: Table, fields: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    statement = insert(table)
    added = {name: table.c[name] + statement.excluded[name] for name in fields}
    connection.execute(statement.on_conflict_do_update(index_elements=table.primary_key, set_=added), rows)


def _fold(connection: Connection, table: Table, fields: tuple[str, ...], part: str, fold_to: int) -> None:
    old = sa.and_(table.c.part == part, table.c.generation.between(1, fold_to))
    keys = [column for column in table.primary_key.columns if column.name not in ("part", "generation")]
    sums = [sa.func.sum(table.c[name]).label(name) for name in fields]
    folded = (
        sa.select(table.c.part, sa.literal(0).label("generation"), *keys, *sums)
        .where(old)
        .group_by(table.c.part, *keys)
    )
    statement = insert(table).from_select(["part", "generation", *(key.name for key in keys), *fields], folded)
    added = {name: table.c[name] + statement.excluded[name] for name in fields}
    connection.execute(statement.on_conflict_do_update(index_elements=table.primary_key, set_=added))
    connection.execute(table.delete().where(old))
