"""What a span is, by its dialect's own marker first and its operation then."""

from typing import Any

import pytest

from tests.support.spans import an_otlp_span, normalised
from tokensense_otel.dataflow.facts import Kind

CALL, WRAPPER, TOOL, OTHER = Kind.CALL, Kind.WRAPPER, Kind.TOOL, Kind.OTHER


def kind_of(attributes: dict[str, Any], scope: str = "", name: str = "span") -> tuple[Kind, str]:
    (facts,) = normalised(an_otlp_span(attributes, name=name), scope=scope)
    return facts.kind, facts.call.operation if facts.call and facts.kind is CALL else ""


@pytest.mark.parametrize(
    ("operation", "kind", "name"),
    [
        ("chat", CALL, "chat"),
        ("Chat", CALL, "chat"),
        ("generate_content", CALL, "generate_content"),
        ("text_completion", CALL, "text_completion"),
        ("embeddings", CALL, "embeddings"),
        ("responses", CALL, "chat"),
        ("chat.completions", CALL, "chat"),
        ("text.completions", CALL, "text_completion"),
        ("llm", CALL, "chat"),
        ("llm_call", CALL, "chat"),
        ("embedding", CALL, "embeddings"),
        ("rerank", CALL, "rerank"),
        ("image_generation", CALL, "image"),
        ("transcription", CALL, "transcription"),
        ("execute_tool", TOOL, ""),
        ("retrieval", TOOL, ""),
        ("fetch_response", TOOL, ""),
        ("invoke_agent", WRAPPER, ""),
        ("invoke_workflow", WRAPPER, ""),
        ("create_agent", WRAPPER, ""),
        ("agent_step", WRAPPER, ""),
        ("something_new", WRAPPER, ""),
    ],
)
def test_operations_have_one_name_each(operation: str, kind: Kind, name: str) -> None:
    """The conventions' names are kept, others' spellings are mapped to them, and what is unknown is never a call."""
    assert kind_of({"gen_ai.operation.name": operation}) == (kind, name)


@pytest.mark.parametrize(
    ("attributes", "scope", "kind"),
    [
        ({"openinference.span.kind": "LLM"}, "", CALL),
        ({"openinference.span.kind": "EMBEDDING"}, "", CALL),
        ({"openinference.span.kind": "RERANKER"}, "", CALL),
        ({"openinference.span.kind": "AGENT"}, "", WRAPPER),
        ({"openinference.span.kind": "CHAIN"}, "", WRAPPER),
        ({"openinference.span.kind": "TOOL"}, "", TOOL),
        ({"openinference.span.kind": "GUARDRAIL"}, "", WRAPPER),
        ({"langfuse.observation.type": "generation"}, "", CALL),
        ({"langfuse.observation.type": "span", "gen_ai.operation.name": "chat"}, "", WRAPPER),
        ({"langfuse.observation.type": "evaluator"}, "", TOOL),
        ({"traceloop.span.kind": "workflow"}, "", WRAPPER),
        ({"traceloop.span.kind": "tool"}, "", TOOL),
        ({"mlflow.spanType": '"LLM"'}, "", CALL),
        ({"mlflow.spanType": '"AGENT"'}, "", WRAPPER),
        ({"genkit:metadata:subtype": "embedder"}, "", CALL),
        ({"genkit:metadata:subtype": "flow"}, "", WRAPPER),
        ({"langsmith.span.kind": "prompt", "gen_ai.operation.name": "chat"}, "langsmith", WRAPPER),
        ({"langsmith.span.kind": "llm", "gen_ai.operation.name": "chat"}, "langsmith", CALL),
        ({"langsmith.span.kind": "retriever", "gen_ai.operation.name": "embeddings"}, "langsmith", TOOL),
        ({"ai.operationId": "ai.generateText"}, "ai", WRAPPER),
        ({"ai.operationId": "ai.streamText.doStream"}, "ai", CALL),
        ({"operation.name": "ai.generateText.doGenerate my-fn", "gen_ai.system": "openai"}, "ai", CALL),
        ({"ai.operationId": "ai.toolCall"}, "ai", TOOL),
        ({"llm.request.type": "chat"}, "", CALL),
        ({"span.type": "llm_request"}, "com.anthropic.claude_code.tracing", CALL),
        ({"span.type": "interaction"}, "com.anthropic.claude_code.tracing", WRAPPER),
        ({"span.type": "tool"}, "com.anthropic.claude_code.tracing", TOOL),
        ({"gen_ai.usage.input_tokens": 7}, "", Kind.CANDIDATE),
        ({"gen_ai.agent.name": "a"}, "", WRAPPER),
        ({"gen_ai.tool.name": "a"}, "", TOOL),
        ({"http.request.method": "GET", "error.type": "500", "span.type": "web"}, "", OTHER),
        ({}, "opentelemetry.instrumentation.requests", OTHER),
        ({}, "litellm", OTHER),
    ],
)
def test_a_dialects_own_marker_comes_first(attributes: dict[str, Any], scope: str, kind: Kind) -> None:
    """Emitters that misuse the operation are believed by their own marker; a span of nothing known is not ours."""
    assert kind_of(attributes, scope)[0] is kind


def test_names_count_only_with_a_known_scope() -> None:
    """LiteLLM's raw request tells about its parent; a span that anybody else names so is nothing."""
    assert kind_of({}, "litellm", "raw_gen_ai_request")[0] is Kind.DETAIL
    assert kind_of({}, "", "raw_gen_ai_request")[0] is OTHER
