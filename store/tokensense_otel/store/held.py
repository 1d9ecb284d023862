"""Deliveries that are held back: they stay pending, with the name of what holds them and the time of its end."""

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Engine

from tokensense_otel.core.insight import Status
from tokensense_otel.store.database import writing
from tokensense_otel.store.outbox import Delivery, State
from tokensense_otel.store.schema import deliveries, insights


class Waiting(NamedTuple):
    """A delivery that waits."""

    id: int
    status: Status
    tried: bool = False


class Lane(NamedTuple):
    """What waits of one episode for one exporter, in order, where it is more than one."""

    episode_id: str
    waiting: tuple[Waiting, ...]
    told: bool
    """Whether anything of the episode may have arrived."""


class HeldBack:
    def __init__(self, engine: Engine) -> None:
        self._reading = engine
        self._writing = writing(engine)

    def hold(self, delivery: Delivery, by: str, until_ns: int, reason: str) -> None:
        """Keep a delivery that waits until then, or until `by` ends."""
        with self._writing.begin() as connection:
            mine = sa.and_(deliveries.c.id == delivery.id, deliveries.c.state == State.PENDING)
            connection.execute(deliveries.update().where(mine).values(held=by, next_ns=until_ns, reason=reason))

    def release(self) -> int:
        """Let go of everything, to be looked at anew; how many."""
        with self._writing.begin() as connection:
            return connection.execute(
                deliveries.update().where(deliveries.c.held != "").values(held="", next_ns=0)
            ).rowcount

    def lanes(self, exporter: str) -> list[Lane]:
        """Lanes in which something is held back and more waits."""
        return self._lanes(exporter, deliveries.c.held != "")

    def slow_lanes(self, exporter: str, waiting_since_ns: int) -> list[Lane]:
        """Lanes in which something has waited since then, not on purpose, and more waits."""
        return self._lanes(exporter, sa.and_(deliveries.c.held == "", deliveries.c.queued_ns <= waiting_since_ns))

    def _lanes(self, exporter: str, which: sa.ColumnElement[bool]) -> list[Lane]:
        held = (
            sa.select(deliveries.c.episode_id)
            .where(deliveries.c.exporter == exporter, deliveries.c.state == State.PENDING, which)
            .scalar_subquery()
        )
        rows = sa.select(deliveries.c.id, deliveries.c.episode_id, deliveries.c.state, deliveries.c.attempts)
        query = (
            rows.add_columns(insights.c.status)
            .join_from(deliveries, insights, deliveries.c.seq == insights.c.seq)
            .where(deliveries.c.exporter == exporter, deliveries.c.episode_id.in_(held))
            .order_by(deliveries.c.seq)
        )
        waiting: dict[str, list[Waiting]] = {}
        told: set[str] = set()
        with self._reading.connect() as connection:
            for row in connection.execute(query):
                if row.attempts:
                    told.add(row.episode_id)
                if row.state == State.PENDING:
                    waiting.setdefault(row.episode_id, []).append(Waiting(row.id, Status(row.status), row.attempts > 0))
        return [Lane(episode, tuple(each), episode in told) for episode, each in waiting.items() if len(each) > 1]

    def suppress(self, reasons: Mapping[int, str], now_ns: int) -> None:
        """End deliveries that nobody needs any more, each with its reason."""
        with self._writing.begin() as connection:
            for delivery_id, reason in reasons.items():
                mine = sa.and_(deliveries.c.id == delivery_id, deliveries.c.state == State.PENDING)
                ended = {"state": State.SUPPRESSED, "reason": reason, "ended_ns": now_ns, "held": ""}
                connection.execute(deliveries.update().where(mine).values(ended))
