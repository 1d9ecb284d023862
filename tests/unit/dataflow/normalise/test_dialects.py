"""Dialects: recognised by scope or marker, and each one's counts understood."""

import json
from typing import Any

import pytest

from tests.support.calls import NOON, SECOND
from tests.support.spans import an_otlp_span, call_of, normalised
from tokensense_otel.core.call import Tokens
from tokensense_otel.dataflow.accounting.trace import settle
from tokensense_otel.dataflow.facts import Kind
from tokensense_otel.dataflow.normalise.dialects import DIALECTS, dialect_of_markers, dialect_of_scope, is_native


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("opentelemetry.instrumentation.openai_v2", "otel-openai-v2"),
        ("opentelemetry.instrumentation.genai.anthropic", "otel-util-genai"),
        ("opentelemetry.instrumentation.google_genai", "otel-google-genai"),
        ("opentelemetry.instrumentation.google_generativeai", "openllmetry"),
        ("opentelemetry.instrumentation.openai.v1", "openllmetry"),
        ("opentelemetry.instrumentation.anthropic", "openllmetry"),
        ("opentelemetry.instrumentation.botocore.bedrock-runtime", "otel-botocore-bedrock"),
        ("com.anthropic.sdk.python", "anthropic-sdk"),
        ("com.anthropic.claude_code.tracing", "claude-code"),
        ("openinference.instrumentation.openai", "openinference"),
        ("openinference.instrumentation.langchain", "openinference-langchain"),
        ("@arizeai/openinference-instrumentation-openai", "openinference-js"),
        ("ai", "vercel-ai-legacy"),
        ("gen_ai", "vercel-ai-v7"),
        ("gcp.vertex.agent", "google-adk"),
    ],
)
def test_a_scope_tells_the_dialect(scope: str, name: str) -> None:
    """Similar scopes of different makers are told apart, exact names before prefixes."""
    found = dialect_of_scope(scope)
    assert found is not None
    assert found.name == name


def test_a_marker_tells_where_the_scope_does_not() -> None:
    """A renamed tracer is recognised by what it writes; without any marker the conventions hold."""
    assert dialect_of_scope("my.app") is None
    assert dialect_of_markers({"openinference.span.kind": "LLM"}).name == "openinference-partial"
    assert dialect_of_markers({"gen_ai.system": "openai"}).name == "otel-genai"


def test_every_dialect_has_a_name_of_its_own() -> None:
    """Names are what calls carry, so no two dialects share one; one SDK of a provider is native so far."""
    names = [dialect.name for dialect in DIALECTS]
    assert len(names) == len(set(names))
    assert [name for name in names if is_native(name)] == ["anthropic-sdk"]


CACHED = {"gen_ai.operation.name": "chat", "gen_ai.usage.output_tokens": 40}
VECTORS: list[tuple[str, str, dict[str, Any], Tokens]] = [
    (
        "openai-v2: inclusive",
        "opentelemetry.instrumentation.openai_v2",
        CACHED
        | {
            "gen_ai.system": "openai",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.cache_read.input_tokens": 800,
        },
        Tokens(1000, 40, 800, 0),
    ),
    (
        "strands: 12 + 9,000 + 300, the same count under two names",
        "strands.telemetry.tracer",
        CACHED
        | {
            "gen_ai.system": "strands-agents",
            "gen_ai.request.model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.prompt_tokens": 12,
            "gen_ai.usage.cache_read_input_tokens": 9000,
            "gen_ai.usage.cache_write_input_tokens": 300,
        },
        Tokens(9312, 40, 9000, 300),
    ),
    (
        "pydantic-ai: details repeat what stands above",
        "pydantic-ai",
        CACHED
        | {
            "gen_ai.provider.name": "openai",
            "gen_ai.usage.input_tokens": 500,
            "gen_ai.usage.details.cache_read_tokens": 400,
            "gen_ai.usage.cache_read.input_tokens": 400,
        },
        Tokens(500, 40, 400, 0),
    ),
    (
        "openai-v2: a stream without usage says zero and means unknown",
        "opentelemetry.instrumentation.openai_v2",
        {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0},
        Tokens(),
    ),
    (
        "openlit: Anthropic without the cache",
        "openlit.otel.tracing",
        CACHED
        | {
            "gen_ai.system": "anthropic",
            "gen_ai.usage.input_tokens": 200,
            "gen_ai.usage.cache_read.input_tokens": 2000,
            "gen_ai.usage.cache_creation.input_tokens": 300,
        },
        Tokens(2500, 40, 2000, 300),
    ),
    (
        "openlit: Gemini's reasoning comes on top",
        "openlit.otel.tracing",
        CACHED | {"gen_ai.system": "gemini", "gen_ai.usage.input_tokens": 600, "gen_ai.usage.reasoning_tokens": 80},
        Tokens(600, 120, 0, 0, reasoning=80),
    ),
    (
        "vercel 5: Anthropic without the cache",
        "ai",
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "gen_ai.system": "anthropic.messages",
            "gen_ai.usage.input_tokens": 200,
            "gen_ai.usage.output_tokens": 70,
            "ai.usage.cachedInputTokens": 150,
        },
        Tokens(350, 70, 150),
    ),
    (
        "vercel 6: everything includes the cache",
        "ai",
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "gen_ai.system": "anthropic.messages",
            "gen_ai.usage.input_tokens": 2500,
            "gen_ai.usage.output_tokens": 70,
            "ai.usage.inputTokenDetails.noCacheTokens": 200,
            "ai.usage.inputTokenDetails.cacheReadTokens": 2000,
            "ai.usage.inputTokenDetails.cacheWriteTokens": 300,
        },
        Tokens(2500, 70, 2000, 300, reasoning=0),
    ),
    (
        "vercel: embeddings",
        "ai",
        {"ai.operationId": "ai.embed.doEmbed", "ai.model.provider": "openai.embedding", "ai.usage.tokens": 333},
        Tokens(333, 0, 0, 0, reasoning=0),
    ),
    (
        "claude code: bare names, exclusive",
        "com.anthropic.claude_code.tracing",
        {
            "span.type": "llm_request",
            "gen_ai.system": "anthropic",
            "model": "claude-sonnet-4-5",
            "input_tokens": "2",
            "output_tokens": 1200,
            "cache_read_tokens": 84562,
            "cache_creation_tokens": 7096,
        },
        Tokens(91660, 1200, 84562, 7096),
    ),
    (
        "adk: thoughts and cache only in the response",
        "gcp.vertex.agent",
        {
            "gen_ai.system": "gcp.vertex.agent",
            "gen_ai.request.model": "gemini-2.5-pro",
            "gen_ai.usage.input_tokens": 600,
            "gen_ai.usage.output_tokens": 40,
            "gcp.vertex.agent.llm_response": json.dumps(
                {
                    "usage_metadata": {
                        "prompt_token_count": 600,
                        "candidates_token_count": 40,
                        "thoughts_token_count": 80,
                        "cached_content_token_count": 128,
                        "total_token_count": 720,
                    }
                }
            ),
        },
        Tokens(600, 120, 128, 0, reasoning=80),
    ),
    (
        "langfuse: OpenAI's own usage object",
        "langfuse-sdk",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o",
            "langfuse.observation.usage_details": json.dumps(
                {"prompt_tokens": 1200, "completion_tokens": 30, "prompt_tokens_details": {"cached_tokens": 1024}}
            ),
        },
        Tokens(1200, 30, 1024, 0),
    ),
    (
        "mlflow: JSON in everything",
        "mlflow.tracing",
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.llm.model": '"gpt-4o"',
            "mlflow.chat.tokenUsage": '{"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}',
        },
        Tokens(100, 10, cache_write=0),
    ),
    (
        "genkit: usage in the output",
        "genkit-tracer",
        {
            "genkit:metadata:subtype": "model",
            "genkit:name": "googleai/gemini-2.5-flash",
            "genkit:output": '{"usage": {"inputTokens": 610, "outputTokens": 33, "thoughtsTokens": 7}}',
        },
        Tokens(610, 40, 0, 0, reasoning=7),
    ),
    (
        "logfire: the provider's answer",
        "logfire.anthropic",
        {
            "gen_ai.operation.name": "chat",
            "request_data": '{"model": "claude-sonnet-4-5"}',
            "response_data": '{"usage": {"input_tokens": 200, "output_tokens": 70, "cache_read_input_tokens": 50}}',
        },
        Tokens(250, 70, 50),
    ),
    (
        "openinference agno: what anthropic says, without the cache",
        "openinference.instrumentation.agno",
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "anthropic",
            "llm.model_name": "claude-sonnet-4-5",
            "llm.token_count.prompt": 2000,
            "llm.token_count.completion": 60,
            "llm.token_count.prompt_details.cache_read": 100,
        },
        Tokens(2100, 60, 100),
    ),
    (
        "openllmetry js: for anthropic the total leaves the cache out too",
        "@traceloop/instrumentation-anthropic",
        {
            "gen_ai.provider.name": "anthropic",
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 2000,
            "gen_ai.usage.output_tokens": 60,
            "gen_ai.usage.total_tokens": 2060,
            "gen_ai.usage.cache_read.input_tokens": 100,
            "gen_ai.usage.cache_creation.input_tokens": 30,
        },
        Tokens(2130, 60, 100, 30),
    ),
    (
        "gemini cli: bare names, thoughts apart",
        "gemini-cli",
        {
            "gen_ai.operation.name": "llm_call",
            "model": "gemini-2.5-pro",
            "input_token_count": 600,
            "output_token_count": 40,
            "thoughts_token_count": 80,
            "total_token_count": 720,
        },
        Tokens(600, 120, cache_write=0, reasoning=80),
    ),
    (
        "a limit, a part and a cost are no usage",
        "gcp.vertex.agent",
        {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.experimental.reasoning_tokens_limit": 4096,
            "gen_ai.usage.partial.output_tokens": 3,
            "gen_ai.usage.cost": 0.5,
        },
        Tokens(10, 5),
    ),
]


@pytest.mark.parametrize(("scope", "attributes", "expected"), [vector[1:] for vector in VECTORS],
                         ids=[vector[0] for vector in VECTORS])  # fmt: skip
def test_a_dialect_is_understood(scope: str, attributes: dict[str, Any], expected: Tokens) -> None:
    """The counts of each emitter come to the same definitions, with what it loses unknown."""
    name = "call_llm" if scope == "gcp.vertex.agent" else "chat"
    assert call_of(attributes, scope=scope, name=name).tokens == expected


def test_the_adk_pair_is_one_call() -> None:
    """`call_llm` counts as long as no `generate_content` beneath it does; both carry the same usage."""
    usage = {"gen_ai.request.model": "gemini-2.5-flash", "gen_ai.usage.input_tokens": 100}
    usage |= {"gen_ai.usage.output_tokens": 20}
    outer = an_otlp_span(usage, number=1, name="call_llm")
    inner = an_otlp_span(usage | {"gen_ai.operation.name": "generate_content"}, number=2, parent=1)
    facts = normalised(outer, inner, scope="gcp.vertex.agent")
    assert [call.tokens.input for call in settle({one.span_id: one for one in facts}).values()] == [100]
    assert len(settle({facts[0].span_id: facts[0]})) == 1


def test_the_vercel_trio_is_one_call() -> None:
    """`invoke_agent`, `agent_step` and `chat` of the AI SDK 7 carry one call's usage twice."""
    operations = ("invoke_agent", "agent_step", "chat")
    facts = normalised(
        *(
            an_otlp_span(
                {"gen_ai.operation.name": operation, "gen_ai.usage.input_tokens": 300}, number=number, parent=number - 1
            )
            for number, operation in enumerate(operations, start=1)
        ),
        scope="gen_ai",
    )
    assert [one.kind for one in facts] == [Kind.WRAPPER, Kind.WRAPPER, Kind.CALL]
    assert [call.tokens.input for call in settle({one.span_id: one for one in facts}).values()] == [300]


def test_an_agent_sdk_that_reports_only_on_its_agent_is_counted() -> None:
    """OpenInference for the Claude agent SDK has no call spans; 5 uncached and 100 cached tokens are one call's."""
    (facts,) = normalised(
        an_otlp_span(
            {
                "openinference.span.kind": "AGENT",
                "llm.token_count.prompt": 5,
                "llm.token_count.completion": 3,
                "llm.token_count.prompt_details.cache_read": 100,
            }
        ),
        scope="openinference.instrumentation.claude_agent_sdk",
    )
    assert facts.kind is Kind.WRAPPER
    assert [call.tokens.input for call in settle({facts.span_id: facts}).values()] == [105]


@pytest.mark.parametrize(
    ("scope", "name", "attributes"),
    [
        ("strands.telemetry.tracer", "invoke_agent", {"gen_ai.operation.name": "invoke_agent"}),
        ("openclaw", "openclaw.model.usage", {"gen_ai.request.model": "gpt-4o"}),
        ("openlit.instrumentation.crewai", "invoke_workflow crew", {"gen_ai.operation.name": "invoke_workflow"}),
        ("openinference.instrumentation.smolagents", "run", {"openinference.span.kind": "AGENT"}),
    ],
)
def test_a_running_total_never_stands_in(scope: str, name: str, attributes: dict[str, Any]) -> None:
    """Usage over an agent's lifetime, or of calls in other traces, is dropped at the door."""
    usage = {"gen_ai.usage.input_tokens": 300, "gen_ai.usage.output_tokens": 30}
    (facts,) = normalised(an_otlp_span(attributes | usage, name=name), scope=scope)
    assert (facts.kind, facts.call) == (Kind.WRAPPER, None)


@pytest.mark.parametrize(
    ("scope", "value", "ttft_ms"),
    [("openlit", 0.25, 250), ("strands.telemetry.tracer", 250, 250), ("openlit", "0.25", 250), ("openlit", -1, None)],
)
def test_time_to_first_token_is_in_the_emitters_unit(scope: str, value: Any, ttft_ms: int | None) -> None:
    """OpenLIT writes seconds under the name under which Strands writes milliseconds."""
    call = call_of(CACHED | {"gen_ai.server.time_to_first_token": value}, scope=scope)
    assert call.first_token_ns == (None if ttft_ms is None else ttft_ms * 1_000_000)
    assert call.streaming == (ttft_ms is not None)
    assert (call.start_ns, call.end_ns) == (NOON, NOON + SECOND)


def test_datadog_is_known_by_its_marks_and_names_the_answering_model_twice() -> None:
    """dd-trace exports without a scope; what it puts in `gen_ai.request.model` is the model that answered."""
    keys = {
        "gen_ai.operation.name": "llm",
        "gen_ai.request.model": "gpt-4.1-2025-04-14",
        "gen_ai.provider.name": "unknown",
        "openai.request.model": "gpt-4.1",
        "openai.response.model": "gpt-4.1-2025-04-14",
        "_dd.llmobs.span_kind": "llm",
    }
    call = call_of(keys, scope="")
    assert (call.dialect, call.request_model, call.response_model) == ("ddtrace-genai", "gpt-4.1", "gpt-4.1-2025-04-14")


def test_the_payload_names_models_as_the_provider_did() -> None:
    """LangChain's stream has the asked model as `llm.model_name`; the answer in its output names the dated one."""
    message = {"kwargs": {"response_metadata": {"model_name": "gpt-4o-mini-2024-07-18", "id": "chatcmpl-1"}}}
    call = call_of(
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o-mini",
            "llm.invocation_parameters": '{"model": "gpt-4o-mini", "stream": true}',
            "output.value": json.dumps({"generations": [[{"message": message}]], "llm_output": None}),
        },
        scope="openinference.instrumentation.langchain",
    )
    assert (call.request_model, call.response_model) == ("gpt-4o-mini", "gpt-4o-mini-2024-07-18")
    assert (call.response_id, call.streaming) == ("chatcmpl-1", True)


@pytest.mark.parametrize(
    ("details", "noted"),
    [
        ({"gen_ai.request.stream": True}, True),
        ({"gen_ai.request.stream": True, "gen_ai.usage.cache_read.input_tokens": 1}, False),
        ({"gen_ai.request.stream": False}, False),
    ],
    ids=["stream", "stream with details", "no stream"],
)
def test_counts_that_openlit_may_have_made_up_are_noted(details: dict[str, Any], noted: bool) -> None:
    """OpenLIT counts the tokens of a stream that told none, and all that gives it away is that it has no details."""
    usage = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 10, "gen_ai.provider.name": "openai"}
    call = call_of(CACHED | usage | details, scope="openlit.instrumentation.openai")
    assert any("estimate" in note for note in call.notes) == noted
    assert (call.tokens.input, call.tokens.output) == (12, 10)


@pytest.mark.parametrize(("stream", "streaming"), [(False, False), ("False", False), (True, True), (None, True)])
def test_what_is_said_not_to_stream_does_not(stream: Any, streaming: bool) -> None:
    """OpenLIT tells a time to the first token of every call; only where nothing is said does that mean a stream."""
    told = {} if stream is None else {"gen_ai.request.stream": stream}
    call = call_of(CACHED | {"gen_ai.server.time_to_first_token": 0.25} | told, scope="openlit")
    assert call.streaming == streaming
    assert call.first_token_ns == SECOND // 4
