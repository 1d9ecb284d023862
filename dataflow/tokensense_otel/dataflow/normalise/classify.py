"""What a span is: a model call, a wrapper around calls, a tool, or nothing of ours; and which operation a call is.

The order of the questions matters: a dialect's own marker comes before
`gen_ai.operation.name`, which several emitters fill with values of their own. SpanKind is never asked: google-genai,
Strands, ADK, OpenInference, Semantic Kernel and Claude Code mark model calls INTERNAL.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tokensense_otel.dataflow.facts import Kind
from tokensense_otel.dataflow.normalise.aliases import KEYS, USAGE_KEYS
from tokensense_otel.dataflow.normalise.attributes import to_number
from tokensense_otel.dataflow.normalise.dialects import MARKERS, Dialect

Found = tuple[Kind, str]
"""A kind and, for calls, the operation."""

_CHAT: Final[Found] = (Kind.CALL, "chat")
_EMBEDDINGS: Final[Found] = (Kind.CALL, "embeddings")
_RERANK: Final[Found] = (Kind.CALL, "rerank")
_WRAPPER: Final[Found] = (Kind.WRAPPER, "")
_TOOL: Final[Found] = (Kind.TOOL, "")
_OTHER: Final[Found] = (Kind.OTHER, "")

OPERATIONS: Final[dict[str, Found]] = {
    # The conventions' own names (v1.41) are kept as they are …
    "chat": _CHAT,
    "text_completion": (Kind.CALL, "text_completion"),
    "generate_content": (Kind.CALL, "generate_content"),
    "embeddings": _EMBEDDINGS,
    # … what others call the same thing is given those names …
    "chat.completions": _CHAT,
    "responses": _CHAT,
    "llm": _CHAT,
    "llm_call": _CHAT,
    "generate": _CHAT,
    "completion": (Kind.CALL, "text_completion"),
    "text.completions": (Kind.CALL, "text_completion"),
    "embedding": _EMBEDDINGS,
    # … and calls that the conventions do not name yet get short ones.
    "rerank": _RERANK,
    "moderation": (Kind.CALL, "moderation"),
    "image_generation": (Kind.CALL, "image"),
    "image": (Kind.CALL, "image"),
    "audio": (Kind.CALL, "speech"),
    "speech": (Kind.CALL, "speech"),
    "transcription": (Kind.CALL, "transcription"),
    "execute_tool": _TOOL,
    "tool": _TOOL,
    "tool_call": _TOOL,
    "retrieval": _TOOL,
    "retriever": _TOOL,
    "fetch_response": _TOOL,
    "create_memory": _TOOL,
    "search_memory": _TOOL,
    "update_memory": _TOOL,
    "upsert_memory": _TOOL,
    "delete_memory": _TOOL,
}
"""`gen_ai.operation.name` → what it is. Any other value (agents, workflows, steps) is a wrapper."""

_LITELLM: Final[dict[str, Found]] = {
    "completion": _CHAT,
    "anthropic_messages": _CHAT,
    "pass_through_endpoint": _CHAT,
    "llm_passthrough_route": _CHAT,
    "realtime": _CHAT,
    "generate_content_stream": (Kind.CALL, "generate_content"),
    "image_edit": (Kind.CALL, "image"),
    "image_variation": (Kind.CALL, "image"),
}
"""Operations of LiteLLM, which writes the name of the function that was called: `acompletion`, `_arealtime`. Its
`completion` takes messages; that of older models is its `text_completion`."""

_BY_MARKER: Final[tuple[tuple[str, dict[str, Found]], ...]] = (
    (
        "langfuse.observation.type",
        {"generation": _CHAT, "embedding": _EMBEDDINGS, "span": _WRAPPER, "agent": _WRAPPER, "chain": _WRAPPER},
    ),
    ("traceloop.span.kind", {"workflow": _WRAPPER, "task": _WRAPPER, "agent": _WRAPPER}),
    (
        "openinference.span.kind",
        {
            "llm": _CHAT,
            "embedding": _EMBEDDINGS,
            "reranker": _RERANK,
            "agent": _WRAPPER,
            "chain": _WRAPPER,
            "evaluator": _WRAPPER,
            "guardrail": _WRAPPER,
        },
    ),
    (
        "mlflow.spanType",
        {
            "llm": _CHAT,
            "chat_model": _CHAT,
            "embedding": _EMBEDDINGS,
            "tool": _TOOL,
            "retriever": _TOOL,
            "reranker": _TOOL,
            "parser": _TOOL,
            "memory": _TOOL,
        },
    ),
    ("genkit:metadata:subtype", {"model": _CHAT, "embedder": _EMBEDDINGS, "tool": _TOOL, "retriever": _TOOL}),
)
"""A dialect's own marker → its values in lower case; any other value is a tool, but for `_UNLISTED`."""
_UNLISTED: Final = {"mlflow.spanType": _WRAPPER, "genkit:metadata:subtype": _WRAPPER}

_TELLING: Final = (
    frozenset(KEYS) - {"error.type", "server.address", "http.request.resend_count", "retry_attempts"}
    | MARKERS
    | {
        "gen_ai.operation.name",
        "llm.request.type",
        "traceloop.span.kind",
        "gen_ai.agent.name",
        "gen_ai.tool.name",
        "operation.name",
    }
)
"""Attributes that make a span GenAI at all."""

_NAMED_WRAPPERS: Final = frozenset({"openclaw.model.usage"})
"""They repeat, in a trace of their own, the usage of calls elsewhere."""
NEVER_COUNTED: Final = _NAMED_WRAPPERS
_NAMED_CALLS: Final = frozenset({("google-adk", "call_llm"), ("strands", "Model invoke")})
"""Spans of a dialect that are calls by their name, since they name no operation."""


def tells_genai(keys: Iterable[str]) -> bool:
    """Whether any of these attributes makes a span GenAI."""
    return not _TELLING.isdisjoint(keys)


def classify(dialect: Dialect, known_scope: bool, name: str, attributes: Mapping[str, Any]) -> Found:
    """The kind of a span and, for calls, the operation under its normalised name."""
    if known_scope:
        if name == "raw_gen_ai_request":
            return (Kind.DETAIL, "chat")
        if name in _NAMED_WRAPPERS or (dialect.lends_model and name == dialect.lends_model):
            return _WRAPPER
        if (dialect.name, name) in _NAMED_CALLS:
            return _CHAT
        if dialect.name == "claude-code":
            return _of_claude_code(attributes)
    if _TELLING.isdisjoint(attributes):
        # OpenLIT leaves a failed call without any attribute but its name.
        return OPERATIONS.get(named_call(name)[0], _OTHER) if known_scope else _OTHER
    if dialect.name == "langsmith":
        return {"llm": _CHAT, "tool": _TOOL, "retriever": _TOOL}.get(
            str(attributes.get("langsmith.span.kind")), _WRAPPER
        )
    if dialect.name == "vercel-ai-legacy":
        return _of_vercel(attributes)
    for marker, values in _BY_MARKER:
        value = attributes.get(marker)
        if isinstance(value, str):
            return values.get(value.strip('"').lower(), _UNLISTED.get(marker, _TOOL))
    if dialect.name == "logfire":
        if attributes.get("logfire.span_type") == "pending_span":
            return _OTHER
        if _opens_stream(attributes):
            return _WRAPPER
    operation = attributes.get("gen_ai.operation.name")
    if isinstance(operation, str) and operation:
        return _of_operation(dialect, operation.lower()) or _WRAPPER
    request = attributes.get("llm.request.type")
    if isinstance(request, str) and request:
        return _of_operation(dialect, request.lower()) or _CHAT
    if not USAGE_KEYS.isdisjoint(attributes):
        return (Kind.CANDIDATE, "chat")
    return _TOOL if "gen_ai.tool.name" in attributes else _WRAPPER


def _of_operation(dialect: Dialect, operation: str) -> Found | None:
    if dialect.name != "litellm":
        return OPERATIONS.get(operation)
    function = operation.removeprefix("_")
    names = (function, function.removeprefix("a"))
    return next((found for name in names if (found := _LITELLM.get(name) or OPERATIONS.get(name))), None)


def told_by(dialect: Dialect, known_scope: bool, name: str, attributes: Mapping[str, Any]) -> str:
    """What told the kind of a GenAI span, in the order in which `classify` asks: an attribute, or the span's name."""
    if known_scope and (name in _TELLING_NAMES or name in _NAMED_WRAPPERS):
        return f"span name {name}"
    for key in _SIGNS.get(dialect.name, ()) + _MARKERS_AND_OPERATION:
        value = attributes.get(key)
        if isinstance(value, str) and value:
            return f"{key}={value[:_MAX_SIGN]}"
    return "usage without an operation" if not USAGE_KEYS.isdisjoint(attributes) else "GenAI attributes"


_TELLING_NAMES: Final = frozenset({"raw_gen_ai_request", *(name for _, name in _NAMED_CALLS)})
_SIGNS: Final[dict[str, tuple[str, ...]]] = {
    "claude-code": ("span.type",),
    "langsmith": ("langsmith.span.kind",),
    "vercel-ai-legacy": ("ai.operationId", "operation.name"),
}
_MARKERS_AND_OPERATION: Final = (
    *(marker for marker, _ in _BY_MARKER),
    "gen_ai.operation.name",
    "llm.request.type",
)
_MAX_SIGN: Final = 48


def named_call(name: str) -> tuple[str, str]:
    """Operation and model of a span named as the conventions name a call, `chat gpt-4o`; empty for any other name."""
    operation, _, model = name.partition(" ")
    return (operation, model) if operation in _CONVENTIONAL and model and " " not in model else ("", "")


_CONVENTIONAL: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings"})


def _opens_stream(attributes: Mapping[str, Any]) -> bool:
    """Logfire's span around the request of a stream, which ends without an answer; a record of its end has that."""
    return (
        attributes.get("logfire.span_type") == "span"
        and (to_number(attributes.get("logfire.level_num")) or 0) < _LOGFIRE_ERROR
        and "gen_ai.usage.raw" not in attributes
        and "response_data" not in attributes
        and USAGE_KEYS.isdisjoint(attributes)
    )


_LOGFIRE_ERROR: Final = 17


def _of_vercel(attributes: Mapping[str, Any]) -> Found:
    """The AI SDK up to 6: `ai.generateText` wraps `ai.generateText.doGenerate`, which is the request."""
    operation = str(attributes.get("ai.operationId") or attributes.get("operation.name") or "").partition(" ")[0]
    if operation.endswith((".doGenerate", ".doStream")):
        return _CHAT
    if operation.endswith(".doEmbed"):
        return _EMBEDDINGS
    if operation.endswith(".doRerank"):
        return _RERANK
    return _TOOL if operation == "ai.toolCall" else _WRAPPER


def _of_claude_code(attributes: Mapping[str, Any]) -> Found:
    kind = str(attributes.get("span.type") or "")
    if kind == "llm_request":
        return _CHAT
    return _WRAPPER if kind == "interaction" else _TOOL
