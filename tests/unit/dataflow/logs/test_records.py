"""Which log records tell of a call, and what each says; names as in live exports of the agents."""

from typing import Any

import pytest

from tests.support.books import SALT
from tests.support.calls import NOON, SECOND
from tests.support.sources import a_logs_request, a_record, told
from tests.support.spans import TRACE, span_id
from tokensense_otel.core.call import Call, Source, Tokens
from tokensense_otel.core.tally import Tallies
from tokensense_otel.dataflow.facts import Kind, SpanFacts
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.normalise.logs import LogNormaliser

CLAUDE = "com.anthropic.claude_code.events"
CODEX = "codex_otel.log_only"
DETAILS = "gen_ai.client.inference.operation.details"
API_REQUEST = {
    "event.name": "api_request",
    "session.id": "s-1",
    "model": "claude-sonnet-4-5-20250929",
    "input_tokens": 100,
    "output_tokens": 20,
    "cache_read_tokens": 1000,
    "cache_creation_tokens": 50,
    "duration_ms": "2000",
    "request_id": "req_1",
    "query_source": "main",
}
SSE = {
    "event.name": "codex.sse_event",
    "event.kind": "response.completed",
    "model": "gpt-5-codex",
    "conversation.id": "c-1",
    "input_token_count": "1200",
    "output_token_count": "300",
    "cached_token_count": "1000",
    "reasoning_token_count": "200",
    "tool_token_count": "1500",
    "duration_ms": "9",
}
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
}


def one(*args: Any, scope: str = "", resource: dict[str, Any] | None = None, **kwargs: Any) -> tuple[SpanFacts, Call]:
    (facts,) = told(a_record(*args, **kwargs), scope=scope, resource=resource)
    assert facts.call is not None
    assert facts.is_record
    return facts, facts.call


def test_claude_code_tells_each_request() -> None:
    """An `api_request` is a call: its input comes without cached tokens, so 100 + 1,000 + 50 were sent."""
    facts, call = one(API_REQUEST, scope=CLAUDE)
    assert facts.kind is Kind.CALL
    assert call.tokens == Tokens(1150, 20, 1000, 50)
    assert (call.provider, call.model, call.response_id) == ("anthropic", "claude-sonnet-4-5-20250929", "req_1")
    assert (call.start_ns, call.end_ns) == (NOON - 2 * SECOND, NOON)
    assert (call.source, call.root) == (Source.RECORD, True)
    assert facts.own.session == "s-1"


def test_a_stream_that_broke_off_is_a_failed_call() -> None:
    """Codex tells of its end without counts; what it used is unknown."""
    broken = {key: value for key, value in SSE.items() if not key.endswith("_count")}
    _, call = one(broken | {"error.message": "stream closed before response.completed"}, scope=CODEX)
    assert (call.tokens, call.error_type) == (Tokens(), "error")


def test_a_line_of_code_is_no_event_name() -> None:
    """Codex 0.169 names in the field where its code wrote the record, and gives it no time but of its observation."""
    place = "event otel/src/events/session_telemetry.rs:1153"
    facts, call = one(SSE, event=place, time_ns=0, observed_ns=NOON, scope=CODEX)
    assert (facts.kind, call.tokens.input, call.end_ns) == (Kind.CALL, 1200, NOON)


@pytest.mark.parametrize(
    ("attributes", "keywords"),
    [
        ({"event.name": "claude_code.api_request"}, {}),
        ({}, {"event": "claude_code.api_request"}),
        ({}, {"body": "claude_code.api_request"}),
        ({"event.name": "api_request"}, {"resource": {"service.name": "claude-code"}}),
        ({}, {"event": "api_request", "scope": CLAUDE}),
    ],
)
def test_the_event_may_be_named_in_any_of_its_places(attributes: dict[str, Any], keywords: dict[str, Any]) -> None:
    """The name is in the record's own field, an attribute or the body, with or without the agent's prefix."""
    bare = {key: value for key, value in API_REQUEST.items() if key != "event.name"}
    assert one(bare | attributes, **keywords)[1].tokens.output == 20


def test_a_short_name_is_nobodys() -> None:
    """`api_request` of an unknown scope and service is some other program's, and tells of no call."""
    assert told(a_record(API_REQUEST), scope="my.app") == []


def test_codex_tells_of_a_request_once() -> None:
    """Of the two records of a completed response the one with counts is the call; counts come as text."""
    facts, call = one(SSE, scope=CODEX)
    without = {key: value for key, value in SSE.items() if not key.endswith("_count")}
    assert told(a_record(without), scope=CODEX) == []
    assert told(a_record(SSE | {"event.kind": "response.created"}), scope=CODEX) == []
    assert call.tokens == Tokens(1200, 300, 1000, 0, None, 200)
    assert (call.provider, call.model, facts.own.session) == ("openai", "gpt-5-codex", "c-1")
    assert (call.start_ns, call.end_ns) == (NOON, NOON)


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"http.response.status_code": 200}, None),
        ({"http.response.status_code": "399"}, None),
        ({"http.response.status_code": 400}, "400"),
        ({"http.response.status_code": "429"}, "429"),
        ({"error.message": "connection reset"}, "error"),
        ({}, None),
    ],
)
def test_a_codex_request_counts_here_only_if_it_failed(attributes: dict[str, Any], error: str | None) -> None:
    """What succeeded is told by the end of its stream; a status from 400 on, or a message, says that it failed."""
    found = told(a_record({"event.name": "codex.api_request", "model": "gpt-5"} | attributes), scope=CODEX)
    assert [facts.call.error_type for facts in found if facts.call] == ([] if error is None else [error])


def test_gemini_cli_tells_each_answer() -> None:
    """Thoughts come on top of the output where the total says so: 40 + 80 were generated."""
    counts = {
        "input_token_count": 600,
        "output_token_count": 40,
        "cached_content_token_count": 128,
        "thoughts_token_count": 80,
        "total_token_count": 720,
    }
    attributes = {"event.name": "gemini_cli.api_response", "model": "gemini-2.5-pro", "duration_ms": 1000} | counts
    _, call = one(attributes, scope="gemini-cli")
    assert (call.tokens.input, call.tokens.output, call.tokens.cache_read, call.tokens.reasoning) == (600, 120, 128, 80)
    assert call.start_ns == NOON - SECOND


def test_gemini_clis_other_event_tells_of_the_same_call() -> None:
    """It writes the conventions' event beside its own record, so that one is passed over."""
    assert told(a_record(CHAT, event=DETAILS, trace_id=TRACE, span_id=span_id(1)), scope="gemini-cli") == []


def test_failures_are_calls() -> None:
    """An `api_error` is a failed call under the status that it names."""
    record = {"event.name": "claude_code.api_error", "model": "claude-opus-4-1", "error": "busy", "status_code": "529"}
    assert one(record)[1].error_type == "529"


def test_an_event_is_about_the_span_that_it_names() -> None:
    """The conventions' event is the child of that span, in its trace, whatever its scope."""
    facts, call = one(CHAT, event=DETAILS, trace_id=TRACE, span_id=span_id(7))
    assert (facts.kind, facts.trace_id, facts.parent_id) == (Kind.EVENT, TRACE, span_id(7))
    assert facts.span_id not in (span_id(7), b"")
    assert (call.tokens, call.root) == (Tokens(10, 5, None, 0), False)


def test_an_event_without_a_span_needs_usage() -> None:
    """One that lost its context is a call where it reports usage, and nothing where it does not."""
    facts, _ = one(CHAT, event=DETAILS)
    assert (len(facts.trace_id), facts.parent_id) == (16, b"")
    assert told(a_record({"gen_ai.system": "openai"}, event="gen_ai.choice")) == []


def test_a_choice_tells_how_its_call_ended() -> None:
    """The finish reason is in the body; model and usage are unknown."""
    body = {"index": 0, "finish_reason": "stop", "message": {"content": "secret"}}
    facts, call = one({"gen_ai.system": "openai"}, event="gen_ai.choice", body=body, trace_id=TRACE, span_id=span_id(1))
    assert (call.finish_reason, call.provider, call.model, call.tokens) == ("stop", "openai", "", Tokens())
    assert "secret" not in repr(facts)


@pytest.mark.parametrize(
    ("operation", "count"), [("chat", 1), ("embeddings", 1), ("invoke_agent", 0), ("execute_tool", 0)]
)
def test_events_of_agents_and_tools_are_no_calls(operation: str, count: int) -> None:
    """Only operations that are requests to a model are read."""
    record = a_record(CHAT | {"gen_ai.operation.name": operation}, event=DETAILS, trace_id=TRACE, span_id=span_id(1))
    assert len(told(record)) == count


def test_other_records_leave_no_trace() -> None:
    """Application logs, messages and evaluations are passed over."""
    events = ["", "gen_ai.user.message", "gen_ai.evaluation.result", "x" * 65, "claude_code.tool_result"]
    assert told(*(a_record({"a": 1}, event=event, body="hello") for event in events)) == []


def test_a_resend_has_the_same_ids() -> None:
    """Ids are made from what the record says; when it was observed is no part of it where its own time is known."""
    first, again = (one(API_REQUEST, scope=CLAUDE, observed_ns=NOON + late)[0] for late in (1, 2))
    later, _ = one(API_REQUEST, scope=CLAUDE, time_ns=NOON + 1)
    elsewhere, _ = one(API_REQUEST, scope=CLAUDE, resource={"service.name": "other"})
    assert first == again
    assert len({facts.span_id for facts in (first, later, elsewhere)}) == 3


@pytest.mark.parametrize(("received_ns", "rejected"), [(0, 1), (NOON, 0)])
def test_a_record_needs_some_time(received_ns: int, rejected: int) -> None:
    """Without a time of its own the time of reception stands in; without either it is refused and counted."""
    normaliser = LogNormaliser(Normaliser(NormaliseConfig(), SALT))
    tallies = Tallies()
    request = a_logs_request(a_record(API_REQUEST, time_ns=0), scope=CLAUDE)
    facts, refused = normaliser.records(request, tenant="default", project="", received_ns=received_ns, tallies=tallies)
    assert (len(facts), refused) == (1 - rejected, rejected)
    assert [call.end_ns for call in (each.call for each in facts) if call] == [NOON] * (1 - rejected)
    assert ("time_nowhere" in {tally.name for tally in tallies}) is bool(rejected)
