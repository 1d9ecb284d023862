"""From OTLP requests to facts: identity, times, errors, projects, and text that leaves no trace."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.books import CAPTURES, facts_of
from tests.support.calls import NOON, SECOND
from tests.support.spans import TRACE, a_request, an_otlp_span, call_of, key_values, normalised, span_id
from tokensense_otel.core.call import Dimensions
from tokensense_otel.dataflow.facts import Kind
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.normalise.aliases import KEYS

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"}
USAGE = CHAT | {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}


def test_a_call_has_everything_that_its_span_says() -> None:
    """Ids, times, names, tier, finish reason and streaming come from the attributes that dialects use for them."""
    call = call_of(
        USAGE
        | {
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.finish_reasons": ["STOP"],
            "openai.response.service_tier": "flex",
            "gen_ai.request.stream": True,
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.input.messages": "Hi",
        },
        scope="opentelemetry.instrumentation.genai.openai",
    )
    assert (call.trace_id, call.span_id) == (TRACE, span_id(1))
    assert (call.start_ns, call.end_ns, call.first_token_ns) == (NOON, NOON + SECOND, SECOND // 4)
    assert (call.provider, call.request_model, call.model) == ("openai", "gpt-4o", "gpt-4o-2024-08-06")
    assert (call.response_id, call.finish_reason, call.service_tier) == ("chatcmpl-1", "stop", "flex")
    assert call.streaming
    assert call.prompt_hash
    assert (call.dialect, call.scope) == ("otel-util-genai", "opentelemetry.instrumentation.genai.openai")
    assert call.root


@pytest.mark.parametrize(
    "change",
    [
        {"trace_id": b""},
        {"trace_id": bytes(16)},
        {"trace_id": b"short"},
        {"span_id": b""},
        {"span_id": bytes(8)},
        {"span_id": b"ninebytes"},
        {"start_time_unix_nano": 0, "end_time_unix_nano": 0},
    ],
)
def test_a_span_without_identity_or_time_is_rejected(change: dict[str, Any]) -> None:
    """Broken ids and no time at all cannot be accounted; the spans beside them are."""
    broken = an_otlp_span(USAGE)
    for name, value in change.items():
        setattr(broken, name, value)
    normaliser = Normaliser(NormaliseConfig(), b"salt")
    facts, rejected = normaliser.spans(a_request(broken, an_otlp_span(USAGE)), tenant="t", project="")
    assert (len(facts), rejected) == (1, 1)
    assert facts[0].tenant == "t"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 7, (7, 7)), (7, 0, (7, 7)), (9, 7, (9, 9)), (7, 9, (7, 9))],
)
def test_no_call_ends_before_it_starts(start: int, end: int, expected: tuple[int, int]) -> None:
    """A missing time is the other one, and a clock that ran back makes a call of no length."""
    call = call_of(USAGE, start_ns=start, end_ns=end)
    assert (call.start_ns, call.end_ns) == expected


def test_an_all_zero_parent_is_none() -> None:
    """A parent id of zeros is how some exporters say root."""
    (facts,) = normalised(an_otlp_span(USAGE, parent=0))
    assert facts.parent_id == b""
    zeros = an_otlp_span(USAGE)
    zeros.parent_span_id = bytes(8)
    (facts,) = normalised(zeros)
    assert facts.parent_id == b""
    assert facts.call is not None
    assert facts.call.root


FAILED = Status(code=Status.STATUS_CODE_ERROR, message="secret prompt inside")
EXCEPTION = Span.Event(name="exception", attributes=key_values({"exception.type": "openai.RateLimitError"}))


@pytest.mark.parametrize(
    ("attributes", "fields", "error"),
    [
        (CHAT | {"error.type": "429"}, {}, "429"),
        (CHAT, {"status": FAILED, "events": [EXCEPTION]}, "openai.RateLimitError"),
        (CHAT, {"status": FAILED}, "error"),
        (CHAT, {"events": [EXCEPTION]}, "openai.RateLimitError"),
        (USAGE, {"events": [EXCEPTION]}, ""),
        (CHAT | {"langfuse.observation.level": "ERROR"}, {}, "error"),
        (CHAT | {"success": "false"}, {}, "error"),
        (USAGE, {}, ""),
    ],
)
def test_an_error_is_named_as_well_as_the_span_does(
    attributes: dict[str, Any], fields: dict[str, Any], error: str
) -> None:
    """The error's type, else the status with its exception; an exception beside an answer was caught."""
    assert call_of(attributes, **fields).error_type == error


def test_projects_of_key_span_and_resource() -> None:
    """A key's project is final; without one the span's comes before the resource's."""
    normaliser = Normaliser(NormaliseConfig(), b"salt")
    request = a_request(
        an_otlp_span(USAGE | {"tokensense.project": "span"}), resource={"tokensense.project": "resource"}
    )
    (facts,), _ = normaliser.spans(request, tenant="t", project="")
    assert (facts.project, facts.resource_project) == ("span", "resource")
    (facts,), _ = normaliser.spans(request, tenant="t", project="key")
    assert (facts.project, facts.resource_project) == ("", "key")


def test_a_span_that_is_not_genai_keeps_its_place_and_its_dimensions() -> None:
    """A web server's span names the team of the calls beneath it, and costs nothing else."""
    (facts,) = normalised(
        an_otlp_span({"http.route": "/", "team": "search"}, parent=9), resource={"service.name": "api"}
    )
    assert (facts.kind, facts.call, facts.parent_id) == (Kind.OTHER, None, span_id(9))
    assert (facts.own, facts.resource) == (Dimensions(team="search"), Dimensions(service="api"))


def test_no_text_of_a_prompt_or_answer_is_in_the_facts() -> None:
    """Facts are what is kept and written; of the captures' texts there is not a word in them."""
    for folder in sorted(path.name for path in CAPTURES.iterdir() if path.is_dir()):
        kept = msgspec.msgpack.encode(facts_of(folder))
        for word in (b"Classify", b"Hello there", b"terse", b"Traceback", b"Rate limit reached"):
            assert word not in kept, (folder, word)


def test_prompts_are_not_hashed_if_the_user_says_so() -> None:
    """Without hashing no call has a prompt hash, and everything else is the same."""
    normaliser = Normaliser(NormaliseConfig(hash_prompts=False), b"salt")
    (facts,), _ = normaliser.spans(a_request(an_otlp_span(USAGE | {"input.value": "Hi"})), tenant="default", project="")
    assert facts.call is not None
    assert facts.call.prompt_hash == ""


values = st.one_of(
    st.text(max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.booleans(),
    st.binary(max_size=9),
    st.lists(st.text(max_size=5), max_size=3),
    st.sampled_from(["{", "[1,", "{'a': 1}", '{"usage": {"prompt_tokens": {}}}', '{"generations": [[1]]}', "true"]),
    st.none(),
)
KEYS_IN_USE = [
    *sorted(KEYS),
    "gen_ai.operation.name",
    "openinference.span.kind",
    "langfuse.observation.type",
    "langfuse.observation.usage_details",
    "metadata",
    "metadata.usage_object",
    "output.value",
    "llm.invocation_parameters",
    "tag.tags",
    "genkit:output",
    "mlflow.chat.tokenUsage",
    "gcp.vertex.agent.llm_response",
    "response_data",
    "gen_ai.input.messages",
]


@settings(max_examples=150, deadline=None)
@given(
    attributes=st.dictionaries(st.sampled_from(KEYS_IN_USE), values, max_size=12),
    kind=st.sampled_from([{"gen_ai.operation.name": "chat"}, {"openinference.span.kind": "LLM"}, {}]),
    scope=st.sampled_from(
        ["", "litellm", "ai", "langfuse-sdk", "mlflow.x", "genkit", "logfire", "gcp.vertex.agent", "weird \x00 scope",
         "openinference.instrumentation.langchain", "openinference.instrumentation.openai", "gemini-cli"]
    ),
    start=st.integers(0, 2**64 - 1),
    end=st.integers(0, 2**64 - 1),
)  # fmt: skip
def test_nothing_that_a_sender_writes_raises(
    attributes: dict[str, Any], kind: dict[str, Any], scope: str, start: int, end: int
) -> None:
    """Values of any type under any key give facts that can be written, or a rejection."""
    request = a_request(an_otlp_span(attributes | kind, start_ns=start, end_ns=end), scope=scope, resource=attributes)
    facts, rejected = Normaliser(NormaliseConfig(), b"salt").spans(request, tenant="t", project="")
    assert len(facts) + rejected == 1
    msgspec.msgpack.encode(facts)
