"""A Collector with a persistent queue may send again, hours later, what was accounted long ago."""

import random

import pytest

from tests.support.calls import SECOND
from tests.support.captures import NAMES
from tests.support.road import Road
from tests.support.traffic import a_request, a_span, chat
from tests.support.truth import differences, sums
from tests.support.wire import recorded, shuffled
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.receiver.log.entry import Entry, Signal

CAPTURED = 1_795_516_000_000_000_000
"""2026-11-24T10:26:40Z, when captures were made."""
HOUR = 3600 * SECOND


def entries(folder: str, since_ns: int) -> list[Entry]:
    return [
        Entry(Signal(sent.signal), "default", "", since_ns + number * SECOND // 10, sent.request.SerializeToString())
        for number, sent in enumerate(recorded(folder))
    ]


def others(number: int, now_ns: int) -> Entry:
    """Calls of another tenant, a trace each, that keep every shard at work."""
    spans = [a_span(1, chat(), trace=100 * number + n, end_ns=now_ns) for n in range(1, 9)]
    return Entry(Signal.TRACES, "another", "", now_ns, a_request(spans, {}).SerializeToString())


@pytest.mark.parametrize("hours", [0.1, 5, 23.5])
@pytest.mark.parametrize("folder", NAMES)
def test_a_resend_hours_later_adds_duplicates_only(folder: str, hours: float) -> None:
    """Whatever was accounted, closed and forgotten but for its ids is known when it comes again, also after a crash."""
    road = Road(DataflowConfig(shards=2))
    road.take(entries(folder, CAPTURED))
    before, rows = road.total(), road.rows()
    assert differences(folder, sums(folder, rows)) == []
    for number in range(1, 25):
        now_ns = CAPTURED + round(hours * HOUR * number / 24)
        road.take([others(number, now_ns)])
        road.advance(now_ns)
    road.crash()
    road.take(shuffled(entries(folder, CAPTURED + round(hours * HOUR)), random.Random(7)))
    assert road.rows() == rows
    after = road.total()
    assert (after.spans, after.calls) == (2 * before.spans, before.calls)
