"""The outbox: what is to be delivered to whom, and what became of it.

Delivery: at least once. What was under way when a process died is still pending, and is sent again under the same
insight id. What comes in, and how none is passed over, is in `intake`.

For each exporter, at every moment: accepted = delivered + dead + suppressed + pending (`audit`). One process delivers.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from tokensense_otel.core.config import JsonObject
from tokensense_otel.store.intake import Intake, State
from tokensense_otel.store.schema import cursors, deliveries, episodes, insights

__all__ = ["Audit", "Delivery", "Outbox", "State", "Verdict"]


ENDED: Final = (State.DELIVERED, State.DEAD, State.SUPPRESSED)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One insight on its way to one exporter. Times are Unix nanoseconds.

    `attempts` counts sends that began, `ambiguous` those that ended without a verdict. `degraded` says that the
    fallback is sent. `reason` is why it is not delivered (yet). `body` is the insight's JSON, `prior` the receipt of
    the episode's message before this one.
    """

    id: int
    exporter: str
    insight_id: str
    episode_id: str
    state: State
    attempts: int
    ambiguous: int
    degraded: bool
    queued_ns: int
    next_ns: int
    ended_ns: int | None
    reason: str
    body: str
    receipt: JsonObject | None = None
    prior: JsonObject | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt changes about its delivery."""

    state: State
    next_ns: int = 0
    reason: str = ""
    receipt: JsonObject | None = None
    degraded: bool = False
    ambiguous: bool = False
    alone: bool = False
    """Whether it has to be told by itself from now on: no digest was taken."""


class Audit(NamedTuple):
    """An exporter's books. They balance when `accepted` is the sum of the other four."""

    exporter: str
    accepted: int
    delivered: int
    dead: int
    suppressed: int
    pending: int

    @property
    def balanced(self) -> bool:
        return self.accepted == self.delivered + self.dead + self.suppressed + self.pending


class Outbox(Intake):
    """What waits and what became of it; what it takes in is `Intake`."""

    def due(self, exporter: str, now_ns: int | None, limit: int) -> list[Delivery]:
        """Up to `limit` deliveries that may be sent, oldest first: the first of each lane whose time has come.

        A lane is an exporter's deliveries for one episode; the second waits until the first has ended. `None` as the
        time asks for the oldest, whether their time has come or not, but for what is held back.
        """
        earlier = deliveries.alias("earlier")
        blocked = sa.exists().where(
            earlier.c.exporter == deliveries.c.exporter,
            earlier.c.episode_id == deliveries.c.episode_id,
            earlier.c.state == State.PENDING,
            earlier.c.seq < deliveries.c.seq,
        )
        query = _listing().where(deliveries.c.exporter == exporter, deliveries.c.state == State.PENDING, ~blocked)
        if now_ns is not None:
            query = query.where(deliveries.c.next_ns <= now_ns)
        else:
            query = query.where(sa.or_(deliveries.c.held == "", deliveries.c.next_ns <= self._clock()))
        with self._reading.connect() as connection:
            return [_delivery(row) for row in connection.execute(query.order_by(deliveries.c.seq).limit(limit))]

    def crowd(self, exporter: str, limit: int) -> list[Delivery]:
        """What could be told together: up to `limit` whose time has come and that were not tried by themselves,
        whole lanes in order, oldest first."""
        earlier = deliveries.alias("earlier")
        blocked = sa.exists().where(
            earlier.c.exporter == deliveries.c.exporter,
            earlier.c.episode_id == deliveries.c.episode_id,
            earlier.c.state == State.PENDING,
            earlier.c.seq < deliveries.c.seq,
            sa.or_(sa.and_(earlier.c.attempts > 0, earlier.c.crowded == 0), earlier.c.held != ""),
        )
        untried = sa.and_(
            sa.or_(deliveries.c.attempts == 0, deliveries.c.crowded == 1),
            deliveries.c.held == "",
            deliveries.c.next_ns <= self._clock(),
        )
        query = _listing().where(
            deliveries.c.exporter == exporter, deliveries.c.state == State.PENDING, untried, ~blocked
        )
        with self._reading.connect() as connection:
            return [_delivery(row) for row in connection.execute(query.order_by(deliveries.c.seq).limit(limit))]

    def begin(self, started: Sequence[Delivery], *, together: bool = False) -> None:
        """Count an attempt on each, before its first byte leaves: a crash in between is a copy that is known of."""
        with self._writing.begin() as connection:
            which = deliveries.c.id.in_([delivery.id for delivery in started])
            counted = {"attempts": deliveries.c.attempts + 1, "crowded": int(together)}
            connection.execute(deliveries.update().where(which).values(counted))

    def record(self, verdicts: Sequence[tuple[Delivery, Verdict]]) -> None:
        """Write what became of attempts, in one transaction. What was ended meanwhile by hand stays as it is."""
        now = self._clock()
        with self._writing.begin() as connection:
            for delivery, verdict in verdicts:
                mine = sa.and_(deliveries.c.id == delivery.id, deliveries.c.state == State.PENDING)
                connection.execute(
                    deliveries.update()
                    .where(mine)
                    .values(
                        state=verdict.state,
                        next_ns=verdict.next_ns,
                        ended_ns=None if verdict.state is State.PENDING else now,
                        reason=verdict.reason,
                        receipt=None if verdict.receipt is None else msgspec.json.encode(verdict.receipt).decode(),
                        degraded=int(verdict.degraded),
                        ambiguous=deliveries.c.ambiguous + int(verdict.ambiguous),
                        held="",
                        crowded=0 if verdict.alone else deliveries.c.crowded,
                    )
                )

    def expedite(self, exporter: str) -> None:
        """Make everything that waits for this exporter due: its endpoint is back."""
        waiting = sa.and_(deliveries.c.exporter == exporter, deliveries.c.state == State.PENDING)
        later = sa.and_(deliveries.c.next_ns > 0, deliveries.c.held == "")
        with self._writing.begin() as connection:
            connection.execute(deliveries.update().where(waiting, later).values(next_ns=0))

    def waiting(self, exporters: Iterable[str]) -> dict[str, int]:
        """How many deliveries are pending, for each exporter."""
        pending = sa.select(sa.func.count()).where(deliveries.c.state == State.PENDING)
        with self._reading.connect() as connection:
            return {
                name: int(connection.execute(pending.where(deliveries.c.exporter == name)).scalar_one())
                for name in exporters
            }

    def listing(self, *, exporter: str | None = None, state: State | None = None, limit: int = 100) -> list[Delivery]:
        """The newest `limit` deliveries that match, newest first."""
        query = _listing()
        if exporter is not None:
            query = query.where(deliveries.c.exporter == exporter)
        if state is not None:
            query = query.where(deliveries.c.state == state)
        with self._reading.connect() as connection:
            return [_delivery(row) for row in connection.execute(query.order_by(deliveries.c.id.desc()).limit(limit))]

    def show(self, insight_id: str) -> list[Delivery]:
        """What became of one insight, for each exporter."""
        query = _listing().where(deliveries.c.insight_id == insight_id).order_by(deliveries.c.exporter)
        with self._reading.connect() as connection:
            return [_delivery(row) for row in connection.execute(query)]

    def replay(self, *, exporter: str | None = None, insight_id: str | None = None, state: State = State.DEAD) -> int:
        """Send again what ended in `state`; how many. Copies carry the same insight id."""
        query = deliveries.update().where(deliveries.c.state == state)
        if exporter is not None:
            query = query.where(deliveries.c.exporter == exporter)
        if insight_id is not None:
            query = query.where(deliveries.c.insight_id == insight_id)
        again = {"state": State.PENDING, "queued_ns": self._clock(), "next_ns": 0, "ended_ns": None, "degraded": 0}
        with self._writing.begin() as connection:
            return connection.execute(query.values(again)).rowcount

    def audit(self) -> list[Audit]:
        """The books of every exporter there ever was, by name."""
        counts = {state: sa.func.count(deliveries.c.id).filter(deliveries.c.state == state) for state in State}
        query = (
            sa.select(cursors.c.exporter, cursors.c.accepted)
            .add_columns(*(counts[state] + cursors.c[state] for state in ENDED), counts[State.PENDING])
            .join_from(cursors, deliveries, cursors.c.exporter == deliveries.c.exporter, isouter=True)
            .group_by(cursors.c.exporter)
            .order_by(cursors.c.exporter)
        )
        with self._reading.connect() as connection:
            return [Audit(*row) for row in connection.execute(query)]

    def suppressed(self) -> list[tuple[str, str, int]]:
        """(exporter, reason, how many) of what need not be sent and is still on record."""
        columns = (deliveries.c.exporter, deliveries.c.reason)
        query = sa.select(*columns, sa.func.count()).where(deliveries.c.state == State.SUPPRESSED)
        with self._reading.connect() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query.group_by(*columns).order_by(*columns))]

    def trim(self, before_ns: int, limit: int = 10_000) -> int:
        """Forget up to `limit` deliveries that ended before then; how many. The audit goes on counting them.

        What belongs to a finding that is still open stays: its receipts are needed for what follows.
        """
        ongoing = sa.select(episodes.c.episode_id).where(episodes.c.open == 1)
        query = (
            sa.select(deliveries.c.id, deliveries.c.exporter, deliveries.c.state)
            .where(deliveries.c.ended_ns < before_ns, deliveries.c.episode_id.not_in(ongoing))
            .order_by(deliveries.c.id)
            .limit(limit)
        )
        with self._writing.begin() as connection:
            gone = connection.execute(query).all()
            for (exporter, state), count in Counter((row.exporter, row.state) for row in gone).items():
                mine = cursors.update().where(cursors.c.exporter == exporter)
                connection.execute(mine.values({state: cursors.c[state] + count}))
            if gone:
                statement = deliveries.delete().where(deliveries.c.id == sa.bindparam("gone"))
                connection.execute(statement, [{"gone": row.id} for row in gone])
        return len(gone)


def _listing() -> sa.Select[Any]:
    before = deliveries.alias("before")
    prior = (
        sa.select(before.c.receipt)
        .where(
            before.c.exporter == deliveries.c.exporter,
            before.c.episode_id == deliveries.c.episode_id,
            before.c.state == State.DELIVERED,
            before.c.seq < deliveries.c.seq,
        )
        .order_by(before.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    return sa.select(deliveries, insights.c.body, prior.label("prior")).join_from(
        deliveries, insights, deliveries.c.seq == insights.c.seq
    )


def _delivery(row: Any) -> Delivery:
    fields = {name: getattr(row, name) for name in Delivery.__struct_fields__}
    for name in ("receipt", "prior"):
        if fields[name] is not None:
            fields[name] = msgspec.json.decode(fields[name])
    return Delivery(**fields | {"state": State(row.state), "degraded": bool(row.degraded)})
