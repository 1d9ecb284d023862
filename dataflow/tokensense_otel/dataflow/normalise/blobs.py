"""Usage objects as providers and frameworks write them: one reader for every shape that instrumentations embed.

The shape tells the semantics: OpenAI's `prompt_tokens` includes the cache, Anthropic's and Bedrock's input excludes it,
Gemini's candidates exclude thoughts. Sources: the providers' API references; `reference/dialects.md` sections 2.5, 6.
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
_INPUT_PARTS: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details", "inputTokenDetails")
_OUTPUT_PARTS: Final = (
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
    "outputTokenDetails",
)
_GEMINI: Final = ("prompt_token_count", "promptTokenCount")


def read_usage(blob: Any, *, exclusive: bool | None = None) -> tuple[Counts, Contract]:
    """The counts of a usage object and what its shape says about them; no counts where it is none.

    `exclusive` is for a shape that does not tell, such as a framework's own with Anthropic's names.
    """
    counts: Counts = {}
    if not isinstance(blob, Mapping):
        return counts, Contract()
    for field, names in _NAMES.items():
        _take(counts, field, blob, names)
    input_parts = _first_mapping(blob, _INPUT_PARTS)
    output_parts = _first_mapping(blob, _OUTPUT_PARTS)
    _take(counts, "cache_read", input_parts, ("cached_tokens", "cache_read", "cacheReadTokens", "cached"))
    _take(counts, "cache_write", input_parts, ("cache_write_tokens", "cache_creation_tokens", "cache_creation"))
    _take(counts, "audio_input", input_parts, ("audio_tokens", "audio"))
    _take(counts, "image_input", input_parts, ("image_tokens", "image"))
    _take(counts, "reasoning", output_parts, ("reasoning_tokens", "reasoning", "reasoningTokens", "thinking_tokens"))
    _take(counts, "audio_output", output_parts, ("audio_tokens", "audio"))
    _take(counts, "cache_write_1h", _first_mapping(blob, ("cache_creation",)), ("ephemeral_1h_input_tokens",))
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


def _take(counts: Counts, field: str, blob: Mapping[str, Any], names: tuple[str, ...]) -> None:
    if field in counts:
        return
    for name in names:
        count = to_count(blob.get(name))
        if count is not None:
            counts[field] = count
            return


def _first_mapping(blob: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        found = blob.get(name)
        if isinstance(found, Mapping):
            return found
    return {}
