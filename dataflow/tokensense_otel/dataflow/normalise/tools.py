"""Tools that a model had called: their names, and their arguments as a salted hash, so that repeats can be told.

Two sorts of spans tell them: that of a tool's execution, and the call whose answer asked for it. JSON is hashed as
what it means, not as it is written, so that emitters agree on one execution where they agree on its arguments.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from tokensense_otel.dataflow.facts import ToolCall
from tokensense_otel.dataflow.normalise.attributes import Attributes, from_json, from_repr, to_text
from tokensense_otel.dataflow.normalise.prompt import keyed

MAX_CALLS: Final = 16
"""Tools of one answer that are told."""
_MAX_NAME: Final = 128
_MAX_CHARS: Final = 32_768
_MAX_DEPTH: Final = 12

_NAMES: Final = (
    "gen_ai.tool.name",
    "tool.name",
    "ai.toolCall.name",
    "traceloop.entity.name",
    "langfuse.observation.name",
)
_KINDS: Final = (
    *("gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind", "langsmith.span.kind"),
    *("mlflow.spanType", "langfuse.observation.type", "genkit:metadata:subtype"),
)
_TOOL_KINDS: Final = frozenset({"execute_tool", "tool", "tool_call"})
"""Retrievals, parsers and steps of a memory are no tools that a model had called."""
_ARGUMENTS: Final = (
    "gen_ai.tool.call.arguments",
    "gcp.vertex.agent.tool_call_args",
    "ai.toolCall.args",
    "tool_arguments",
    "traceloop.entity.input",
    "langfuse.observation.input",
    "mlflow.spanInputs",
    "genkit:input",
    "gen_ai.prompt",
    "input.value",
)
"""Attributes of a tool's span that hold its arguments, the best first. `tool.parameters` is a schema as often."""
_OPENAI: Final = ("tool_call", "function_call")
_GOOGLE: Final = ("functionCall", "function_call")
_FRAMEWORK: Final = (*_OPENAI, "tool_use", "functionCall")
_ANSWERS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("gen_ai.output.messages", ("tool_call",)),
    ("ai.response.toolCalls", ("toolName",)),
    ("gen_ai.completion", (*_FRAMEWORK, "toolRequest")),
    ("langfuse.observation.output", _FRAMEWORK),
    ("mlflow.spanOutputs", _FRAMEWORK),
    ("genkit:output", ("toolRequest",)),
    ("gcp.vertex.agent.llm_response", _GOOGLE),
    ("response_data", _FRAMEWORK),
    ("output.value", _FRAMEWORK),
)
"""Attributes of a call that hold its answer as JSON, the best first, each with what is in every one that asks for a
tool: nearly all do not, and need not be read."""
_SPREAD: Final = (
    (
        "llm.output_messages.0.message.tool_calls.{}.tool_call.function.name",
        "llm.output_messages.0.message.tool_calls.{}.tool_call.function.arguments",
    ),
    ("gen_ai.completion.0.tool_calls.{}.name", "gen_ai.completion.0.tool_calls.{}.arguments"),
)
"""Attributes over which an answer's tool calls are spread."""
_ASKS: Final = frozenset({"tool_call", "tool_use", "function_call"})

Answer = tuple[str, tuple[str, ...]]
Found = Iterator[tuple[str, Any]]


def answers_of(keys: Collection[str]) -> tuple[Answer, ...]:
    """Where a call with these attributes may tell tools: for `requested`."""
    spread = tuple((names, (arguments,)) for names, arguments in _SPREAD if names.format(0) in keys)
    return spread or tuple(answer for answer in _ANSWERS if answer[0] in keys)


def executed(attributes: Attributes, name: str, time_ns: int, salt: bytes) -> tuple[ToolCall, ...]:
    """What the span of a tool's execution tells; nothing where it keeps the arguments to itself, or is no tool."""
    if not any(to_text(attributes.get(key)).strip('"').lower() in _TOOL_KINDS for key in _KINDS) and (
        "ai.toolCall.name" not in attributes
    ):
        return ()
    for key in _ARGUMENTS:
        value = attributes.get(key)
        if value is not None and value != "":
            named = next(filter(None, (to_text(attributes.get(each)) for each in _NAMES)), name)
            return (ToolCall(named[:_MAX_NAME], _hash(salt, named, _plain(value)), time_ns),)
    return ()


def requested(
    attributes: Attributes, answers: Iterable[Answer], time_ns: int, salt: bytes, max_chars: int
) -> tuple[ToolCall, ...]:
    """The tools that the answer of a call asked for, each with the same arguments once."""
    for key, signs in answers:
        answer = attributes.get(key)
        if answer is None:
            return _told(_spread(attributes, key, signs[0]), time_ns, salt)
        if not isinstance(answer, str) or any(map(answer.__contains__, signs)):
            return _told(_asked_for(from_json(answer, max_chars), 0), time_ns, salt)
    return ()


def _told(found: Found, time_ns: int, salt: bytes) -> tuple[ToolCall, ...]:
    calls: dict[tuple[str, str], ToolCall] = {}
    for name, value in found:
        hashed = _hash(salt, name, _plain(value))
        calls[name, hashed] = ToolCall(name[:_MAX_NAME], hashed, time_ns)
        if len(calls) == MAX_CALLS:
            break
    return tuple(calls.values())


def _spread(attributes: Attributes, names: str, arguments: str) -> Found:
    for number in range(MAX_CALLS):
        name = to_text(attributes.get(names.format(number)))
        if not name:
            return
        value = attributes.get(arguments.format(number))
        if value is not None:
            yield name, value


def _asked_for(value: Any, depth: int) -> Found:
    """Name and arguments of every request for a tool, in the shapes of OpenAI, Anthropic, Google and frameworks."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            yield from _asked_for(item, depth + 1)
    elif isinstance(value, Mapping):
        asked = _request(value)
        if asked is not None:
            yield asked
            return
        for item in value.values():
            if isinstance(item, list | dict):
                yield from _asked_for(item, depth + 1)


def _request(value: Mapping[str, Any]) -> tuple[str, Any] | None:
    name = value.get("name") or value.get("toolName")
    function = value.get("function")
    if isinstance(function, Mapping):
        name, value = function.get("name"), function
    elif value.get("type") in _ASKS or "toolName" in value or (name and "args" in value):
        pass
    elif isinstance(value.get("functionCall") or value.get("function_call") or value.get("toolRequest"), Mapping):
        value = value.get("functionCall") or value.get("function_call") or value["toolRequest"]
        name = value.get("name")
    else:
        return None
    arguments = next((value[key] for key in ("arguments", "args", "input") if value.get(key) is not None), None)
    return (name, arguments) if isinstance(name, str) and name and arguments is not None else None


def _plain(value: Any) -> Any:
    """Arguments as what they mean. OpenLLMetry puts LangChain's beside the step of the graph, which always differs."""
    read = from_json(value, _MAX_CHARS)
    if isinstance(read, Mapping) and "input_str" in read:
        value = read["input_str"]
        read = from_json(value, _MAX_CHARS)
    if read is None and isinstance(value, str):
        read = from_repr(value)
    return value if read is None else read


def _hash(salt: bytes, name: str, arguments: Any) -> str:
    """16 hexadecimal digits."""
    digest = keyed(salt).copy()
    digest.update(name.encode("utf-8", "replace") + b"\x1f")
    try:
        digest.update(orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS))
    except TypeError:
        digest.update(repr(arguments).encode("utf-8", "replace"))
    return digest.digest()[:8].hex()
