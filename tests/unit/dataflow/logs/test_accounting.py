"""Records and spans of the same calls: each call once, by the better witness, in any order and after any crash."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calls import NOON, SECOND
from tests.support.sources import AllBooks, Item, a_record, records_of_capture, shuffled, spans_of_capture, told
from tests.support.spans import TRACE, an_otlp_span, facts_of_span, normalised, span_id
from tests.unit.dataflow.logs.test_records import API_REQUEST, CHAT, CLAUDE, CODEX, DETAILS, SSE
from tokensense_otel.core.call import Call, Source, Tokens
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting import AccountingConfig
from tokensense_otel.dataflow.facts import Kind, SpanFacts

WITH_RECORDS = ["official_genai", "openai_v2", "openlit"]
RESOURCE = {"service.name": "agent"}


def event(target: int = 1, *, number: int = 0, **changes: Any) -> SpanFacts:
    """An event about span `target`; `number` tells one from another."""
    keys = CHAT | {"n": number} | changes
    (facts,) = told(a_record(keys, event=DETAILS, trace_id=TRACE, span_id=span_id(target), time_ns=NOON + SECOND))
    return facts


def choice(target: int = 1) -> SpanFacts:
    (facts,) = told(
        a_record({}, event="gen_ai.choice", body={"finish_reason": "stop"}, trace_id=TRACE, span_id=span_id(target))
    )
    return facts


def accounted(items: list[Item]) -> AllBooks:
    """The books of these items, the same in every order of them."""
    books: list[AllBooks] = []
    for order in itertools.permutations(items):
        books.append(AllBooks())
        for item in order:
            books[-1].take([item])
            assert books[-1].balanced
    assert all((each.calls, each.total()) == (books[0].calls, books[0].total()) for each in books)
    return books[0]


def test_an_event_adds_to_its_span() -> None:
    """Where the span comes, first or last, it is the call and the record a second report that completes it."""
    books = accounted([facts_of_span(1, tokens=Tokens(10, 5)), event(**{"gen_ai.usage.cache_read.input_tokens": 4})])
    (call,) = books.calls
    assert (call.source, call.tokens) == (Source.SPAN, Tokens(10, 5, 4, 0))
    assert books.total() == Accounting(spans=1, calls=1)


def test_events_are_the_call_where_no_span_comes() -> None:
    """All that is told about one span is one call: the one with usage, completed by the others."""
    books = accounted([choice(), event(), choice(2)])
    first, second = sorted(books.calls, key=lambda call: not call.tokens.known)
    assert (first.tokens, first.finish_reason) == (Tokens(10, 5, None, 0), "stop")
    assert second.tokens == Tokens()
    assert books.total() == Accounting(calls=2, records=2)


def test_usage_tells_calls_of_one_context_apart() -> None:
    """Two streams that end in the context of one request are two calls, and one of them told twice is one."""
    usage = {"gen_ai.usage.output_tokens": 6}
    assert len(accounted([event(), event(number=1, **usage)]).calls) == 2
    assert len(accounted([event(), event(number=1)]).calls) == 1


@pytest.mark.parametrize("kind", [Kind.OTHER, Kind.WRAPPER, Kind.TOOL])
def test_an_event_about_what_is_no_call(kind: Kind) -> None:
    """With usage it is a call that had no span of its own; without any it is nothing."""
    books = accounted([facts_of_span(1, kind), event(), choice()])
    assert [call.tokens for call in books.calls] == [Tokens(10, 5, None, 0)]
    total = books.total()
    assert (total.spans, total.calls, total.records, total.duplicates) == (1, 1, 1, 0)


def test_a_call_that_lost_its_context_finds_its_span() -> None:
    """An event in another span's context, or none, joins the call of the same service, usage, model and time."""
    attributes = CHAT | {"gen_ai.response.model": "gpt-4o"}
    (span,) = normalised(an_otlp_span(attributes), scope="openlit", resource=RESOURCE)
    (lost,) = told(a_record(attributes, event=DETAILS, time_ns=NOON + SECOND), scope="openlit", resource=RESOURCE)
    books = accounted([span, lost])
    assert [call.source for call in books.calls] == [Source.SPAN]
    assert books.total() == Accounting(spans=1, calls=1)


@pytest.mark.parametrize(("seconds", "calls"), [(2, 1), (2.001, 2)])
def test_a_record_is_near_its_span(seconds: float, calls: int) -> None:
    """Up to 2 s after the end of the span it is the same call; later it is another one of the same size."""
    (span,) = normalised(an_otlp_span(CHAT), resource=RESOURCE)
    late_ns = NOON + SECOND + round(seconds * SECOND)
    assert (
        len(accounted([span, *told(a_record(CHAT, event=DETAILS, time_ns=late_ns), resource=RESOURCE)]).calls) == calls
    )


def claude_span(**changes: Any) -> SpanFacts:
    keys = {key: value for key, value in API_REQUEST.items() if key != "event.name"} | {
        "span.type": "llm_request",
        "gen_ai.response.id": "msg_1",
        "stop_reason": "end_turn",
    }
    span = an_otlp_span(keys | changes, name="claude_code.llm_request", start_ns=NOON - 2 * SECOND, end_ns=NOON)
    return normalised(span, scope="com.anthropic.claude_code.tracing", resource=RESOURCE)[0]


def test_claude_codes_record_counts_before_its_span() -> None:
    """They share the request's id, in two traces; the record counts and takes the finish reason from the span."""
    books = accounted([claude_span(), *told(a_record(API_REQUEST), scope=CLAUDE, resource=RESOURCE)])
    (call,) = books.calls
    assert (call.source, call.tokens, call.finish_reason) == (Source.RECORD, Tokens(1150, 20, 1000, 50), "end_turn")
    assert books.total() == Accounting(spans=1, calls=1, duplicates=1, records=1)


@pytest.mark.parametrize(("output", "calls"), [(20, 1), (21, 2)])
def test_claude_codes_record_corrects_the_model_of_its_span(output: int, calls: int) -> None:
    """Claude Code 2.0 puts the usage of one request beside the model of another; the same to the token is one call."""
    record = {key: value for key, value in API_REQUEST.items() if key != "request_id"} | {"model": "claude-haiku-4-5"}
    span = claude_span(output_tokens=output, request_id="", **{"gen_ai.response.id": ""})
    books = accounted([span, *told(a_record(record), scope=CLAUDE, resource=RESOURCE)])
    assert len(books.calls) == calls
    assert "claude-haiku-4-5" in {call.request_model for call in books.calls}


def test_claude_codes_record_within_its_span_counts_too() -> None:
    """With tracing on the record names the span as its context; that changes nothing."""
    record = a_record(API_REQUEST, trace_id=TRACE, span_id=span_id(1))
    (call,) = accounted([claude_span(), *told(record, scope=CLAUDE, resource=RESOURCE)]).calls
    assert (call.source, call.tokens.input) == (Source.RECORD, 1150)


def test_requests_in_one_context_are_calls_of_their_own() -> None:
    """Agents write one record for each request in the context of the prompt; same size or not, each counts."""
    records = [
        a_record(API_REQUEST | {"request_id": f"req_{n}"}, trace_id=TRACE, span_id=span_id(9), time_ns=NOON + n)
        for n in range(3)
    ]
    books = accounted([*told(*records, scope=CLAUDE, resource=RESOURCE)])
    assert len(books.calls) == 3


def test_codexs_record_counts_before_its_span() -> None:
    """No id tells that they are one, but service, usage, model and time do."""
    keys = {"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 300, "model": "gpt-5-codex"}
    span = an_otlp_span(keys, name="handle_responses", start_ns=NOON - 5 * SECOND, end_ns=NOON)
    (facts,) = normalised(span, scope="codex_exec", resource=RESOURCE)
    (call,) = accounted([facts, *told(a_record(SSE), scope=CODEX, resource=RESOURCE)]).calls
    assert (call.source, call.tokens.cache_read) == (Source.RECORD, 1000)


def test_a_span_after_its_trace_was_closed_is_still_the_second_report() -> None:
    """What an event stood for is remembered: a late span of it is a duplicate, and a late event adds nothing."""
    idle = round(AccountingConfig().trace_idle_s * SECOND)
    span: list[Item] = [facts_of_span(1, tokens=Tokens(10, 5), response_id="r")]
    span_first, event_first = Accounting(spans=1, calls=1), Accounting(spans=1, calls=1, duplicates=1, records=1)
    for first, second, total in ((span, [event()], span_first), ([event()], span, event_first)):
        books = AllBooks()
        books.take(first, NOON)
        books.advance(NOON + 10 * idle)
        books.crash()
        books.take(second, NOON + 10 * idle)
        assert len(books.calls) == 1
        assert books.total() == total


def key(call: Call) -> tuple[object, ...]:
    return (
        call.request_model or call.response_model,
        call.operation,
        call.tokens.input,
        call.tokens.output,
        call.failed,
    )


@pytest.mark.parametrize("folder", WITH_RECORDS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), crash_every=st.integers(1, 5))
def test_records_of_a_capture_change_no_total(folder: str, seed: int, crash_every: int) -> None:
    """Spans and records of real traffic, twice, in any order and batches and with crashes: the calls of the spans."""
    alone, whole = AllBooks(), AllBooks()
    alone.take(spans_of_capture(folder))
    both = [*spans_of_capture(folder), *records_of_capture(folder)]
    whole.take(both)
    assert sorted(map(key, whole.calls), key=repr) == sorted(map(key, alone.calls), key=repr)
    assert whole.total() == alone.total()
    mixed = AllBooks()
    for number, batch in enumerate(shuffled([*both, *both], seed)):
        mixed.take(batch)
        assert mixed.balanced
        if number % crash_every == 0:
            mixed.crash()
    assert mixed.calls == whole.calls
    assert mixed.total().calls == whole.total().calls


@pytest.mark.parametrize(("folder", "calls"), [("official_genai", 16), ("openlit", 24)])
def test_records_alone_are_the_calls_that_they_tell_of(folder: str, calls: int) -> None:
    """Where no span comes, each record is one call, with the tokens that the span would have told."""
    alone, whole = AllBooks(), AllBooks()
    alone.take(records_of_capture(folder))
    whole.take(spans_of_capture(folder))
    assert alone.total() == Accounting(calls=calls, records=calls)
    assert set(map(key, alone.calls)) <= set(map(key, whole.calls))
