"""What emitters write, a row each, as their code and their exports of 2025 and 2026 have it: every call understood.

The rows hold what the captures do not: older releases, other operations, other providers. Attributes are written short:
`SHORT` has the names, and whatever is a number is one. A token count that the emitter does not tell is unknown.
"""

from typing import Any, Final, NamedTuple

import pytest

from tests.support.books import Books
from tests.support.calls import NOON, SECOND
from tests.support.spans import a_request, an_otlp_span
from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser

UNKNOWN: Final = Tokens()
SHORT: Final = {
    "op": "gen_ai.operation.name",
    "asked": "gen_ai.request.model",
    "answered": "gen_ai.response.model",
    "in": "gen_ai.usage.input_tokens",
    "out": "gen_ai.usage.output_tokens",
    "prompt": "gen_ai.usage.prompt_tokens",
    "completion": "gen_ai.usage.completion_tokens",
    "read": "gen_ai.usage.cache_read.input_tokens",
    "write": "gen_ai.usage.cache_creation.input_tokens",
    "read_": "gen_ai.usage.cache_read_input_tokens",
    "write_": "gen_ai.usage.cache_creation_input_tokens",
    "system": "gen_ai.system",
    "provider": "gen_ai.provider.name",
    "id": "gen_ai.response.id",
    "oi": "openinference.span.kind",
    "oi_model": "llm.model_name",
    "oi_in": "llm.token_count.prompt",
    "oi_out": "llm.token_count.completion",
    "request": "llm.request.type",
    "total": "gen_ai.usage.total_tokens",
}


class Span(NamedTuple):
    """A span of a tree; `parent` is the number of an earlier one, 0 for none."""

    parent: int
    scope: str
    name: str
    attributes: str


def told(text: str) -> dict[str, Any]:
    """Attributes from `key=value` with blanks between them."""
    pairs = (pair.partition("=") for pair in text.split())
    return {SHORT.get(key, key): typed(value) for key, _, value in pairs}


def typed(value: str) -> Any:
    if value.isdigit():
        return int(value)
    return {"NaN": float("nan"), "true": True}.get(value, value)


def calls_of(*spans: Span) -> list[Call]:
    """The calls that these spans of one trace come to; each is a little shorter than the one before."""
    normaliser, books = Normaliser(NormaliseConfig(), b"salt"), Books()
    for number, (parent, scope, name, attributes) in enumerate(spans, start=1):
        start_ns, end_ns = NOON + number * 1_000_000, NOON + SECOND - number * 1_000_000
        span = an_otlp_span(told(attributes), number=number, parent=parent, name=name, start_ns=start_ns, end_ns=end_ns)
        books.ingest(normaliser.spans(a_request(span, scope=scope), tenant="default", project="")[0])
    return books.calls


ROWS: Final = [
    (
        "conventions up to 1.27",
        "app", "chat gpt-4o",
        "op=chat system=openai asked=gpt-4o prompt=100 completion=10",
        "openai", "chat", Tokens(100, 10, None, 0),
    ),
    (
        "usage without an operation",
        "app", "ask",
        "system=openai asked=gpt-4o prompt=100 completion=10.0",
        "openai", "chat", Tokens(100, 10, None, 0),
    ),
    (
        "a remote agent that alone tells of its calls",
        "app", "invoke_agent a",
        "op=invoke_agent provider=openai asked=gpt-4o in=100 out=10",
        "openai", "chat", Tokens(100, 10, None, 0),
    ),
    (
        "botocore with the cache keys of 0.66",
        "opentelemetry.instrumentation.botocore.bedrock-runtime", "chat x",
        ("op=chat system=aws.bedrock asked=anthropic.claude-3-5-haiku-20241022-v1:0 in=200 out=10 "
         "read=1000 write=150"),
        "aws.bedrock", "chat", Tokens(1350, 10, 1000, 150),
    ),
    (
        "OpenLLMetry before details: no cached tokens named is not none",
        "opentelemetry.instrumentation.openai.v1", "openai.chat",
        "request=chat system=OpenAI asked=gpt-4o prompt=1000 completion=50 llm.usage.total_tokens=1050",
        "openai", "chat", Tokens(1000, 50, None, 0),
    ),
    (
        "OpenLLMetry before details, Anthropic",
        "opentelemetry.instrumentation.anthropic", "anthropic.chat",
        ("request=chat system=Anthropic asked=claude-3-5-sonnet-20241022 prompt=2500 completion=50 "
         "read_=2000 write_=300"),
        "anthropic", "chat", Tokens(2500, 50, 2000, 300),
    ),
    (
        "OpenLLMetry, Bedrock: without the cache",
        "opentelemetry.instrumentation.bedrock", "bedrock.converse",
        ("request=chat system=AWS asked=claude-3-5-haiku-20241022-v1:0 prompt=200 completion=50 "
         "read_=1000 write_=150"),
        "aws.bedrock", "chat", Tokens(1350, 50, 1000, 150),
    ),
    (
        "OpenLLMetry, a rerank",
        "opentelemetry.instrumentation.cohere", "cohere.rerank",
        "request=rerank system=Cohere asked=rerank-v3.5",
        "cohere", "rerank", UNKNOWN,
    ),
    (
        "OpenLLMetry JS, Anthropic: the total tells",
        "@traceloop/instrumentation-anthropic", "anthropic.chat",
        ("request=chat system=Anthropic asked=claude-sonnet-4-5 prompt=200 completion=70 "
         "llm.usage.total_tokens=2570 read_=2000 write_=300"),
        "anthropic", "chat", Tokens(2500, 70, 2000, 300),
    ),
    (
        "OpenInference, a reranker",
        "openinference.instrumentation.x", "rerank",
        "oi=RERANKER reranker.model_name=rerank-3",
        "cohere", "rerank", UNKNOWN,
    ),
    (
        "OpenInference, a judge that alone tells of its call",
        "my.evals", "eval",
        "oi=EVALUATOR oi_model=gpt-4o oi_in=10 oi_out=1",
        "openai", "chat", Tokens(10, 1, None, 0),
    ),
    (
        "OpenLIT, speech",
        "openlit.otel.tracing", "audio tts-1",
        "op=audio system=openai asked=tts-1",
        "openai", "speech", UNKNOWN,
    ),
    (
        "OpenLIT, an image",
        "openlit.otel.tracing", "image x",
        "op=image system=openai asked=dall-e-3",
        "openai", "image", UNKNOWN,
    ),
    (
        "AI SDK 3",
        "ai", "ai.generateText.doGenerate",
        ("operation.name=ai.generateText.doGenerate ai.model.id=gpt-4o ai.model.provider=openai.chat "
         "ai.usage.promptTokens=10 ai.usage.completionTokens=5 prompt=10 completion=5 "
         "gen_ai.finishReason=stop"),
        "openai", "chat", Tokens(10, 5, None, 0),
    ),
    (
        "AI SDK 4, a stream without usage says NaN",
        "ai", "ai.streamText.doStream",
        ("ai.operationId=ai.streamText.doStream ai.model.id=gpt-4o ai.model.provider=openai.chat in=NaN "
         "out=NaN ai.usage.promptTokens=NaN ai.usage.completionTokens=NaN"),
        "openai", "chat", UNKNOWN,
    ),
    (
        "AI SDK, a rerank",
        "ai", "ai.rerank.doRerank",
        "ai.operationId=ai.rerank.doRerank ai.model.id=rerank-3 ai.model.provider=cohere.reranking",
        "cohere", "rerank", UNKNOWN,
    ),
    (
        "pydantic-ai 1, OpenAI's details as they were",
        "pydantic-ai", "chat gpt-4o",
        ("op=chat system=openai asked=gpt-4o answered=gpt-4o in=1000 out=10 "
         "gen_ai.usage.details.cached_tokens=500 gen_ai.usage.details.reasoning_tokens=4 "
         "gen_ai.usage.details.audio_tokens=0"),
        "openai", "chat", Tokens(1000, 10, 500, 0, reasoning=4),
    ),
    (
        "LiteLLM, acompletion",
        "litellm", "litellm_request",
        "op=acompletion system=openai asked=m in=12 out=3",
        "openai", "chat", Tokens(12, 3, None, 0),
    ),
    (
        "LiteLLM, completion",
        "litellm", "litellm_request",
        "op=completion system=openai asked=m in=12 out=3",
        "openai", "chat", Tokens(12, 3, None, 0),
    ),
    (
        "LiteLLM, atext_completion",
        "litellm", "litellm_request",
        "op=atext_completion system=openai asked=m in=12 out=3",
        "openai", "text_completion", Tokens(12, 3, None, 0),
    ),
    (
        "LiteLLM, aresponses",
        "litellm", "litellm_request",
        "op=aresponses system=openai asked=m in=12 out=3",
        "openai", "chat", Tokens(12, 3, None, 0),
    ),
    (
        "LiteLLM, anthropic_messages",
        "litellm", "litellm_request",
        "op=anthropic_messages system=openai asked=m in=12 out=3",
        "openai", "chat", Tokens(12, 3, None, 0),
    ),
    (
        "LiteLLM, aembedding",
        "litellm", "litellm_request",
        "op=aembedding system=openai asked=m in=12 out=3",
        "openai", "embeddings", Tokens(12, 3, 0, 0, reasoning=0),
    ),
    (
        "LiteLLM, pass_through_endpoint",
        "litellm", "litellm_request",
        "op=pass_through_endpoint system=openai asked=m in=12 out=3",
        "openai", "chat", Tokens(12, 3, None, 0),
    ),
    (
        "LiteLLM, _arealtime",
        "litellm", "litellm_request",
        "op=_arealtime system=openai asked=m in=12 out=3",
        "openai", "chat", Tokens(12, 3, None, 0),
    ),
    (
        "LiteLLM, arerank",
        "litellm", "litellm_request",
        "op=arerank system=openai asked=m",
        "openai", "rerank", UNKNOWN,
    ),
    (
        "LiteLLM, aimage_generation",
        "litellm", "litellm_request",
        "op=aimage_generation system=openai asked=m",
        "openai", "image", UNKNOWN,
    ),
    (
        "LiteLLM, image_edit",
        "litellm", "litellm_request",
        "op=image_edit system=openai asked=m",
        "openai", "image", UNKNOWN,
    ),
    (
        "LiteLLM, amoderation",
        "litellm", "litellm_request",
        "op=amoderation system=openai asked=m",
        "openai", "moderation", UNKNOWN,
    ),
    (
        "LiteLLM, aspeech",
        "litellm", "litellm_request",
        "op=aspeech system=openai asked=m",
        "openai", "speech", UNKNOWN,
    ),
    (
        "LiteLLM, atranscription",
        "litellm", "litellm_request",
        "op=atranscription system=openai asked=m",
        "openai", "transcription", UNKNOWN,
    ),
    (
        "LangSmith, details as Python writes them",
        "langsmith", "ChatOpenAI",
        ("langsmith.span.kind=llm system=langchain asked=gpt-4o in=100 out=10 "
         "gen_ai.usage.input_token_details={'audio':0,'cache_read':50} "
         "gen_ai.usage.output_token_details={'reasoning':4}"),
        "openai", "chat", Tokens(100, 10, 50, 0, reasoning=4, audio_input=0),
    ),
    (
        "Langfuse's own names: every part is taken out",
        "langfuse-sdk", "g",
        ("langfuse.observation.type=generation langfuse.observation.model.name=gpt-4.1 "
         'langfuse.observation.usage_details={"input":735,"output":32,"total":1166,'
         '"input_cache_read":384,"output_reasoning":15}'),
        "openai", "chat", Tokens(1119, 47, 384, 0, reasoning=15),
    ),
    (
        "Langfuse's own names: a total of both alone says that the parts are in",
        "langfuse-sdk", "g",
        ("langfuse.observation.type=generation langfuse.observation.model.name=gpt-4.1 "
         'langfuse.observation.usage_details={"input":1119,"output":47,"total":1166,'
         '"input_cached_tokens":384,"output_reasoning_tokens":15}'),
        "openai", "chat", Tokens(1119, 47, 384, 0, reasoning=15),
    ),
    (
        "Langfuse's own names without parts",
        "langfuse-sdk", "g",
        ("langfuse.observation.type=generation langfuse.observation.model.name=gpt-4.1 "
         'langfuse.observation.usage_details={"input":10,"output":2,"total":12}'),
        "openai", "chat", Tokens(10, 2, None, 0),
    ),
    (
        "Strands 0.2 with Bedrock: cached tokens in the total only",
        "strands.telemetry.tracer", "Model invoke",
        ("system=strands-agents asked=us.anthropic.claude-sonnet-4-5-20250929-v1:0 prompt=200 "
         "completion=70 total=2570"),
        "aws.bedrock", "chat", Tokens(2500, 70),
    ),
    (
        "Strands 0.2: a total that adds up tells of nothing",
        "strands.telemetry.tracer", "Model invoke",
        ("system=strands-agents asked=us.anthropic.claude-sonnet-4-5-20250929-v1:0 prompt=200 "
         "completion=70 total=270"),
        "aws.bedrock", "chat", Tokens(200, 70),
    ),
    (
        "Strands 0.2, a call that failed",
        "strands.telemetry.tracer", "Model invoke",
        "system=strands-agents asked=us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "aws.bedrock", "chat", UNKNOWN,
    ),
    (
        "Agent Framework: without the cache, as is told from what is impossible",
        "agent_framework", "chat c",
        ("op=chat provider=anthropic asked=unknown answered=claude-sonnet-4-5 in=200 out=70 read=2000 "
         "write=300"),
        "anthropic", "chat", Tokens(2500, 70, 2000, 300),
    ),
    (
        "Semantic Kernel of .NET before the conventions",
        "Microsoft.SemanticKernel.Diagnostics", "chat.completions gpt-4o",
        ("op=chat.completions system=openai asked=gpt-4o gen_ai.response.prompt_tokens=100 "
         "gen_ai.response.completion_tokens=10"),
        "openai", "chat", Tokens(100, 10, None, 0),
    ),
    (
        "MLflow, Anthropic: its own usage leaves the cache out of input",
        "mlflow.anthropic", "Messages.create",
        ('mlflow.spanType="CHAT_MODEL" model="claude-sonnet-4-5" '
         'mlflow.chat.tokenUsage={"input_tokens":200,"output_tokens":70,"total_tokens":270,'
         '"cache_read_input_tokens":2000,"cache_creation_input_tokens":300}'),
        "anthropic", "chat", Tokens(2500, 70, 2000, 300),
    ),
    (
        "dd-trace",
        "ddtrace", "openai.request",
        "op=llm provider=openai asked=gpt-4o in=100 out=10",
        "openai", "chat", Tokens(100, 10, None, 0),
    ),
    (
        "Weave, its own names before the conventions'",
        "weave", "chat",
        ("weave.operation.name=chat weave.provider.name=openai weave.request.model=gpt-4o "
         "weave.usage.input_tokens=100 weave.usage.output_tokens=10 "
         "gen_ai.usage.prompt_tokens_details.cached_tokens=50"),
        "openai", "chat", Tokens(100, 10, 50, 0),
    ),
    (
        "a stream of the Anthropic SDK that was given up",
        "com.anthropic.sdk.python", "anthropic.messages.create",
        "op=chat provider=anthropic asked=claude-sonnet-4-5 id=m1 gen_ai.request.stream=true",
        "anthropic", "chat", UNKNOWN,
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "name", "attributes", "provider", "operation", "tokens"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_a_span_is_one_call(
    scope: str, name: str, attributes: str, provider: str, operation: str, tokens: Tokens
) -> None:
    """Each row is one call of that provider, operation and usage; what the emitter does not tell stays unknown."""
    (call,) = calls_of(Span(0, scope, name, attributes))
    assert (call.provider, call.operation) == (provider, operation)
    assert call.tokens == tokens
