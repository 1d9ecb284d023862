"""Record insights once each, and list them.

The id makes a repeated insight harmless. One case is left: after a crash, spans may come in another order and the same
finding may cross its threshold in the neighbouring time bucket, with another id. So an episode that is open here
absorbs a second firing on its key, and lends its id to the transitions that follow.
"""

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.sqlite import insert

from tokensense_otel.core.insight import Insight, Status, decode_insight, encode_insight, stable_id
from tokensense_otel.store import events
from tokensense_otel.store.schema import episodes, insights


def record_insight(connection: Connection, insight: Insight, now_ns: int) -> bool:
    """Insert the insight unless it is known; whether it was inserted."""
    if connection.execute(sa.select(insights.c.seq).where(insights.c.id == insight.id)).first():
        return False
    scope = msgspec.json.encode(insight.scope, order="sorted").decode()
    key = {"tenant": insight.tenant, "project": insight.project, "rule": insight.rule, "scope": scope}
    found = connection.execute(sa.select(episodes.c.episode_id, episodes.c.open).filter_by(**key)).first()
    is_open = found is not None and bool(found.open)
    if is_open == (insight.status is Status.FIRING):
        events.INSIGHT_ABSORBED(rule=insight.rule, status=insight.status.value)
        return False
    if found is not None and is_open and found.episode_id != insight.episode_id:
        insight = _moved(insight, found.episode_id)
    connection.execute(
        insights.insert().values(
            id=insight.id,
            episode_id=insight.episode_id,
            tenant=insight.tenant,
            project=insight.project,
            rule=insight.rule,
            status=insight.status.value,
            severity=insight.severity.value,
            body=encode_insight(insight).decode(),
            recorded_ns=now_ns,
        )
    )
    state = {"episode_id": insight.episode_id, "open": int(insight.status is not Status.RESOLVED)}
    statement = insert(episodes).values(**key, **state)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["tenant", "project", "rule", "scope"], set_=state)
    )
    events.INSIGHT_RECORDED(rule=insight.rule, status=insight.status.value, insight=insight.id)
    return True


def _moved(insight: Insight, episode_id: str) -> Insight:
    moved_id = stable_id("in", episode_id, insight.id)
    return msgspec.structs.replace(insight, id=moved_id, episode_id=episode_id)


def list_insights(
    engine: Engine,
    *,
    tenant: str | None = None,
    project: str | None = None,
    rule: str | None = None,
    status: Status | None = None,
    since_ns: int | None = None,
    after_seq: int = 0,
    limit: int = 1000,
) -> list[tuple[int, Insight]]:
    """Insights with their sequence numbers, oldest first; the newest `limit` of those that match."""
    query = sa.select(insights.c.seq, insights.c.body).where(insights.c.seq > after_seq)
    for column, value in (("tenant", tenant), ("project", project), ("rule", rule), ("status", status)):
        if value is not None:
            query = query.where(insights.c[column] == str(value))
    if since_ns is not None:
        query = query.where(insights.c.recorded_ns >= since_ns)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(insights.c.seq.desc()).limit(limit)).all()
    return [(row.seq, decode_insight(row.body)) for row in reversed(rows)]


def read_episode(engine: Engine, some_id: str) -> list[Insight]:
    """The insights of an episode, oldest first, by the id of the episode or of one of its insights; else none."""
    named = sa.select(insights.c.episode_id).where(sa.or_(insights.c.id == some_id, insights.c.episode_id == some_id))
    query = sa.select(insights.c.body).where(insights.c.episode_id == named.limit(1).scalar_subquery())
    with engine.connect() as connection:
        return [decode_insight(row.body) for row in connection.execute(query.order_by(insights.c.seq))]
