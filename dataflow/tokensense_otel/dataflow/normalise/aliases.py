"""Which attribute says what: per canonical field the keys that emitters use, the first with a value wins.

Never add two of them up, and never match by prefix: `gen_ai.usage.*` also holds limits, parts and costs. Sources:
the registry of the OpenTelemetry GenAI conventions (four generations of names), and each emitter's own code.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "provider": (
        "gen_ai.provider.name",
        "gen_ai.system",
        "llm.provider",
        "llm.system",
        "ai.model.provider",
        "mlflow.llm.provider",
        "weave.provider.name",
    ),
    "request_model": (
        "gen_ai.request.model",
        "llm.request.model_name",
        "langfuse.observation.model.name",
        "ai.model.id",
        "mlflow.llm.model",
        "weave.request.model",
        "embedding.model_name",
        "reranker.model_name",
    ),
    "response_model": (
        "gen_ai.response.model",
        "llm.response.model_name",
        "llm.model_name",
        "ai.response.model",
        "weave.response.model",
    ),
    "response_id": ("gen_ai.response.id", "ai.response.id"),
    "input": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "llm.token_count.prompt",
        "ai.usage.inputTokens",
        "ai.usage.promptTokens",
        "ai.usage.tokens",
        "weave.usage.input_tokens",
        "gen_ai.response.prompt_tokens",
    ),
    "output": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "llm.token_count.completion",
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
        "weave.usage.output_tokens",
        "gen_ai.response.completion_tokens",
    ),
    "total": (
        "gen_ai.usage.total_tokens",
        "llm.usage.total_tokens",
        "llm.token_count.total",
        "ai.usage.totalTokens",
        "gen_ai.client.token.usage",
        "codex.usage.total_tokens",
    ),
    "cache_read": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cache_read_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cache_read_input_tokens",
        "gen_ai.usage.details.cached_tokens",
        "gen_ai.usage.details.cached_content_tokens",
        "gen_ai.usage.cached_input_tokens",
        "gen_ai.usage.prompt_tokens_details.cached_tokens",
        "gen_ai.usage.input_tokens_details.cached_tokens",
        "llm.token_count.prompt_details.cache_read",
        "llm.usage.cache_read_input_tokens",
        "ai.usage.inputTokenDetails.cacheReadTokens",
        "ai.usage.cachedInputTokens",
    ),
    "cache_write": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.cache_write_tokens",
        "gen_ai.usage.cache_creation_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "gen_ai.usage.details.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
        "llm.usage.cache_creation_input_tokens",
        "ai.usage.inputTokenDetails.cacheWriteTokens",
    ),
    "cache_write_1h": (
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
        "gen_ai.usage.details.ephemeral_1h_input_tokens",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.experimental.reasoning_tokens",
        "gen_ai.usage.reasoning_output_tokens",
        "gen_ai.usage.output_reasoning_tokens",
        "gen_ai.usage.thoughts_token_count",
        "gen_ai.usage.details.reasoning_tokens",
        "gen_ai.usage.details.thoughts_tokens",
        "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "ai.usage.outputTokenDetails.reasoningTokens",
        "ai.usage.reasoningTokens",
        "codex.usage.reasoning_output_tokens",
    ),
    "audio_input": ("gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio"),
    "audio_output": ("gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio"),
    "image_input": ("gen_ai.usage.image.input_tokens", "llm.token_count.prompt_details.image"),
    "finish": (
        "gen_ai.response.finish_reasons",
        "gen_ai.response.finish_reason",
        "llm.finish_reason",
        "ai.response.finishReason",
        "gen_ai.finishReason",
        "gen_ai.completion.0.finish_reason",
        "llm.response.finish_reason",
        "anthropic.message.stop_reason",
    ),
    "tier": (
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "anthropic.response.service_tier",
        "gen_ai.response.service_tier",
        "llm.openai.service_tier",
        "openai.request.service_tier",
        "gen_ai.openai.request.service_tier",
    ),
    "stream": ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"),
    "ttft_s": (
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.server.time_to_first_token",
    ),
    "ttft_ms": ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk", "copilot_chat.time_to_first_token"),
    "error": ("error.type",),
    "cost": (
        "langfuse.observation.cost_details",
        "gen_ai.usage.cost",
        "operation.cost",
        "gen_ai.cost.total_cost",
        "llm.cost.total",
        "mlflow.llm.cost",
    ),
    "host": ("server.address",),
    "max_output": (
        "gen_ai.request.max_tokens",
        "ai.settings.maxOutputTokens",
        "ai.settings.maxTokens",
        "langsmith.metadata.ls_max_tokens",
        "traceloop.association.properties.ls_max_tokens",
    ),
    "tools": (
        "tokensense.tools",
        "gen_ai.tool.definitions",
        "gen_ai.tool_definitions",
        "llm.tools.0.tool.json_schema",
        "llm.request.functions.0.name",
        "ai.prompt.tools",
        "mlflow.chat.tools",
        "langfuse.observation.metadata.tools",
    ),
    "format": (
        "gen_ai.request.structured_output_schema",
        "gen_ai.openai.request.response_format",
        "gen_ai.output.type",
    ),
    "resends": ("http.request.resend_count", "retry_attempts"),
    "version": ("langfuse.release",),
}
"""Field → keys in order. Times to first token come in two units, so they are two fields; so do attempts, which some
emitters count from one (`attempt`, named by dialects) and others as resends."""

TOKEN_FIELDS: Final = (
    "input",
    "output",
    "total",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
)

KEYS: Final[dict[str, tuple[str, int]]] = {
    key: (field, order) for field, keys in FIELDS.items() for order, key in enumerate(keys)
}


Field = tuple[str, tuple[str, ...]]
"""A canonical field, and keys that hold it, the best first."""


def fields_of(keys: Iterable[str]) -> tuple[Field, ...]:
    """The canonical fields that these keys may hold."""
    held: dict[str, list[str]] = {}
    for key in sorted(KEYS.keys() & set(keys), key=lambda key: KEYS[key][1]):
        held.setdefault(KEYS[key][0], []).append(key)
    return tuple((field, tuple(some)) for field, some in held.items())


def gather(
    attributes: Mapping[str, Any], more: Mapping[str, str], fields: Iterable[Field] | None = None
) -> dict[str, Any]:
    """Canonical fields of a span. `fields` are those of its keys, where they are known already.

    `more` are keys that mean something in its dialect only; the general ones win.
    """
    found: dict[str, Any] = {}
    for field, keys in fields_of(attributes) if fields is None else fields:
        for key in keys:
            value = attributes[key]
            if value is not None and value != "":
                found[field] = value
                break
    for key, field in more.items():
        if field not in found and attributes.get(key) not in (None, ""):
            found[field] = attributes[key]
    return found


def reports_usage(attributes: Iterable[str]) -> bool:
    """Whether any of these keys is a token count."""
    return not USAGE_KEYS.isdisjoint(attributes)


USAGE_KEYS: Final = frozenset(key for field in ("input", "output") for key in FIELDS[field])
"""Keys whose presence says that a span reports usage."""
