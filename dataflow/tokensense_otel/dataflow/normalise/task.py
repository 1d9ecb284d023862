"""What was asked of the model, beside the prompt: tools, a structure for the answer, a limit; and which attempt it was.

Where nobody tells, nothing is known: an attribute that is missing says no only beside one that shows that the emitter
would have told it (`Dialect.tells_tools`, `tells_format`).
"""

from collections.abc import Mapping
from typing import Any, Final

from tokensense_otel.core.call import Task
from tokensense_otel.dataflow.normalise.attributes import Attributes, to_count
from tokensense_otel.dataflow.normalise.dialects import Dialect

TOOL_CALLED: Final = frozenset({"tool_calls", "tool_use", "tool-calls", "tool_call", "function_call"})
"""Finish reasons of OpenAI, Anthropic, the AI SDK, the conventions and OpenAI's first function calls."""
_NOTHING: Final[tuple[Any, ...]] = ("", "[]", "{}", "null", "None", [], {})
_PLAIN: Final = frozenset({"text", "text/plain", "str", "auto"})
_OTHER: Final = frozenset({"image", "speech", "audio", "video"})
_OFFERED, _TOOLS_CALLED, _STRUCTURED = Task.TOOLS_OFFERED, Task.TOOLS_CALLED, Task.STRUCTURED
_OTHER_OUTPUT, _TOOLS_TOLD, _FORMAT_TOLD = Task.OTHER_OUTPUT, Task.TOOLS_TOLD, Task.FORMAT_TOLD


def task_of(found: Mapping[str, Any], finish_reason: str, dialect: Dialect, attributes: Attributes) -> int:
    """The flags of `Task` for the canonical fields of a call."""
    task = _TOOLS_CALLED if finish_reason in TOOL_CALLED else 0
    if "tools" in found:
        task |= _TOOLS_TOLD if found["tools"] in _NOTHING else _OFFERED | _TOOLS_TOLD
    elif dialect.tells_tools and dialect.tells_tools in attributes:
        task |= _TOOLS_TOLD
    if "format" in found:
        task |= _format(found["format"])
    if dialect.tells_format and dialect.tells_format in attributes:
        task |= _FORMAT_TOLD
    return task


def _format(value: Any) -> int:
    """Of the kind or the schema of an answer. Emitters write `text` for whatever they do not know."""
    if isinstance(value, Mapping):
        value = value.get("type") or "schema"
    kind = str(value).strip().lower()
    if kind in _OTHER:
        return _OTHER_OUTPUT
    return 0 if kind in _PLAIN or '"type": "text"' in kind or '"type":"text"' in kind else _STRUCTURED


def asked_fields(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical fields of a request, or of its parameters, as the APIs of OpenAI, Anthropic and Google name them."""
    fields: dict[str, Any] = {}
    for name in _LIMITS:
        if asked.get(name) is not None:
            fields["max_output"] = asked[name]
            break
    if "tools" in asked and (asked["tools"] or "tool_choice" in asked):
        fields["tools"] = asked["tools"] or []
    text = asked.get("text")
    wanted = text.get("format") if isinstance(text, Mapping) else None
    for name in _FORMATS:
        wanted = wanted or asked.get(name)
    if wanted:
        fields["format"] = wanted
    return fields


_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens", "maxOutputTokens")
_FORMATS: Final = (
    "response_format",
    "response_schema",
    "response_json_schema",
    "response_mime_type",
    "responseMimeType",
)


def attempt_of(found: Mapping[str, Any]) -> int | None:
    """Which attempt it was, from 1; the two fields differ in where they begin."""
    attempt = to_count(found.get("attempt"))
    if attempt is not None:
        return attempt or None
    resends = to_count(found.get("resends"))
    return None if resends is None else resends + 1
