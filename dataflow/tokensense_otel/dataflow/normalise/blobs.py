"""Usage objects as providers and frameworks write them: one reader for every shape that instrumentations embed.

The shape tells the semantics: OpenAI's `prompt_tokens` includes the cache, Anthropic's and Bedrock's input excludes it,
Gemini's candidates exclude thoughts. Sources: the API references of OpenAI (chat, responses), Anthropic (messages),
Google (`UsageMetadata`) and Amazon Bedrock (`TokenUsage`); the code of LangChain, Langfuse, Genkit and LiteLLM.
"""

from collections.abc import Mapping
from typing import Any, Final

from tokensense_otel.dataflow.normalise.attributes import to_count
from tokensense_otel.dataflow.normalise.usage import Contract, Counts

_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "input": (
        "prompt_tokens",
        "input_tokens",
        "prompt_token_count",
        "promptTokenCount",
        "inputTokens",
        "promptTokens",
        "input",
    ),
    "output": (
        "completion_tokens",
        "output_tokens",
        "candidates_token_count",
        "candidatesTokenCount",
        "outputTokens",
        "completionTokens",
        "output",
    ),
    "total": ("total_tokens", "total_token_count", "totalTokenCount", "totalTokens", "total"),
    "cache_read": (
        "cache_read_input_tokens",
        "cached_content_token_count",
        "cachedContentTokenCount",
        "cacheReadInputTokens",
        "cachedContentTokens",
        "cachedInputTokens",
        "cache_read_tokens",
        "input_cached_tokens",
        "input_cache_read",
        "cached_prompt_tokens",
    ),
    "cache_write": (
        "cache_creation_input_tokens",
        "cacheWriteInputTokens",
        "cache_write_tokens",
        "cache_write_input_tokens",
        "input_cache_creation",
    ),
    "reasoning": (
        "thoughts_token_count",
        "thoughtsTokenCount",
        "thoughtsTokens",
        "reasoning_tokens",
        "reasoningTokens",
        "output_reasoning_tokens",
    ),
}
_INPUT_PART_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "cache_read": ("cached_tokens", "cache_read", "cacheReadTokens", "cached"),
    "cache_write": ("cache_write_tokens", "cache_creation_tokens", "cache_creation"),
    "audio_input": ("audio_tokens", "audio"),
    "image_input": ("image_tokens", "image"),
}
_OUTPUT_PART_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "reasoning": ("reasoning_tokens", "reasoning", "reasoningTokens", "thinking_tokens"),
    "audio_output": ("audio_tokens", "audio"),
}
_INPUT_PARTS: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details", "inputTokenDetails")
_OUTPUT_PARTS: Final = (
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
    "outputTokenDetails",
)
_GEMINI: Final = ("prompt_token_count", "promptTokenCount")
_GEMINI_TOOLS: Final = ("tool_use_prompt_token_count", "toolUsePromptTokenCount")


def read_usage(blob: Any, *, exclusive: bool | None = None) -> tuple[Counts, Contract]:
    """The counts of a usage object and what its shape says about them; no counts where it is none.

    `exclusive` is for a shape that does not tell, such as a framework's own with Anthropic's names.
    """
    counts: Counts = {}
    if not isinstance(blob, Mapping):
        return counts, Contract()
    _take(counts, blob, _OWN)
    input_parts = _first_mapping(blob, _INPUT_PARTS)
    _take(counts, input_parts, _OF_INPUT)
    _take(counts, _first_mapping(blob, _OUTPUT_PARTS), _OF_OUTPUT)
    _take(counts, _first_mapping(blob, ("cache_creation",)), _OF_CACHE_WRITES)
    if not counts.get("cache_write"):
        # LangChain splits Anthropic's cache writes by their lifetime and leaves their sum at zero.
        lifetimes = [to_count(input_parts[name]) for name in _EPHEMERAL if name in input_parts]
        if written := sum(filter(None, lifetimes)):
            counts["cache_write"] = written
            _take(counts, input_parts, _OF_CACHE_WRITES)
    if "input" in counts and any(name in blob for name in _GEMINI):
        # What tools brought in is sent to the model too, and is not in the prompt's count.
        counts["input"] += sum(to_count(blob.get(name)) or 0 for name in _GEMINI_TOOLS)
    return counts, _contract(blob, input_parts, counts, exclusive)


def _contract(
    blob: Mapping[str, Any], input_parts: Mapping[str, Any], counts: Counts, exclusive: bool | None
) -> Contract:
    if any(name in blob for name in _GEMINI):
        return Contract(False, True, frozenset({"cache_read", "reasoning"}))
    if "prompt_tokens" in blob or input_parts:
        return Contract(False, False)
    if exclusive is None and ("cache_read_input_tokens" in blob or "cacheReadInputTokens" in blob):
        exclusive = True
    if exclusive is None and "input_cached_tokens" in blob:
        # Langfuse's own names: its SDK takes the cached part out of `input`.
        exclusive = counts.get("total") != counts.get("input", 0) + counts.get("output", 0)
    return Contract(exclusive)


Keys = dict[str, tuple[str, int]]


def _keys(names: Mapping[str, tuple[str, ...]]) -> Keys:
    return {name: (field, order) for field, keys in names.items() for order, name in enumerate(keys)}


_OWN: Final = _keys(_NAMES)
_OF_INPUT: Final = _keys(_INPUT_PART_NAMES)
_OF_OUTPUT: Final = _keys(_OUTPUT_PART_NAMES)
_OF_CACHE_WRITES: Final = _keys({"cache_write_1h": ("ephemeral_1h_input_tokens", "ephemeral_1hr_input_tokens")})
_EPHEMERAL: Final = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "ephemeral_1hr_input_tokens")


def _take(counts: Counts, blob: Mapping[str, Any], keys: Keys) -> None:
    """Add the counts of `blob` for classes that are not there yet, the first name of each that has one."""
    orders: dict[str, int] = {}
    for name in keys.keys() & blob.keys():
        count = to_count(blob[name])
        if count is None:
            continue
        field, order = keys[name]
        if field not in counts or order < orders.get(field, -1):
            counts[field] = count
            orders[field] = order


def _first_mapping(blob: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        found = blob.get(name)
        if isinstance(found, Mapping):
            return found
    return {}
