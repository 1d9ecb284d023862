"""Many calls that look alike, as of a load test against a stub: answers of one size, with one id or none."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.books import Books, batches
from tests.support.calls import NOON, SECOND
from tests.support.spans import facts_of_span
from tokensense_otel.dataflow.facts import SpanFacts

CALLS = 24


def pair(number: int, start_ns: int, response_id: str) -> list[SpanFacts]:
    """A framework's span at the root of a trace of its own, and the SDK's beneath it."""
    where: dict[str, Any] = {"trace_id": number.to_bytes(16, "big"), "start_ns": start_ns, "end_ns": start_ns + SECOND}
    return [
        facts_of_span(1, **where, scope="langchain"),
        facts_of_span(2, **where, scope="openai", parent=1, response_id=response_id),
    ]


@pytest.mark.parametrize(
    ("response_id", "apart_ns"),
    [("", 0), ("", SECOND // 50), ("stub", SECOND // 50)],
    ids=["at once", "50 a second", "50 a second, one id"],
)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), crash_every=st.integers(1, 7))
def test_calls_that_look_alike_each_count(response_id: str, apart_ns: int, seed: int, crash_every: int) -> None:
    """Calls of one size and one id are as many as there are, in whatever order their spans come and past crashes."""
    books = Books()
    spans = [each for n in range(1, CALLS + 1) for each in pair(n, NOON + n * apart_ns, response_id)]
    for number, batch in enumerate(batches(spans, seed)):
        books.ingest(batch)
        if number % crash_every == 0:
            books.crash()
    total = books.total()
    assert (len(books.calls), total.calls, total.duplicates) == (CALLS, CALLS, CALLS)
