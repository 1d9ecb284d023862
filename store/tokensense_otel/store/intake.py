"""What the outbox takes in: one delivery for each exporter that gets an insight.

Insights are rows of the store already. `enqueue` makes deliveries of those that are new, in the same transaction that
moves the exporter's cursor, so none is passed over and none comes twice.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.core.insight import Insight, Status, decode_insight
from tokensense_otel.store.database import writing
from tokensense_otel.store.insights import record_insight
from tokensense_otel.store.schema import cursors, deliveries, episodes, insights

Wants = Callable[[Insight], bool]
"""Whether an exporter gets a finding that fires."""


class State(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    SUPPRESSED = "suppressed"


class Intake:
    def __init__(self, engine: Engine, clock: Clock = system_clock) -> None:
        self._reading = engine
        self._writing = writing(engine)
        self._clock = clock

    def register(self, exporters: Iterable[str]) -> None:
        """Begin to accept for these exporters. One that is new starts with the next insight, not with history."""
        newest = sa.select(sa.func.coalesce(sa.func.max(insights.c.seq), 0)).scalar_subquery()
        with self._writing.begin() as connection:
            known = {row.exporter: row.removed for row in connection.execute(sa.select(cursors))}
            for name in exporters:
                if name not in known:
                    connection.execute(cursors.insert().values(exporter=name, seq=newest, accepted=0, removed=0))
                elif known[name]:
                    connection.execute(_cursor(name).values(seq=newest, removed=0))

    def retire(self, configured: Iterable[str]) -> dict[str, int]:
        """Stop accepting for every exporter not named; how many waiting deliveries that suppressed, for each."""
        kept = set(configured)
        suppressed: dict[str, int] = {}
        with self._writing.begin() as connection:
            for name in connection.execute(sa.select(cursors.c.exporter).where(cursors.c.removed == 0)).scalars().all():
                if name in kept:
                    continue
                pending = sa.and_(deliveries.c.exporter == name, deliveries.c.state == State.PENDING)
                ended = {"state": State.SUPPRESSED, "reason": "exporter removed", "ended_ns": self._clock()}
                suppressed[name] = connection.execute(deliveries.update().where(pending).values(ended)).rowcount
                connection.execute(_cursor(name).values(removed=1))
        return suppressed

    def newest(self) -> int:
        """The sequence number of the newest insight: cheap, to see whether there is anything to `enqueue`."""
        with self._reading.connect() as connection:
            return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(insights.c.seq), 0))).scalar_one())

    def enqueue(self, exporters: Iterable[str], wants: Mapping[str, Wants] = MappingProxyType({})) -> int:
        """Accept the insights that came since, for exporters that are registered; how many deliveries that made.

        An exporter that is in `wants` gets the findings that it wants when they fire, and all that follows of those.
        """
        now, accepted = self._clock(), 0
        with self._writing.begin() as connection:
            for name in exporters:
                if name in wants:
                    accepted += _take_wanted(connection, name, wants[name], now)
                    continue
                made = connection.execute(_new_deliveries(name, now)).rowcount
                if made:
                    reached = sa.select(sa.func.max(deliveries.c.seq)).where(deliveries.c.exporter == name)
                    moved = {"seq": reached.scalar_subquery(), "accepted": cursors.c.accepted + made}
                    connection.execute(_cursor(name).values(moved))
                    accepted += made
        return accepted

    def tell(self, insight: Insight) -> None:
        """Record a finding about delivery itself: it goes the way of all findings."""
        with self._writing.begin() as connection:
            record_insight(connection, insight, self._clock())

    def ongoing(self, rule: str) -> list[Insight]:
        """The newest insight of each finding of a rule that is open."""
        query = (
            sa.select(insights.c.body)
            .join_from(insights, episodes, insights.c.episode_id == episodes.c.episode_id)
            .where(episodes.c.rule == rule, episodes.c.open == 1)
            .order_by(insights.c.seq)
        )
        with self._reading.connect() as connection:
            newest = {each.episode_id: each for each in map(decode_insight, connection.execute(query).scalars())}
        return list(newest.values())

    def fall_back(self, exporter: str, to: str, waiting_since_ns: int) -> int:
        """Let `to` deliver what `exporter` could not since then, with all that follows of the same findings; how many.

        What is held back on purpose stays where it is, and what `to` has anyway is not sent twice.
        """
        theirs, mine = deliveries.alias("theirs"), deliveries.alias("mine")
        known = sa.exists().where(theirs.c.exporter == to, theirs.c.seq == mine.c.seq)
        stood_in = sa.exists().where(
            theirs.c.exporter == to,
            theirs.c.episode_id == mine.c.episode_id,
            theirs.c.stands_in == exporter,
            theirs.c.seq < mine.c.seq,
        )
        # An end that `exporter` need not tell any more is one that `to` has to: it told of the beginning.
        follows = sa.and_(
            stood_in,
            mine.c.held == "",
            sa.or_(mine.c.state != State.SUPPRESSED, insights.c.status == Status.RESOLVED),
        )
        overdue = sa.and_(mine.c.state == State.PENDING, mine.c.queued_ns <= waiting_since_ns, mine.c.held == "")
        now = self._clock()
        with self._writing.begin() as connection:
            found = connection.execute(
                sa.select(mine.c.seq, mine.c.insight_id, mine.c.episode_id)
                .join_from(mine, insights, mine.c.seq == insights.c.seq)
                .where(mine.c.exporter == exporter, ~known, sa.or_(overdue, follows))
                .order_by(mine.c.seq)
            ).all()
            if found:
                connection.execute(
                    deliveries.insert(),
                    [{**row._mapping, **_fresh(to, now), "stands_in": exporter} for row in found],  # noqa: SLF001
                )
                connection.execute(_cursor(to).values(accepted=cursors.c.accepted + len(found)))
        return len(found)


_FRESH: Final = {"state": State.PENDING, "attempts": 0, "ambiguous": 0, "degraded": 0, "next_ns": 0, "reason": ""}


def _fresh(exporter: str, now_ns: int) -> dict[str, Any]:
    return {"exporter": exporter, "queued_ns": now_ns, **_FRESH}


def _take_wanted(connection: Connection, exporter: str, wants: Wants, now_ns: int) -> int:
    reached = connection.execute(
        sa.select(cursors.c.seq).where(cursors.c.exporter == exporter, cursors.c.removed == 0)
    ).scalar()
    if reached is None:
        return 0
    columns = (insights.c.seq, insights.c.id, insights.c.episode_id, insights.c.status, insights.c.body)
    new = connection.execute(sa.select(*columns).where(insights.c.seq > reached).order_by(insights.c.seq)).all()
    if not new:
        return 0
    lately = sa.select(insights.c.episode_id).where(insights.c.seq > reached)
    mine = sa.select(deliveries.c.episode_id).where(
        deliveries.c.exporter == exporter, deliveries.c.episode_id.in_(lately)
    )
    before = sa.select(insights.c.episode_id).where(insights.c.seq <= reached, insights.c.episode_id.in_(lately))
    followed, begun = (set(connection.execute(query.distinct()).scalars()) for query in (mine, before))
    made: list[dict[str, Any]] = []
    for row in new:
        first = row.status == Status.FIRING or row.episode_id not in begun
        if row.episode_id in followed or (first and wants(decode_insight(row.body))):
            followed.add(row.episode_id)
            made.append(
                {"seq": row.seq, "insight_id": row.id, "episode_id": row.episode_id, **_fresh(exporter, now_ns)}
            )
    if made:
        connection.execute(deliveries.insert(), made)
    connection.execute(_cursor(exporter).values(seq=new[-1].seq, accepted=cursors.c.accepted + len(made)))
    return len(made)


def _cursor(exporter: str) -> sa.Update:
    return cursors.update().where(cursors.c.exporter == exporter)


def _new_deliveries(exporter: str, now_ns: int) -> sa.Insert:
    reached = sa.select(cursors.c.seq).where(cursors.c.exporter == exporter, cursors.c.removed == 0).scalar_subquery()
    constants = _fresh(exporter, now_ns)
    columns = {"seq": insights.c.seq, "insight_id": insights.c.id, "episode_id": insights.c.episode_id}
    source = (
        sa.select(*columns.values(), *(sa.literal(value) for value in constants.values()))
        .where(insights.c.seq > reached)
        .order_by(insights.c.seq)
    )
    return deliveries.insert().from_select([*columns, *constants], source)
