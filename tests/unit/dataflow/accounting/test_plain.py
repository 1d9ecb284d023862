"""The short way to settle a plain trace comes to what the long one does, and takes no other trace."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.books import facts_of
from tests.support.captures import NAMES
from tests.support.spans import facts_of_span, span_id
from tokensense_otel.core.call import Dimensions, Source, Tokens
from tokensense_otel.dataflow.accounting.plain import settle_plainly
from tokensense_otel.dataflow.accounting.trace import settle
from tokensense_otel.dataflow.accounting.verdicts import Verdicts
from tokensense_otel.dataflow.facts import Kind, SpanFacts

USAGE = Tokens(100, 10)


def by_id(*spans: SpanFacts) -> dict[bytes, SpanFacts]:
    return {facts.span_id: facts for facts in spans}


@st.composite
def traces(draw: st.DrawFn) -> dict[bytes, SpanFacts]:
    """Up to 9 spans, most of them as a plain trace has them; parents that never come, and loops."""
    spans: list[SpanFacts] = []
    for number in range(1, draw(st.integers(1, 9)) + 1):
        kind = draw(st.sampled_from([Kind.CALL, Kind.OTHER, Kind.TOOL, Kind.CALL, Kind.OTHER, *Kind]))
        spans.append(
            facts_of_span(
                number,
                kind,
                parent=draw(st.integers(0, 12)),
                own=Dimensions(*draw(st.sampled_from([("",), ("",), ("search",), ("", "chat"), ("shop", "cart")]))),
                resource=Dimensions(service="api", team=draw(st.sampled_from(["", "platform"]))),
                project=draw(st.sampled_from(["", "", "web"])),
                tokens=draw(st.sampled_from([USAGE, Tokens(), None])) if kind is Kind.WRAPPER else USAGE,
                response_id=draw(st.sampled_from(["", f"r{number}", f"r{number}", "shared"])),
                scope=draw(st.sampled_from(["sdk", "sdk", "sdk", "sdk", "framework"])),
                error_type=draw(st.sampled_from(["", "", "timeout"])),
            )
        )
    return by_id(*spans)


@settings(max_examples=400, deadline=None)
@given(spans=traces(), had_calls=st.booleans())
def test_both_ways_come_to_the_same(spans: dict[bytes, SpanFacts], had_calls: bool) -> None:
    """Whatever is settled plainly is settled so by weighing every report, whether calls were there before or not."""
    plain = settle_plainly(spans)
    if plain is not None:
        assert plain == settle(spans, had_calls=had_calls, verdicts=Verdicts())


@pytest.mark.parametrize("name", NAMES)
def test_both_ways_come_to_the_same_on_captures(name: str) -> None:
    """The traces of real instrumentations, too, come to the same in both ways."""
    traces: dict[bytes, dict[bytes, SpanFacts]] = {}
    for facts in (facts for request in facts_of(name) for facts in request):
        traces.setdefault(facts.trace_id, {})[facts.span_id] = facts
    for spans in traces.values():
        plain = settle_plainly(spans)
        assert plain is None or plain == settle(spans, verdicts=Verdicts())


def test_the_usual_traces_are_plain() -> None:
    """Calls of one instrumentation beneath a server's span, an agent and its tool are settled the short way."""
    root = facts_of_span(1, Kind.OTHER, own=Dimensions(team="search"))
    agent = facts_of_span(2, Kind.WRAPPER, parent=1)
    tool = facts_of_span(3, Kind.TOOL, parent=2)
    first = facts_of_span(4, parent=2, scope="sdk", response_id="r1")
    second = facts_of_span(5, parent=2, scope="sdk", response_id="r2")
    settled = settle_plainly(by_id(root, agent, tool, first, second))
    assert settled is not None
    assert settled.keys() == {span_id(4), span_id(5)}
    assert {call.dimensions.team for call in settled.values()} == {"search"}


@pytest.mark.parametrize(
    "others",
    [
        [facts_of_span(2, parent=1)],
        [facts_of_span(2, Kind.OTHER, parent=1), facts_of_span(3, parent=2)],
        [facts_of_span(2)],
        [facts_of_span(2, scope="scope-1", response_id="r")],
        [facts_of_span(2, scope="scope-1", source=Source.RECORD)],
        [facts_of_span(2, Kind.WRAPPER, tokens=USAGE)],
        [facts_of_span(2, Kind.CANDIDATE)],
        [facts_of_span(2, Kind.DETAIL, parent=1)],
        [facts_of_span(2, Kind.EVENT, parent=1, tokens=USAGE)],
    ],
    ids=[
        *("within", "further within", "two scopes", "one response", "a record", "usage of a wrapper"),
        *("a candidate", "a detail", "an event"),
    ],
)
def test_what_must_be_weighed_is_not_plain(others: list[SpanFacts]) -> None:
    """Wherever a second span may tell of the same call, the short way leaves it to the long one."""
    assert settle_plainly(by_id(facts_of_span(1, response_id="r"), *others)) is None


def test_a_loop_of_parents_is_not_plain() -> None:
    """A call whose parents form a loop, with itself in it or above it, is left to the long way."""
    within = by_id(facts_of_span(1, parent=2), facts_of_span(2, Kind.OTHER, parent=1))
    above = by_id(
        facts_of_span(1, parent=2), facts_of_span(2, Kind.OTHER, parent=3), facts_of_span(3, Kind.OTHER, parent=2)
    )
    assert settle_plainly(within) is None
    assert settle_plainly(above) is None
