"""Usage that only a span around calls reports."""

from typing import Any

import pytest

from tests.support.calls import NOON, SECOND
from tests.support.spans import facts_of_span
from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.dataflow.accounting.trace import settle
from tokensense_otel.dataflow.facts import Kind, SpanFacts

SILENT = Tokens()
USAGE = Tokens(300, 30, 200)


def agent(number: int, parent: int = 0, tokens: Tokens = USAGE) -> SpanFacts:
    return facts_of_span(number, Kind.WRAPPER, parent=parent, tokens=tokens, end_ns=NOON + 9 * SECOND)


def silent(number: int, parent: int, start_s: int = 0, **changes: Any) -> SpanFacts:
    start_ns = NOON + start_s * SECOND
    told: dict[str, Any] = {"tokens": SILENT, "start_ns": start_ns, "end_ns": start_ns + SECOND}
    told.update(changes)
    return facts_of_span(number, parent=parent, **told)


def settled(*spans: SpanFacts) -> dict[int, Tokens]:
    """The tokens of each call, by span number, which must not depend on the order of the spans."""
    calls: dict[bytes, Call] = settle({facts.span_id: facts for facts in spans})
    assert settle({facts.span_id: facts for facts in reversed(spans)}) == calls
    return {int.from_bytes(number, "big"): call.tokens for number, call in calls.items()}


def test_a_call_without_usage_gets_that_of_the_agent_around_it() -> None:
    """An agent with one call beneath it tells that call's usage, which nobody else does."""
    assert settled(agent(1), silent(2, parent=1)) == {2: USAGE}


def test_of_several_calls_without_usage_the_last_gets_that_of_all() -> None:
    """Two turns and a failed one used 300 tokens together: the sums are true, the share of each is unknown."""
    turns = silent(2, 1, 0), silent(3, 1, 2), silent(4, 1, 4, error_type="timeout")
    assert settled(agent(1), *turns) == {2: SILENT, 3: USAGE, 4: SILENT}


@pytest.mark.parametrize(
    "change", [{"tokens": Tokens(7, 1)}, {"request_model": "o3"}], ids=["one reported", "two models"]
)
def test_usage_of_an_agent_is_dropped_where_it_is_not_plainly_that_of_its_calls(change: dict[str, Any]) -> None:
    """Where a call beneath reported usage, or the calls are of several models, nothing is lent."""
    tokens = change.get("tokens", SILENT)
    assert settled(agent(1), silent(2, 1), silent(3, 1, 2, **change)) == {2: SILENT, 3: tokens}


def test_the_innermost_agent_lends_and_those_around_it_do_not() -> None:
    """An agent within an agent tells the usage of its own call; the outer one's total includes that."""
    spans = agent(1, tokens=Tokens(400, 40)), agent(2, 1), silent(3, 2), silent(4, 1, 4)
    assert settled(*spans) == {3: USAGE, 4: SILENT}


def test_a_further_report_with_usage_leaves_nothing_to_lend() -> None:
    """The framework's span around the call is its second report, and tells its usage itself."""
    framework = silent(2, 1, tokens=Tokens(100, 10))
    assert settled(agent(1), framework, silent(3, 2)) == {3: Tokens(100, 10)}


def test_failed_calls_are_lent_nothing() -> None:
    """Usage over nothing but failures is not theirs."""
    assert settled(agent(1), silent(2, 1, error_type="timeout")) == {2: SILENT}
