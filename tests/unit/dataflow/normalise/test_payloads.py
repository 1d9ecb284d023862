"""What only an emitter's payload tells: counts, ids and models that hide in JSON, and records of a stream's end."""

import json
from typing import Any

import pytest

from tests.support.calls import NOON, SECOND
from tests.support.spans import an_otlp_span, call_of, normalised
from tokensense_otel.core.call import Tokens
from tokensense_otel.dataflow.facts import Kind

AI_SDK = {"ai.operationId": "ai.generateText.doGenerate"}
ANTHROPIC_USAGE = {
    "input_tokens": 209,
    "output_tokens": 69,
    "cache_read_input_tokens": 2000,
    "cache_creation_input_tokens": 300,
    "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 0},
}


def ai_sdk(provider: str, model: str, told: dict[str, Any], *, inputs: int, output: int) -> Tokens:
    """The tokens of an AI SDK call whose attributes have but two counts."""
    return call_of(
        AI_SDK
        | {
            "ai.model.provider": provider,
            "ai.model.id": model,
            "gen_ai.usage.input_tokens": inputs,
            "gen_ai.usage.output_tokens": output,
            "ai.response.providerMetadata": json.dumps(told),
        },
        scope="ai",
    ).tokens


@pytest.mark.parametrize(
    ("provider", "model", "told", "inputs", "output", "expected"),
    [
        # 209 + 2000 + 300 = 2509: releases 5 and 6 pass Anthropic's own usage on.
        (
            "anthropic.messages",
            "claude-sonnet-4-5",
            {"anthropic": {"usage": ANTHROPIC_USAGE, "cacheCreationInputTokens": 300}},
            209,
            69,
            Tokens(2509, 69, 2000, 300, cache_write_1h=0),
        ),
        # Release 4 names the cached tokens alone.
        (
            "anthropic.messages",
            "claude-sonnet-4-5",
            {"anthropic": {"cacheCreationInputTokens": 300, "cacheReadInputTokens": 2000}},
            209,
            69,
            Tokens(2509, 69, 2000, 300),
        ),
        # 53 + 93 = 146: release 5 leaves thoughts out of its own count.
        (
            "google.generative-ai",
            "gemini-2.5-pro",
            {
                "google": {
                    "usageMetadata": {
                        "promptTokenCount": 613,
                        "candidatesTokenCount": 53,
                        "thoughtsTokenCount": 93,
                        "cachedContentTokenCount": 128,
                        "totalTokenCount": 759,
                    }
                }
            },
            613,
            53,
            Tokens(613, 146, 128, 0, reasoning=93),
        ),
        (
            "openai.chat",
            "o3",
            {"openai": {"reasoningTokens": 70, "cachedPromptTokens": 256}},
            1102,
            146,
            Tokens(1102, 146, 256, 0, reasoning=70),
        ),
        # 200 + 150 = 350 on Bedrock, where only what was written is told.
        (
            "amazon-bedrock",
            "anthropic.claude-3-haiku-20240307-v1:0",
            {"bedrock": {"usage": {"cacheWriteInputTokens": 150}}},
            200,
            60,
            Tokens(350, 60, None, 150),
        ),
        ("openai.chat", "gpt-4o", {"openai": "no object"}, 7, 1, Tokens(7, 1, cache_write=0)),
    ],
    ids=["anthropic 5", "anthropic 4", "google 5", "openai 4", "bedrock", "nothing told"],
)
def test_the_ai_sdk_tells_the_rest_by_provider(
    provider: str, model: str, told: dict[str, Any], inputs: int, output: int, expected: Tokens
) -> None:
    """`ai.response.providerMetadata` completes the counts, whichever release wrote it."""
    assert ai_sdk(provider, model, told, inputs=inputs, output=output) == expected


def test_langsmith_has_details_and_the_id_in_the_completion_only() -> None:
    """LangChain's split of cache writes by lifetime comes to their sum, which it leaves at zero."""
    usage = {
        "input_tokens": 2503,
        "output_tokens": 63,
        "total_tokens": 2566,
        "input_token_details": {
            "cache_read": 2000,
            "cache_creation": 0,
            "ephemeral_5m_input_tokens": 100,
            "ephemeral_1h_input_tokens": 200,
        },
    }
    message = {"kwargs": {"usage_metadata": usage, "response_metadata": {"id": "msg_1"}}}
    call = call_of(
        {
            "langsmith.span.kind": "llm",
            "gen_ai.system": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.usage.input_tokens": 2503,
            "gen_ai.usage.output_tokens": 63,
            "gen_ai.completion": json.dumps({"generations": [[{"message": message}]], "llm_output": {"id": "msg_1"}}),
        },
        scope="langsmith",
    )
    assert call.response_id == "msg_1"
    assert call.tokens == Tokens(2503, 63, 2000, 300, cache_write_1h=200)


def test_langsmith_around_an_sdk_keeps_the_providers_answer() -> None:
    """A run of a wrapped OpenAI client has the answer itself as its completion."""
    usage = {"prompt_tokens": 1017, "completion_tokens": 41, "prompt_tokens_details": {"cached_tokens": 128}}
    call = call_of(
        {
            "langsmith.span.kind": "llm",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.completion": json.dumps({"id": "chatcmpl-1", "usage": usage}),
        },
        scope="langsmith",
    )
    assert (call.response_id, call.tokens) == ("chatcmpl-1", Tokens(1017, 41, 128, 0))


def test_mlflow_keeps_the_providers_answer_beside_a_poorer_usage() -> None:
    """The answer has reasoning, the id and the dated model; MLflow's own usage has none of them."""
    answer = {
        "id": "chatcmpl-1",
        "usage": {
            "prompt_tokens": 1102,
            "completion_tokens": 146,
            "prompt_tokens_details": {"cached_tokens": 256},
            "completion_tokens_details": {"reasoning_tokens": 70},
        },
    }
    call = call_of(
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "model": '"o3"',
            "mlflow.llm.model": '"o3-2025-04-16"',
            "mlflow.chat.tokenUsage": '{"input_tokens": 1102, "output_tokens": 146, "cache_read_input_tokens": 256}',
            "mlflow.spanOutputs": json.dumps(answer),
        },
        scope="mlflow.tracing.provider",
    )
    assert call.tokens == Tokens(1102, 146, 256, 0, reasoning=70)
    assert (call.request_model, call.response_model, call.response_id) == ("o3", "o3-2025-04-16", "chatcmpl-1")


def logfire(**attributes: Any) -> dict[str, Any]:
    return {
        "logfire.span_type": "span",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "request_data": '{"model": "gpt-4o"}',
    } | attributes


def test_logfire_tells_of_a_stream_at_its_end() -> None:
    """The span around a stream's request is no call; the record of its end is one, as long as it says it took."""
    usage = {"gen_ai.usage.input_tokens": 1119, "gen_ai.usage.output_tokens": 47}
    end = logfire(**{"logfire.span_type": "log", "logfire.level_num": 9, "duration": 0.25, **usage})
    opened, ended = normalised(
        an_otlp_span(logfire(), number=1, end_ns=NOON + 1),
        an_otlp_span(end, number=2, start_ns=NOON + SECOND, end_ns=NOON + SECOND),
        scope="logfire.openai",
    )
    assert (opened.kind, opened.call) == (Kind.WRAPPER, None)
    assert ended.call is not None
    assert (ended.call.start_ns, ended.call.end_ns) == (NOON + 3 * SECOND // 4, NOON + SECOND)
    assert (ended.call.streaming, ended.call.tokens) == (True, Tokens(1119, 47, cache_write=0))


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"logfire.level_num": 17}, Kind.CALL),
        ({"logfire.level_num": 16}, Kind.WRAPPER),
        ({"response_data": "{}"}, Kind.CALL),
        ({"gen_ai.usage.raw": "{}"}, Kind.CALL),
        ({"logfire.span_type": "pending_span"}, Kind.OTHER),
    ],
)
def test_logfires_request_span_is_the_call_if_it_ends_with_an_answer_or_an_error(
    attributes: dict[str, Any], kind: Kind
) -> None:
    """An answer or the level of an error (17 and above) makes it one; a copy that is sent at its start does not."""
    (facts,) = normalised(an_otlp_span(logfire(**attributes)), scope="logfire.openai")
    assert facts.kind is kind


def test_adk_names_the_model_of_a_failed_call_in_its_request() -> None:
    """A `call_llm` without `gen_ai.request.model` takes the model from the JSON of what was asked."""
    call = call_of(
        {"gen_ai.system": "gcp.vertex.agent", "gcp.vertex.agent.llm_request": '{"model": "gemini-2.5-flash"}'},
        scope="gcp.vertex.agent",
        name="call_llm",
    )
    assert call.request_model == "gemini-2.5-flash"


@pytest.mark.parametrize(
    ("scope", "name", "kind", "model"),
    [
        ("openlit.instrumentation.anthropic", "chat claude-opus-4-1", Kind.CALL, "claude-opus-4-1"),
        ("openlit.instrumentation.openai", "embeddings text-embedding-3-small", Kind.CALL, "text-embedding-3-small"),
        ("openlit.instrumentation.anthropic", "chat", Kind.OTHER, ""),
        ("openlit.instrumentation.chroma", "query collection", Kind.OTHER, ""),
        ("my.own.code", "chat claude-opus-4-1", Kind.OTHER, ""),
    ],
)
def test_a_failed_call_without_attributes_is_told_by_its_name(scope: str, name: str, kind: Kind, model: str) -> None:
    """OpenLIT leaves a failed call nothing but its name; anybody else's span of that name says nothing."""
    (facts,) = normalised(an_otlp_span({}, name=name, status={"code": 2}), scope=scope)
    assert facts.kind is kind
    assert (facts.call.request_model if facts.call else "") == model
    assert (facts.call is not None and facts.call.failed) == (kind is Kind.CALL)


@pytest.mark.parametrize(
    ("scope", "total", "expected"),
    [
        # 1051 + 43 = 1094: the 384 cached tokens are within the input …
        ("strands.telemetry.tracer", 1094, 1051),
        # … and 1051 + 43 + 384 = 1478: they come on top.
        ("strands.telemetry.tracer", 1478, 1435),
        ("openinference.instrumentation.bedrock", 1094, 1051),
        ("openinference.instrumentation.bedrock", 1478, 1435),
    ],
)
def test_where_releases_differ_the_total_tells(scope: str, total: int, expected: int) -> None:
    """Releases of Strands, and of OpenInference for Bedrock, differ in whether input includes cached tokens."""
    call = call_of(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "aws.bedrock",
            "gen_ai.usage.input_tokens": 1051,
            "gen_ai.usage.output_tokens": 43,
            "gen_ai.usage.cache_read.input_tokens": 384,
            "gen_ai.usage.total_tokens": total,
        },
        scope=scope,
    )
    assert call.tokens.input == expected


@pytest.mark.parametrize(("streaming", "noted"), [(True, True), (False, False)])
def test_a_zero_that_may_be_unknown_is_said_to_be(streaming: bool, noted: bool) -> None:
    """OpenLIT says zero for the cached tokens of a stream, which it does not know; `explain` shows that."""
    call = call_of(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.stream": streaming,
            "gen_ai.usage.input_tokens": 219,
            "gen_ai.usage.output_tokens": 79,
            "gen_ai.usage.cache_read.input_tokens": 0,
        },
        scope="openlit.instrumentation.anthropic",
    )
    assert any("a zero may be unknown" in note for note in call.notes) == noted


OPENAI = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
GENERATION = {"langfuse.observation.type": "generation"}
LLM = {"openinference.span.kind": "LLM"}
GEMINI = {"prompt_token_count": 10, "candidates_token_count": 2, "cached_content_token_count": 4}


@pytest.mark.parametrize(
    ("scope", "name", "attributes"),
    [
        ("langfuse-sdk", "g", GENERATION | {"langfuse.observation.usage_details": OPENAI}),
        ("litellm", "litellm_request", {"gen_ai.operation.name": "chat", "metadata.usage_object": OPENAI}),
        ("openinference.instrumentation.openai", "c", LLM | {"output.value": {"usage": OPENAI}}),
        ("logfire.openai", "c", {"gen_ai.operation.name": "chat", "response_data": {"usage": OPENAI}}),
        ("gcp.vertex.agent", "call_llm", {"gcp.vertex.agent.llm_response": {"usage_metadata": GEMINI}}),
        ("mlflow", "c", {"mlflow.spanType": "CHAT_MODEL", "mlflow.spanOutputs": {"usage": OPENAI}}),
        ("genkit-tracer", "m", {"genkit:metadata:subtype": "model", "genkit:output": {"usage": OPENAI}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_payload_may_come_as_a_structure(scope: str, name: str, attributes: dict[str, Any]) -> None:
    """Newer SDKs send maps as maps; a payload that is one is read like its JSON: 10 in, 4 of them cached, and 2 out."""
    tokens = call_of(attributes, scope=scope, name=name).tokens
    assert (tokens.input, tokens.output, tokens.cache_read) == (10, 2, 4)
