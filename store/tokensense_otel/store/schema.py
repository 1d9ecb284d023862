"""The tables. One file, so that what is on disk can be seen on a page.

`usage`, `accounting` and `tallies` rows carry the generation of the write that made them; `rollups.py` explains why.
The outbox (`deliveries`, `delivery_cursors`) is explained in `outbox.py`; `mutes` are what holds deliveries back.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

from tokensense_otel.core.tally import Tally
from tokensense_otel.core.usage import ACCOUNTING_FIELDS, USAGE_FIELDS, UsageKey

VERSION = 2

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

usage = Table(
    "usage",
    metadata,
    Column("part", String, primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    *(
        Column(name, BigInteger if name == "hour" else String, primary_key=True, nullable=False)
        for name in UsageKey._fields
    ),
    *(Column(name, BigInteger, nullable=False, server_default="0") for name in USAGE_FIELDS),
    Index("usage_hour", "tenant", "hour"),
    sqlite_with_rowid=False,
)

accounting = Table(
    "accounting",
    metadata,
    Column("part", String, primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("tenant", String, primary_key=True),
    *(Column(name, BigInteger, nullable=False, server_default="0") for name in ACCOUNTING_FIELDS),
    sqlite_with_rowid=False,
)

tallies = Table(
    "tallies",
    metadata,
    Column("part", String, primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    *(Column(name, String, primary_key=True, nullable=False) for name in Tally._fields),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

kept_spans = Table(
    "kept_spans",
    metadata,
    Column("upto", Integer, primary_key=True),
    Column("written_ns", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

insights = Table(
    "insights",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("episode_id", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("project", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("status", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_ns", BigInteger, nullable=False),
    Index("insights_episode", "episode_id"),
    sqlite_autoincrement=True,
)

episodes = Table(
    "episodes",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("project", String, primary_key=True),
    Column("rule", String, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("episode_id", String, nullable=False),
    Column("open", Integer, nullable=False),
    sqlite_with_rowid=False,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("exporter", String, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("insight_id", String, nullable=False),
    Column("episode_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("ambiguous", Integer, nullable=False),
    Column("degraded", Integer, nullable=False),
    Column("queued_ns", BigInteger, nullable=False),
    Column("next_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),
    Column("reason", Text, nullable=False),
    Column("receipt", Text),
    Column("held", String, nullable=False, server_default=""),
    Column("stands_in", String, nullable=False, server_default=""),
    Column("crowded", Integer, nullable=False, server_default="0"),
    Index("deliveries_once", "exporter", "seq", unique=True),
    Index("deliveries_state", "exporter", "state", "seq"),
    Index("deliveries_lane", "exporter", "episode_id", "seq"),
    Index("deliveries_insight", "insight_id"),
)

cursors = Table(
    "delivery_cursors",
    metadata,
    Column("exporter", String, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("removed", Integer, nullable=False),
    *(Column(name, Integer, nullable=False, server_default="0") for name in ("delivered", "dead", "suppressed")),
)

mutes = Table(
    "mutes",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("matchers", Text, nullable=False),
    Column("starts_ns", BigInteger, nullable=False),
    Column("ends_ns", BigInteger, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Index("mutes_end", "ends_ns"),
)
