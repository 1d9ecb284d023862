"""Why spans count or do not: each reason on the smallest trace that gives it, and no word changes the outcome."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.spans import facts_of_span, span_id
from tokensense_otel.core.call import Tokens
from tokensense_otel.dataflow.accounting.trace import settle
from tokensense_otel.dataflow.accounting.verdicts import TEXT, Reason, Verdict, Verdicts
from tokensense_otel.dataflow.facts import Kind, SpanFacts

USAGE = Tokens(100, 10)


def verdicts_on(spans: Iterable[SpanFacts], *, had_calls: bool = False) -> Verdicts:
    verdicts = Verdicts()
    by_id = {facts.span_id: facts for facts in spans}
    assert settle(by_id, had_calls=had_calls, verdicts=verdicts) == settle(by_id, had_calls=had_calls)
    return verdicts


def wrapper(number: int, parent: int = 0) -> SpanFacts:
    return facts_of_span(number, Kind.WRAPPER, parent=parent, tokens=USAGE)


CASES: list[tuple[Reason, list[SpanFacts], list[int]]] = [
    (Reason.CALL, [facts_of_span(1)], []),
    (Reason.ATTEMPTS_FAILED, [facts_of_span(1), facts_of_span(2, parent=1, error_type="timeout")], [2]),
    (Reason.LONE_USAGE, [facts_of_span(1, Kind.CANDIDATE)], []),
    (Reason.STAND_IN, [wrapper(1)], []),
    (Reason.CALLS_WITHIN, [facts_of_span(1), facts_of_span(2, parent=1), facts_of_span(3, parent=1)], [2, 3]),
    (
        Reason.SAME_RESPONSE,
        [
            facts_of_span(1, response_id="r"),
            facts_of_span(2, response_id="r", tokens=Tokens(100, 10, 0)),
        ],
        [2],
    ),
    (Reason.SAME_USAGE, [facts_of_span(1), facts_of_span(2, tokens=Tokens(100, 10, 0))], [2]),
    (Reason.DETAIL, [facts_of_span(1, Kind.DETAIL, parent=2), facts_of_span(2)], [2]),
    (Reason.DETAIL_OF_NOTHING, [facts_of_span(1, Kind.DETAIL)], []),
    (Reason.EVENT_ALONE, [facts_of_span(1, Kind.EVENT, parent=2, tokens=USAGE)], []),
    (Reason.EVENT, [facts_of_span(1, Kind.EVENT, parent=2, tokens=USAGE), facts_of_span(2)], [2]),
    (
        Reason.EVENT_OF_NOTHING,
        [facts_of_span(1, Kind.EVENT, parent=2, tokens=Tokens()), facts_of_span(2, Kind.WRAPPER)],
        [],
    ),
    (Reason.USAGE_WITHOUT_MODEL, [facts_of_span(1, Kind.CANDIDATE, request_model="")], []),
    (Reason.USAGE_OVER_CALLS, [facts_of_span(1, Kind.CANDIDATE), facts_of_span(2, parent=1)], []),
    (Reason.USAGE_WITHIN_CALL, [facts_of_span(1, Kind.CANDIDATE, parent=2), facts_of_span(2)], [2]),
    (Reason.USAGE_OVER_USAGE, [facts_of_span(1, Kind.CANDIDATE), facts_of_span(2, Kind.CANDIDATE, parent=1)], []),
    (Reason.WRAPPER, [facts_of_span(1, Kind.WRAPPER)], []),
    (Reason.WRAPPER_OVER_CALLS, [wrapper(1), facts_of_span(2, parent=1)], []),
    (Reason.USAGE_LENT, [wrapper(1), facts_of_span(2, parent=1, tokens=Tokens())], [2]),
    (Reason.WRAPPER_WITHIN_CALL, [wrapper(1, parent=2), facts_of_span(2)], [2]),
    (Reason.WRAPPER_OVER_WRAPPER, [wrapper(1), wrapper(2, parent=1)], []),
    (Reason.TOOL, [facts_of_span(1, Kind.TOOL)], []),
    (Reason.NOT_GENAI, [facts_of_span(1, Kind.OTHER)], []),
]


@pytest.mark.parametrize(("reason", "spans", "others"), CASES, ids=[reason.value for reason, _, _ in CASES])
def test_each_reason_is_given(reason: Reason, spans: list[SpanFacts], others: list[int]) -> None:
    """Of each trace span 1 has this reason, which speaks of these other spans."""
    assert verdicts_on(spans).spans[span_id(1)] == Verdict(reason, tuple(span_id(number) for number in others))


def test_a_wrapper_after_its_calls_does_not_stand_in() -> None:
    """Where calls of a trace were counted before it was closed, a late wrapper is told why it does not count."""
    assert verdicts_on([wrapper(1)], had_calls=True).spans[span_id(1)] == Verdict(Reason.WRAPPER_AFTER_CALLS)


def test_every_reason_has_its_words() -> None:
    """The list is closed, and all but those across traces and after closing are shown above."""
    assert set(TEXT) == set(Reason)
    elsewhere = {Reason.RESPONSE_ELSEWHERE, Reason.USAGE_ELSEWHERE, Reason.WRAPPER_AFTER_CALLS}
    assert {reason for reason, _, _ in CASES} == set(Reason) - elsewhere


traces = st.lists(
    st.tuples(
        st.sampled_from([Kind.CALL, *Kind]),
        st.integers(0, 10),
        st.sampled_from(["", "", "r1"]),
        st.sampled_from([USAGE, Tokens(), Tokens(7, 7)]),
        st.sampled_from(["", "", "timeout"]),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=200, deadline=None)
@given(traces=traces, had_calls=st.booleans())
def test_every_span_has_one_verdict_and_it_agrees_with_the_books(
    traces: list[tuple[Kind, int, str, Tokens, str]], had_calls: bool
) -> None:
    """In any tangle of spans each has a reason, and those with a counting one are exactly the calls."""
    spans = [
        facts_of_span(number, kind, parent=parent, response_id=response, tokens=tokens, error_type=error)
        for number, (kind, parent, response, tokens, error) in enumerate(traces, 1)
    ]
    verdicts = verdicts_on(spans, had_calls=had_calls)
    assert verdicts.spans.keys() == {facts.span_id for facts in spans}
    calls = settle({facts.span_id: facts for facts in spans}, had_calls=had_calls)
    assert {span for span, verdict in verdicts.spans.items() if verdict.counted} == calls.keys()
    assert verdicts.told.keys() == calls.keys()
