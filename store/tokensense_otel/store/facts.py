"""Keep the facts of recent GenAI traces, so that their accounting can be explained by doing it again.

Nothing here is needed for the books, so keeping must cost next to nothing: a row holds all spans of one write, and
there is no index (four of them cost 75 µs a span once old ones were trimmed). Whoever explains reads the rows and looks
for bytes in them. What is kept is bounded by count and age, a row at a time, in the same transactions.

Delivery: at least once, which is harmless: a report that is there twice is read once.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from tokensense_otel.store.config import ExplainConfig
from tokensense_otel.store.schema import kept_spans

_HOUR_NS: Final = 3_600_000_000_000
_HEX: Final = frozenset("0123456789abcdef")


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


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[KeptSpan])


def keep_spans(connection: Connection, spans: Sequence[KeptSpan], config: ExplainConfig, now_ns: int) -> None:
    """Add spans, and forget what is too old or too much, whole writes at a time."""
    if not spans or not config.keep_spans:
        return
    table = kept_spans
    last = connection.execute(sa.select(sa.func.max(table.c.upto))).scalar() or 0
    upto = last + len(spans)
    connection.execute(table.insert().values(upto=upto, written_ns=now_ns, body=_encoder.encode(spans)))
    connection.execute(table.delete().where(table.c.upto <= upto - config.keep_spans))
    # Rows are in the order of their writing, so looking stops at the first that is young enough.
    oldest_ns = now_ns - round(config.keep_hours * _HOUR_NS)
    young = sa.select(table.c.upto).where(table.c.written_ns >= oldest_ns).order_by(table.c.upto).limit(1)
    connection.execute(table.delete().where(table.c.upto < young.scalar_subquery()))


class Shelf:
    """What is kept at the moment, held in memory to be searched: about a kilobyte a span."""

    def __init__(self, engine: Engine) -> None:
        with engine.connect() as connection:
            query = sa.select(kept_spans.c.body).order_by(kept_spans.c.upto)
            self._rows: list[bytes] = [row.body for row in connection.execute(query)]

    def spans_of(self, traces: Iterable[TraceId]) -> list[KeptSpan]:
        """Every distinct report of the spans of some traces, as it first came."""
        return [
            span
            for trace in dict.fromkeys(traces)
            for span in self._having(trace.trace_id)
            if (span.tenant, span.trace_id) == trace
        ]

    def with_response(self, tenant: str, response_id: str) -> list[TraceId]:
        """The traces in which a span names this response."""
        return _traces(
            span
            for span in (self._having(response_id.encode()) if response_id else ())
            if (span.tenant, span.response_id) == (tenant, response_id)
        )

    def with_usage(self, tenant: str, usage: str, since_ns: int, until_ns: int) -> list[TraceId]:
        """The traces in which a call with this usage ended within a time."""
        return _traces(
            span
            for span in self._having(usage.encode())
            if (span.tenant, span.usage) == (tenant, usage) and since_ns <= span.ended_ns <= until_ns
        )

    def find(self, name: str, *, tenant: str | None = None) -> list[Match]:
        """What begins with `name`: a trace or span id in hex, or a provider's response id."""
        matches: set[Match] = set()
        digits = name.lower()
        needles = [name.encode()]
        if _HEX.issuperset(digits):
            needles.append(bytes.fromhex(digits[: len(digits) // 2 * 2]))
        for needle in needles:
            for span in self._having(needle):
                trace = TraceId(span.tenant, span.trace_id)
                if tenant not in (None, span.tenant):
                    continue
                if span.response_id and span.response_id.startswith(name):
                    matches.add(Match("response", span.response_id, trace))
                for what, each in (("trace", span.trace_id), ("span", span.span_id)):
                    if each.hex().startswith(digits):
                        matches.add(Match(what, each.hex(), trace))
        return sorted(matches)

    def _having(self, needle: bytes) -> Iterator[KeptSpan]:
        """The distinct reports in rows that hold these bytes anywhere; the caller sees which are meant."""
        seen: set[tuple[str, bytes, bytes, bytes]] = set()
        for row in self._rows:
            if needle in row:
                for span in _decoder.decode(row):
                    key = (span.tenant, span.trace_id, span.span_id, span.body)
                    if key not in seen:
                        seen.add(key)
                        yield span


def _traces(spans: Iterable[KeptSpan]) -> list[TraceId]:
    return sorted({TraceId(span.tenant, span.trace_id) for span in spans})
