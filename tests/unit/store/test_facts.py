"""What is kept for explanations: found by any id, ignored when it comes again, bounded by count and age."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.calls import NOON, SECOND
from tokensense_otel.store.config import ExplainConfig
from tokensense_otel.store.database import open_database, writing
from tokensense_otel.store.facts import KeptSpan, Match, Shelf, TraceId, keep_spans
from tokensense_otel.store.rollups import RollupWriter

HOUR = 3600 * SECOND
ONE = TraceId("default", bytes.fromhex("ab" * 16))
TWO = TraceId("default", bytes.fromhex("ac" * 16))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database("sqlite", data_dir=tmp_path)
    yield engine
    engine.dispose()


def span(number: int, trace: TraceId = ONE, *, response: str = "", usage: str = "", received: int = NOON) -> KeptSpan:
    span_id = number.to_bytes(8, "big")
    return KeptSpan(trace.tenant, trace.trace_id, span_id, response, usage, received, received, b"body %d" % number)


def keep(engine: Engine, *spans: KeptSpan, count: int = 100, hours: float = 1, now_ns: int = NOON) -> None:
    with writing(engine).begin() as connection:
        keep_spans(connection, spans, ExplainConfig(keep_spans=count, keep_hours=hours), now_ns)


def numbers(engine: Engine, *traces: TraceId) -> list[int]:
    return [int.from_bytes(kept.span_id, "big") for kept in Shelf(engine).spans_of(traces or (ONE, TWO))]


def test_what_comes_again_is_kept_once(engine: Engine) -> None:
    """At-least-once delivery leaves one row; the same span with other content is another report of it."""
    other = span(1)._replace(body=b"another report")
    keep(engine, span(1), span(1))
    keep(engine, span(1), other)
    assert Shelf(engine).spans_of([ONE]) == [span(1), other]


def test_tenants_with_one_trace_id_are_apart(engine: Engine) -> None:
    """A trace id is unique within a tenant only."""
    foreign = TraceId("other", ONE.trace_id)
    keep(engine, span(1), span(1, foreign))
    assert (numbers(engine, ONE), numbers(engine, foreign)) == ([1], [1])
    assert Shelf(engine).find("abab", tenant="other") == [Match("trace", "ab" * 16, foreign)]


def test_the_oldest_are_forgotten_above_the_count(engine: Engine) -> None:
    """With room for three, the fourth span puts out the first; a write goes as a whole, once all of it is too old."""
    for number in (1, 2, 3):
        keep(engine, span(number), count=3)
    assert numbers(engine) == [1, 2, 3]
    keep(engine, span(4), count=3)
    assert numbers(engine) == [2, 3, 4]
    keep(engine, span(5), span(6), count=3)
    assert numbers(engine) == [4, 5, 6]
    keep(engine, span(7), span(8), count=3)
    assert numbers(engine) == [5, 6, 7, 8]
    keep(engine, span(9), count=3)
    assert numbers(engine) == [7, 8, 9]


def test_the_old_are_forgotten_after_their_time(engine: Engine) -> None:
    """A span stays for exactly as long as is configured, counted from when it was received."""
    keep(engine, span(1, received=NOON))
    keep(engine, span(2, received=NOON + HOUR), now_ns=NOON + HOUR)
    assert numbers(engine) == [1, 2]
    keep(engine, span(3, received=NOON + HOUR + 1), now_ns=NOON + HOUR + 1)
    assert numbers(engine) == [2, 3]


def test_nothing_is_kept_if_the_user_says_so(engine: Engine) -> None:
    """`keep_spans: 0` writes no row, and the writer says beforehand that it will not."""
    keep(engine, span(1), count=0)
    assert numbers(engine) == []
    assert not RollupWriter(engine, "p0", None, lambda: NOON).keeps_spans


def test_the_writer_keeps_spans_with_the_sums(engine: Engine) -> None:
    """They are written in the transaction of the sums, and a second writer adds nothing."""
    for part in ("p0", "p1"):
        writer = RollupWriter(engine, part, None, lambda: NOON, ExplainConfig())
        writer.write({}, {}, [], {}, [span(1), span(2)])
    assert numbers(engine) == [1, 2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ab" * 16, [("trace", "ab" * 16)]),
        ("AB" * 4, [("trace", "ab" * 16)]),
        ("aba", [("trace", "ab" * 16)]),
        ("a", [("trace", "ab" * 16), ("trace", "ac" * 16)]),
        ("0000000000000002", [("span", "0000000000000002")]),
        ("chatcmpl-1", [("response", "chatcmpl-1"), ("response", "chatcmpl-12")]),
        ("chatcmpl-12", [("response", "chatcmpl-12")]),
        ("Chatcmpl-12", []),
        ("%", []),
        ("ad", []),
        ("ab" * 17, []),
    ],
)
def test_ids_are_found_by_how_they_begin(engine: Engine, name: str, expected: list[tuple[str, str]]) -> None:
    """Hex ids in either case, response ids as they are; nothing in a name is a pattern."""
    keep(engine, span(1, response="chatcmpl-1"), span(2, TWO, response="chatcmpl-12"))
    assert sorted((match.what, match.name) for match in Shelf(engine).find(name)) == expected


def test_traces_are_found_by_what_two_reports_share(engine: Engine) -> None:
    """By response id, and by usage within a time, of the same tenant only."""
    keep(
        engine,
        span(1, response="r1", usage="10/5"),
        span(2, TWO, response="r1", usage="10/5", received=NOON + SECOND),
        span(3, TraceId("other", TWO.trace_id), response="r1", usage="10/5"),
    )
    assert Shelf(engine).with_response("default", "r1") == [ONE, TWO]
    assert Shelf(engine).with_response("default", "") == []
    assert Shelf(engine).with_usage("default", "10/5", NOON, NOON + SECOND) == [ONE, TWO]
    assert Shelf(engine).with_usage("default", "10/5", NOON, NOON + SECOND - 1) == [ONE]
    assert Shelf(engine).with_usage("default", "10/6", NOON, NOON + SECOND) == []
