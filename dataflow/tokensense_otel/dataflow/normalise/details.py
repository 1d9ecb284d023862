"""What hides in JSON and `repr` strings on a span: one small reader per dialect, called only for its calls.

A reader gets the span's attributes and returns the usage object, the response id and further canonical fields that it
finds, all optional. Parsing is bounded by `NormaliseConfig.max_json_bytes`, and nothing is evaluated.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tokensense_otel.dataflow.normalise.attributes import (
    Attributes,
    from_json,
    from_repr,
    to_count,
    to_number,
    to_text,
)
from tokensense_otel.dataflow.normalise.sanity import DAY_NS
from tokensense_otel.dataflow.normalise.task import asked_fields


@dataclass(slots=True)
class Details:
    """What a reader found. `exclusive` says whether `usage` excludes cached tokens where its shape does not tell."""

    usage: Any = None
    exclusive: bool | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    """Canonical fields (`aliases.FIELDS`) to complete those of the attributes."""
    lasted_ns: int = 0
    """How long the call took, where the span is but a record of its end."""


Reader = Callable[[Attributes, int], Details]

_LEADING_ID: Final = re.compile(r'^\{\s*"id"\s*:\s*"([\w.:-]{6,200})"')


def provider_output(attributes: Attributes, max_chars: int) -> Details:
    """OpenInference: the provider's own answer in `output.value`, what was asked in `llm.invocation_parameters`."""
    found = _asked(attributes)
    text = attributes.get("output.value")
    answer = from_json(text, max_chars)
    if not isinstance(answer, Mapping):
        # A limit on attribute length cuts JSON off, and the id comes first.
        cut = _LEADING_ID.match(text[:256]) if isinstance(text, str) else None
        if cut:
            found.fields["response_id"] = cut.group(1)
        return found
    identity = answer.get("id") or answer.get("response_id") or answer.get("responseId")
    found.fields["response_id"] = to_text(identity)
    found.usage = answer.get("usage") or answer.get("usage_metadata") or answer.get("token_usage")
    found.fields["tier"] = to_text(answer.get("service_tier") or _step(found.usage, "service_tier"))
    return found


def langchain_output(attributes: Attributes, max_chars: int) -> Details:
    """OpenInference for LangChain: an `LLMResult` in `output.value`; `llm_output` has the provider's id."""
    found = _asked(attributes)
    _read_llm_result(from_json(attributes.get("output.value"), max_chars), found)
    return found


def langsmith(attributes: Attributes, max_chars: int) -> Details:
    """LangSmith: an `LLMResult` or a provider's answer in `gen_ai.completion`, which alone has details and ids."""
    found = Details()
    answer = from_json(attributes.get("gen_ai.completion"), max_chars)
    if _step(answer, "generations") is not None:
        _read_llm_result(answer, found)
    else:
        found.fields["response_id"] = to_text(_step(answer, "id"))
        found.usage = _step(answer, "usage") or _step(answer, "usage_metadata")
    if found.usage is None and "gen_ai.usage.input_token_details" in attributes:
        found.usage = {
            "input_tokens": attributes.get("gen_ai.usage.input_tokens"),
            "output_tokens": attributes.get("gen_ai.usage.output_tokens"),
            "input_token_details": from_repr(attributes["gen_ai.usage.input_token_details"]),
            "output_token_details": from_repr(attributes.get("gen_ai.usage.output_token_details")),
        }
        found.exclusive = False
    return found


def _read_llm_result(answer: Any, found: Details) -> None:
    """LangChain's `LLMResult`, as its `dumpd` writes it."""
    if not isinstance(answer, Mapping):
        return
    message: Any = answer.get("generations")
    for step in (0, 0, "message", "kwargs"):
        message = _step(message, step)
    metadata = _step(message, "response_metadata")
    output = answer.get("llm_output")
    found.fields["response_id"] = to_text(_step(output, "id") or _step(metadata, "id"))
    found.fields["tier"] = to_text(_step(output, "service_tier") or _step(metadata, "service_tier"))
    found.fields["response_model"] = to_text(_step(metadata, "model_name"))
    # LangChain's own message usage includes the cache, whatever the provider's did.
    found.usage = _step(message, "usage_metadata") or _step(output, "token_usage")
    found.exclusive = False


def _asked(attributes: Attributes) -> Details:
    found = Details()
    asked = from_json(
        attributes.get("llm.invocation_parameters") or attributes.get("embedding.invocation_parameters"), 65_536
    )
    if isinstance(asked, Mapping):
        found.fields["request_model"] = to_text(asked.get("model") or asked.get("model_name"))
        found.fields |= asked_fields(asked)
        if asked.get("stream") is True:
            found.fields["stream"] = True
    return found


def _step(value: Any, key: str | int) -> Any:
    if isinstance(key, int):
        return value[key] if isinstance(value, list) and len(value) > key else None
    return value.get(key) if isinstance(value, Mapping) else None


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def litellm(attributes: Attributes, max_chars: int) -> Details:  # noqa: ARG001 - every reader takes the limit
    """LiteLLM: `metadata.usage_object` as a `repr`, or `llm.<provider>.usage` on `raw_gen_ai_request`."""
    found = Details(from_repr(attributes.get("metadata.usage_object")))
    if found.usage is None:
        for key in attributes:
            if key.startswith("llm.") and key.endswith(".usage"):
                prefix = key[: -len("usage")]
                found.usage = from_repr(attributes[key])
                found.fields["response_id"] = to_text(attributes.get(f"{prefix}id"))
                found.fields["response_model"] = to_text(attributes.get(f"{prefix}model"))
                found.fields["tier"] = to_text(attributes.get(f"{prefix}service_tier"))
                break
    return found


def langfuse(attributes: Attributes, max_chars: int) -> Details:
    """Langfuse SDK: `usage_details` as JSON, in the provider's names or in Langfuse's own."""
    usage = from_json(attributes.get("langfuse.observation.usage_details"), max_chars)
    found = Details(_whole(usage) if isinstance(usage, Mapping) else None)
    answer = from_json(attributes.get("langfuse.observation.output"), max_chars)
    if isinstance(answer, Mapping) and "choices" in answer:
        found.fields["response_id"] = to_text(answer.get("id"))
    asked = from_json(attributes.get("langfuse.observation.model.parameters"), 65_536)
    if isinstance(asked, Mapping):
        found.fields |= asked_fields(asked)
    if str(attributes.get("langfuse.observation.input"))[:9] == '{"tools":':
        found.fields["tools"] = "told with the messages"
    return found


def _whole(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """Langfuse's own names, `input` and `input_cache_read`, as OpenAI's: it takes every part out of its whole.

    A total of input and output alone says that the parts are still in (langfuse/langchain/CallbackHandler.py).
    """
    parts = {name: to_count(usage[name]) or 0 for name in usage if name.startswith(("input_", "output_"))}
    inputs, outputs = to_count(usage.get("input")), to_count(usage.get("output"))
    if not parts or inputs is None:
        return usage
    net = to_count(usage.get("total")) != inputs + (outputs or 0)
    sums = {
        side: sum(count for name, count in parts.items() if name.startswith(side)) if net else 0
        for side in ("input_", "output_")
    }
    return {
        "prompt_tokens": inputs + sums["input_"],
        "completion_tokens": None if outputs is None else outputs + sums["output_"],
        "prompt_tokens_details": {
            "cached_tokens": parts.get("input_cache_read", parts.get("input_cached_tokens")),
            "cache_write_tokens": parts.get("input_cache_creation"),
            "audio_tokens": parts.get("input_audio", parts.get("input_audio_tokens")),
        },
        "completion_tokens_details": {
            "reasoning_tokens": parts.get("output_reasoning", parts.get("output_reasoning_tokens")),
            "audio_tokens": parts.get("output_audio", parts.get("output_audio_tokens")),
        },
    }


def mlflow(attributes: Attributes, max_chars: int) -> Details:
    """MLflow: every value is JSON; its own usage has few classes, the provider's answer has all of them."""
    answer = from_json(attributes.get("mlflow.spanOutputs"), max_chars)
    usage = _step(answer, "usage") or _step(answer, "usage_metadata")
    own = from_json(attributes.get("mlflow.chat.tokenUsage"), max_chars)
    found = Details(usage) if isinstance(usage, Mapping) else Details(own, exclusive=False)
    found.fields["response_id"] = to_text(_step(answer, "id") or _step(answer, "response_id"))
    for key, name in _MLFLOW_FIELDS:
        text = from_json(attributes.get(key), 1_024)
        if isinstance(text, str) and name not in found.fields:
            found.fields[name] = text
    return found


_MLFLOW_FIELDS: Final = (
    ("model", "request_model"),
    ("mlflow.llm.model", "request_model"),
    ("mlflow.llm.model", "response_model"),
    ("mlflow.llm.provider", "provider"),
)


def vercel(attributes: Attributes, max_chars: int) -> Details:
    """Vercel AI SDK: what its own attributes leave out is in `ai.response.providerMetadata`, by provider.

    Release 5 and later pass on the usage of Anthropic and Google; release 4 names single counts.
    """
    found = Details()
    if "Object" in str(attributes.get("ai.operationId")):
        found.fields["format"] = "object"
    metadata = from_json(attributes.get("ai.response.providerMetadata"), max_chars)
    for told in metadata.values() if isinstance(metadata, Mapping) else ():
        if not isinstance(told, Mapping):
            continue
        usage = told.get("usageMetadata") or told.get("usage")
        if isinstance(usage, Mapping) and not _VERCEL_WHOLE.isdisjoint(usage):
            found.usage = usage
            continue
        for counts in (told, usage):
            if isinstance(counts, Mapping):
                found.fields |= {name: counts[key] for key, name in _VERCEL_COUNTS if counts.get(key) is not None}
    return found


_VERCEL_WHOLE: Final = frozenset({"input_tokens", "promptTokenCount"})
_VERCEL_COUNTS: Final = (
    ("cachedPromptTokens", "cache_read"),
    ("cacheReadInputTokens", "cache_read"),
    ("cacheCreationInputTokens", "cache_write"),
    ("cacheWriteInputTokens", "cache_write"),
    ("reasoningTokens", "reasoning"),
)


def genkit(attributes: Attributes, max_chars: int) -> Details:
    """Genkit: usage in the JSON of `genkit:output`, the model in `genkit:name`."""
    output = from_json(attributes.get("genkit:output"), max_chars)
    usage = _step(output, "usage")
    if isinstance(usage, Mapping) and "thoughtsTokens" in usage:
        usage = {
            "promptTokenCount": usage.get("inputTokens"),
            "candidatesTokenCount": usage.get("outputTokens"),
            **usage,
        }
    found = Details(usage, fields={"request_model": to_text(attributes.get("genkit:name"))})
    asked = from_json(attributes.get("genkit:input"), max_chars)
    if isinstance(asked, Mapping):
        found.fields |= asked_fields({**(_mapping(asked, "config")), "tools": asked.get("tools")})
        found.fields["format"] = to_text(_step(asked.get("output"), "format"))
    return found


def pydantic_ai(attributes: Attributes, _max_chars: int) -> Details:
    """pydantic-ai: all that is attached to a request, as JSON that can be long; two of its fields are enough."""
    found = Details()
    asked = attributes.get("model_request_parameters")
    if isinstance(asked, str):
        mode = _OUTPUT_MODE.search(asked)
        if mode:
            found.fields["format"] = mode.group(1)
        if '"function_tools":[{' in asked:
            found.fields["tools"] = "told by name"
    return found


_OUTPUT_MODE: Final = re.compile(r'"output_mode":"(\w+)"')


def logfire(attributes: Attributes, max_chars: int) -> Details:
    """Logfire: the provider's answer in `response_data`, or its usage in `gen_ai.usage.raw`.

    What it says of a stream comes in a record at its end, with the seconds that it took.
    """
    usage = from_json(attributes.get("gen_ai.usage.raw"), max_chars)
    answer = from_json(attributes.get("response_data"), max_chars)
    found = Details(usage or _step(answer, "usage"))
    asked = from_json(attributes.get("request_data"), max_chars)
    if isinstance(asked, Mapping):
        found.fields |= asked_fields(asked)
    found.fields["request_model"] = to_text(_step(asked, "model"))
    lasted_s = to_number(attributes.get("duration")) if attributes.get("logfire.span_type") == "log" else None
    if lasted_s is not None and 0 < lasted_s < DAY_NS / 1e9:
        found.lasted_ns = round(lasted_s * 1e9)
        found.fields["stream"] = True
    return found


def adk_response(attributes: Attributes, max_chars: int) -> Details:
    """Google ADK: Gemini's `usage_metadata` in the JSON of the response, which alone has thoughts and cached tokens."""
    answer = from_json(attributes.get("gcp.vertex.agent.llm_response"), max_chars)
    found = Details(_step(answer, "usage_metadata"))
    if not attributes.get("gen_ai.request.model"):
        # A call that failed names its model in the request only.
        asked = from_json(attributes.get("gcp.vertex.agent.llm_request"), max_chars)
        found.fields["request_model"] = to_text(_step(asked, "model"))
    return found


def ddtrace(attributes: Attributes, _max_chars: int) -> Details:
    """dd-trace: the model that was asked; under the conventions' name it has the one that answered."""
    asked = (to_text(attributes.get(f"{provider}.request.model")) for provider in ("openai", "anthropic"))
    answered = attributes.get("openai.response.model")
    return Details(fields={"request_model": next(filter(None, asked), ""), "response_model": to_text(answered)})


READERS: Final[dict[str, Reader]] = {
    "ddtrace": ddtrace,
    "provider_output": provider_output,
    "langchain_output": langchain_output,
    "langsmith": langsmith,
    "vercel": vercel,
    "litellm": litellm,
    "langfuse": langfuse,
    "mlflow": mlflow,
    "genkit": genkit,
    "pydantic_ai": pydantic_ai,
    "logfire": logfire,
    "adk_response": adk_response,
}

PAYLOADS: Final[dict[str, str]] = {
    "provider_output": "output.value",
    "langchain_output": "output.value",
    "langfuse": "langfuse.observation.usage_details",
    "langsmith": "gen_ai.completion",
    "vercel": "ai.response.providerMetadata",
    "mlflow": "mlflow.chat.tokenUsage",
    "genkit": "genkit:output",
    "logfire": "response_data",
    "adk_response": "gcp.vertex.agent.llm_response",
}
"""Reader → the attribute whose JSON holds the usage; where that is broken or too long, it is told."""
