"""Memory does not grow with what is distinct: traces, responses, prompts, users, sessions, teams, services.

`TOKENSENSE_CALLS=200000 pytest …` looks at as many as one likes; 20,000 reach every limit of a shard.
"""

import os
from collections.abc import Iterator

from tests.support.calls import NOON, SECOND
from tests.support.road import Road
from tests.support.sources import a_counter, a_metrics_request
from tests.support.traffic import a_request, a_span, chat
from tokensense_otel.dataflow.accounting import AccountingConfig
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.receiver.log.entry import Entry, Signal

CALLS = int(os.environ.get("TOKENSENSE_CALLS", "40000"))
BATCH = 400
NUMBER = "ab%06d"
"""Of a batch, as it is written in ids and names: hexadecimal too."""

SLACK = 1 << 16
"""A few bytes for each service, of which more than there are here may be known."""


def distinct_calls() -> Iterator[Entry]:
    """Batches of calls of which no two have anything in common but their model, 2,000 a second.

    Each is the first batch with its number written anew in every id and name: that is quicker than making them.
    """
    spans = []
    for number in range(1, BATCH + 1):
        names = {
            "gen_ai.response.id": f"resp-{number}-{NUMBER % 0}",
            "tokensense.prompt.hash": f"{number:024x}{NUMBER % 0}",
            "tokensense.team": f"team-{number}-{NUMBER % 0}",
            "user.id": f"user-{number}-{NUMBER % 0}",
            "session.id": f"session-{number}-{NUMBER % 0}",
        }
        span = a_span(1, chat(input_tokens=1_000 + number) | names, trace=1, end_ns=NOON)
        span.trace_id = (NUMBER % 0).encode() + number.to_bytes(8)
        spans.append(span)
    body = a_request(spans, {"service.name": f"service-{NUMBER % 0}"}).SerializeToString()
    for batch in range(CALLS // BATCH):
        anew = body.replace((NUMBER % 0).encode(), (NUMBER % batch).encode())
        yield Entry(Signal.TRACES, "default", "", NOON + batch * BATCH * SECOND // 2_000, anew)


def test_distinct_calls_are_held_in_what_half_of_them_take() -> None:
    """In one shard of each stage state stops growing at its limits, and still every call is counted once."""
    road = Road(DataflowConfig(shards=1))
    held: list[dict[str, int]] = []
    for number, entry in enumerate(distinct_calls(), start=1):
        road.take([entry])
        if number % 50 == 0:
            road.advance(entry.received_ns)
        if number * BATCH in (CALLS // 2, CALLS):
            held.append(road.held())
            road.books.usage.clear()  # what is in the store is no state of a stage
    half, whole = held
    assert all(whole[stage] <= 1.05 * half[stage] + SLACK for stage in half), held
    assert road.total().calls == road.total().spans == CALLS


def test_distinct_time_series_are_refused_above_the_limit() -> None:
    """4,000 series of one metric are held in what 2,000 of them take, and those below the limit count."""
    road = Road(DataflowConfig(shards=1, accounting=AccountingConfig(max_meter_series=1_000)))
    held: list[int] = []
    for number in range(4_000):
        about = {"type": "input", "model": "claude-opus-4-1", "session.id": f"session-{number}"}
        counter = a_counter("claude_code.token.usage", about, value=10, start_ns=NOON, time_ns=NOON + SECOND)
        request = a_metrics_request(counter, resource={"service.name": "cli", "service.instance.id": str(number)})
        road.take([Entry(Signal.METRICS, "default", "", NOON + SECOND, request.SerializeToString())])
        if number in (1_999, 3_999):
            held.append(road.held()["m"])
    half, whole = held
    assert whole <= 1.05 * half
    assert road.total().metered == 1_000
