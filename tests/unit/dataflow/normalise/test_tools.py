"""Tools as evidence: who tells them, that one execution has one hash, and that no text is left."""

from typing import Any

import msgspec
import pytest

from tests.support.books import facts_of
from tests.support.spans import a_request, an_otlp_span, normalised
from tokensense_otel.dataflow.facts import ToolCall
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.normalise.tools import MAX_CALLS

TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 10}
PARIS = '{"city": "Paris"}'


def _tools(attributes: dict[str, Any], **span: Any) -> tuple[ToolCall, ...]:
    (facts,) = normalised(an_otlp_span(attributes, **span))
    return facts.tools


def _one(attributes: dict[str, Any]) -> ToolCall:
    (tool,) = _tools(attributes)
    return tool


@pytest.mark.parametrize(
    "attributes",
    [
        TOOL | {"gen_ai.tool.call.arguments": PARIS},
        TOOL | {"gen_ai.tool.call.arguments": {"city": "Paris"}},
        TOOL | {"gen_ai.tool.call.arguments": "{'city': 'Paris'}"},
        TOOL | {"gen_ai.tool.call.arguments": '{"input_str": "{\'city\': \'Paris\'}", "metadata": {"step": 7}}'},
        TOOL | {"gcp.vertex.agent.tool_call_args": PARIS},
        {"openinference.span.kind": "TOOL", "tool.name": "weather", "input.value": PARIS},
        {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "weather", "ai.toolCall.args": PARIS},
        CHAT
        | {
            "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "tool_call", "name": "weather", '
            '"arguments": {"city": "Paris"}}]}]'
        },
        CHAT
        | {
            "gen_ai.completion.0.tool_calls.0.name": "weather",
            "gen_ai.completion.0.tool_calls.0.arguments": PARIS,
        },
        CHAT
        | {
            "gen_ai.completion": '{"choices": [{"message": {"tool_calls": [{"type": "function", "function": '
            '{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}}]}}]}'
        },
        CHAT
        | {"gen_ai.completion": '{"content": [{"type": "tool_use", "name": "weather", "input": {"city": "Paris"}}]}'},
        CHAT | {"gen_ai.completion": '{"parts": [{"functionCall": {"name": "weather", "args": {"city": "Paris"}}}]}'},
        CHAT | {"gen_ai.completion": '{"content": [{"toolRequest": {"name": "weather", "input": {"city": "Paris"}}}]}'},
        CHAT | {"ai.response.toolCalls": '[{"toolName": "weather", "input": "{\\"city\\":\\"Paris\\"}"}]'},
    ],
)
def test_one_use_of_a_tool_has_one_hash_whoever_tells_it(attributes: dict[str, Any]) -> None:
    """JSON, its text, Python's spelling and every dialect's place for it come to the same name and hash."""
    told = _one(attributes)
    assert (told.name, told.args_hash) == ("weather", _one(TOOL | {"gen_ai.tool.call.arguments": PARIS}).args_hash)


def test_other_arguments_another_tool_and_another_salt_have_other_hashes() -> None:
    """The hash is of the name and of all arguments, under the install's salt."""
    paris = _one(TOOL | {"gen_ai.tool.call.arguments": PARIS})
    rome = _one(TOOL | {"gen_ai.tool.call.arguments": '{"city": "Rome"}'})
    trains = _one(TOOL | {"gen_ai.tool.name": "trains", "gen_ai.tool.call.arguments": PARIS})
    other = Normaliser(NormaliseConfig(), b"pepper")
    request = a_request(an_otlp_span(TOOL | {"gen_ai.tool.call.arguments": PARIS}))
    (salted,), _ = other.spans(request, tenant="default", project="")
    hashes = {paris.args_hash, rome.args_hash, trains.args_hash, salted.tools[0].args_hash}
    assert len(hashes) == 4


@pytest.mark.parametrize(
    "attributes",
    [
        TOOL,
        CHAT,
        {"gen_ai.operation.name": "retrieval", "input.value": "query"},
        {"openinference.span.kind": "RETRIEVER", "input.value": "query"},
        CHAT | {"gen_ai.output.messages": '[{"parts": [{"type": "text", "content": "\\"tool_call\\""}]}]'},
        CHAT | {"gen_ai.output.messages": '[{"parts": [{"type": "tool_call", "name": "weather"}]}]'},
        CHAT | {"gen_ai.output.messages": "tool_call, but cut of"},
        CHAT | {"gen_ai.input.messages": '[{"parts": [{"type": "tool_call", "name": "weather", "arguments": {}}]}]'},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.output.messages": '[{"type": "tool_call", "name": "x"}]'},
    ],
)
def test_nothing_is_told_without_arguments_or_of_what_is_no_use_of_a_tool(attributes: dict[str, Any]) -> None:
    """No arguments, no evidence; a retrieval is no tool, and what a prompt repeats was asked for before."""
    assert _tools(attributes) == ()


def test_an_answer_tells_each_of_its_requests_once() -> None:
    """LangChain writes a request in several places of one answer; two requests that differ are two."""
    part = '{"type": "tool_call", "name": "weather", "args": {"city": "%s"}}'
    answer = f'{{"tool_calls": [{part % "Paris"}, {part % "Rome"}], "content": [{part % "Paris"}]}}'
    assert len(_tools(CHAT | {"gen_ai.completion": answer})) == 2


def test_an_answer_tells_so_many_requests_at_most() -> None:
    """The evidence of one span is bounded."""
    parts = [f'{{"type": "tool_call", "name": "t{n}", "arguments": {{}}}}' for n in range(MAX_CALLS + 1)]
    assert len(_tools(CHAT | {"gen_ai.completion": f"[{', '.join(parts)}]"})) == MAX_CALLS


def test_no_text_of_arguments_is_kept() -> None:
    """Neither facts nor their encoding have what the arguments said."""
    (facts,) = normalised(an_otlp_span(TOOL | {"gen_ai.tool.call.arguments": '{"note": "very-secret"}'}))
    assert facts.tools
    assert b"very-secret" not in msgspec.msgpack.encode(facts)


def test_an_install_that_hashes_nothing_tells_no_tools() -> None:
    """Whoever turned hashes of content off has none of arguments either."""
    normaliser = Normaliser(NormaliseConfig(hash_prompts=False), b"salt")
    request = a_request(an_otlp_span(TOOL | {"gen_ai.tool.call.arguments": PARIS}))
    (facts,), _ = normaliser.spans(request, tenant="default", project="")
    assert facts.tools == ()


@pytest.mark.parametrize("folder", ["langchain_openlit_traceloop", "openai_agents_both", "langsmith_openinference"])
def test_real_instrumentations_agree_on_one_execution(folder: str) -> None:
    """Where two of them export one execution, both have the same name and hash."""
    told: dict[tuple[str, str], set[str]] = {}
    for batch in facts_of(folder):
        for facts in batch:
            for tool in facts.tools:
                told.setdefault((tool.name, tool.args_hash), set()).add(facts.origin.scope if facts.origin else "")
    assert max(map(len, told.values())) >= 2
