"""Keep the facts of recent GenAI traces, so that their accounting can be explained by doing it again.

Nothing here is needed for the books. What is kept is bounded by count and age and trimmed in the same transactions.

Delivery: at least once, which is harmless: a report that is already here is ignored.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from tokensense_otel.store.config import ExplainConfig
from tokensense_otel.store.schema import facts

_HOUR_NS = 3_600_000_000_000
_MOST_MATCHES = 20
_COLUMNS = ("tenant", "trace_id", "span_id", "digest", "response_id", "usage", "ended_ns", "received_ns", "body")
_INSERT = f"INSERT OR IGNORE INTO facts ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_NAMES_RESPONSE = sa.text("response_id != ''")
_HAS_USAGE = sa.text("usage != ''")
"""Said as in the partial indexes, or SQLite does not use them."""
_TRIM_COUNT = "DELETE FROM facts WHERE seq <= (SELECT max(seq) FROM facts) - ?"
_TRIM_AGE = "DELETE FROM facts WHERE seq < (SELECT seq FROM facts WHERE received_ns >= ? ORDER BY seq LIMIT 1)"


class KeptSpan(NamedTuple):
    """One report of a span. `usage` is `input/output` of a call, `body` is the reader's business."""

    tenant: str
    trace_id: bytes
    span_id: bytes
    response_id: str
    usage: str
    ended_ns: int
    received_ns: int
    body: bytes


class TraceId(NamedTuple):
    tenant: str
    trace_id: bytes


class Match(NamedTuple):
    """What an id names: `what` is `trace`, `span` or `response`; `name` is the whole id."""

    what: str
    name: str
    trace: TraceId


def keep_spans(connection: Connection, spans: Sequence[KeptSpan], config: ExplainConfig, now_ns: int) -> None:
    """Add what is new, and forget what is too old or too much."""
    if not spans or not config.keep_spans:
        return
    connection.exec_driver_sql(_INSERT, [_row(span) for span in spans])
    connection.exec_driver_sql(_TRIM_COUNT, (config.keep_spans,))
    connection.exec_driver_sql(_TRIM_AGE, (now_ns - round(config.keep_hours * _HOUR_NS),))


def _row(span: KeptSpan) -> tuple[str | bytes | int, ...]:
    digest = int.from_bytes(hashlib.blake2b(span.body, digest_size=8).digest(), "big", signed=True)
    return (*span[:3], digest, *span[3:])


def spans_of(engine: Engine, traces: Iterable[TraceId]) -> list[KeptSpan]:
    """Everything that is kept of some traces, in the order in which it came."""
    columns = [facts.c[name] for name in KeptSpan._fields]
    found: list[KeptSpan] = []
    with engine.connect() as connection:
        for trace in traces:
            query = sa.select(*columns).where(facts.c.tenant == trace.tenant, facts.c.trace_id == trace.trace_id)
            found += [KeptSpan(*row) for row in connection.execute(query.order_by(facts.c.seq))]
    return found


def traces_with_response(engine: Engine, tenant: str, response_id: str) -> list[TraceId]:
    """The traces in which a span names this response."""
    query = sa.select(facts.c.tenant, facts.c.trace_id).distinct()
    query = query.where(facts.c.response_id == response_id, _NAMES_RESPONSE, facts.c.tenant == tenant)
    return _traces(engine, query.limit(_MOST_MATCHES))


def traces_with_usage(engine: Engine, tenant: str, usage: str, since_ns: int, until_ns: int) -> list[TraceId]:
    """The traces in which a call with this usage ended within a time."""
    query = sa.select(facts.c.tenant, facts.c.trace_id).distinct()
    ended = facts.c.ended_ns.between(since_ns, until_ns)
    query = query.where(facts.c.usage == usage, _HAS_USAGE, ended, facts.c.tenant == tenant)
    return _traces(engine, query.limit(_MOST_MATCHES))


def find(engine: Engine, name: str, *, tenant: str | None = None) -> list[Match]:
    """What begins with `name`: a trace or span id in hex, or a provider's response id. At most 20 of each."""
    matches: list[Match] = []
    with engine.connect() as connection:
        for what, column, low, high in _ranges(name):
            query = sa.select(column, facts.c.tenant, facts.c.trace_id).distinct().where(column.between(low, high))
            if what == "response":
                query = query.where(_NAMES_RESPONSE)
            if tenant is not None:
                query = query.where(facts.c.tenant == tenant)
            for found, owner, trace_id in connection.execute(query.limit(_MOST_MATCHES)):
                shown = found.hex() if isinstance(found, bytes) else found
                matches.append(Match(what, shown, TraceId(owner, trace_id)))
    return matches


def _ranges(name: str) -> list[tuple[str, "sa.ColumnElement[str] | sa.ColumnElement[bytes]", str | bytes, str | bytes]]:
    found: list[tuple[str, sa.ColumnElement[str] | sa.ColumnElement[bytes], str | bytes, str | bytes]] = [
        ("response", facts.c.response_id, name, name + "\U0010ffff")
    ]
    text = name.lower()
    if text.strip("0123456789abcdef") == "":
        for what, column, digits in (("trace", facts.c.trace_id, 32), ("span", facts.c.span_id, 16)):
            if len(text) <= digits:
                low, high = bytes.fromhex(text.ljust(digits, "0")), bytes.fromhex(text.ljust(digits, "f"))
                found.append((what, column, low, high))
    return found


def _traces(engine: Engine, query: "sa.Select[str, bytes]") -> list[TraceId]:
    with engine.connect() as connection:
        return [TraceId(row.tenant, row.trace_id) for row in connection.execute(query)]
