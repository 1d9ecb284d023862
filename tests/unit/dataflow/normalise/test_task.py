"""What was asked of the model: tools, format, limit, attempt and version, and that unknown is not no."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.books import facts_of
from tests.support.calls import a_call
from tests.support.spans import call_of
from tokensense_otel.core.call import Call, Task
from tokensense_otel.dataflow.accounting.merge import complete
from tokensense_otel.dataflow.normalise.attribution import version_of

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 10}
OPENINFERENCE = "openinference.instrumentation.openai"


def test_a_call_of_which_nobody_tells_is_unknown_not_plain() -> None:
    """Without any attribute about tools, format, limit or attempts all of them are unknown."""
    call = call_of(CHAT)
    assert (call.task, call.used_tools, call.structured) == (0, None, None)
    assert (call.max_output, call.attempt, call.version) == (None, None, "")


@pytest.mark.parametrize(
    ("attributes", "used"),
    [
        ({"gen_ai.tool.definitions": '[{"name": "weather"}]'}, True),
        ({"llm.request.functions.0.name": "weather"}, True),
        ({"llm.tools.0.tool.json_schema": "{}"}, False),
        ({"llm.tools.0.tool.json_schema": '{"type": "function"}'}, True),
        ({"gen_ai.tool.definitions": "[]"}, False),
        ({"gen_ai.response.finish_reasons": ["tool_calls"]}, True),
        ({"gen_ai.response.finish_reasons": ["tool_use"]}, True),
        ({"gen_ai.response.finish_reasons": ["FinishReason.TOOL_CALLS"]}, True),
        ({"gen_ai.response.finish_reasons": ["stop"]}, None),
    ],
)
def test_tools_are_told_by_their_definitions_or_by_a_call_of_one(attributes: dict[str, Any], used: bool | None) -> None:
    """Definitions say yes, an empty list of them no, a finish for a tool yes; any other finish says nothing."""
    assert call_of(CHAT | attributes).used_tools is used


@pytest.mark.parametrize(
    "told", ["MAX_TOKENS", ["FinishReason.MAX_TOKENS"], "FinishReason.MAX_TOKENS", '["max_tokens"]']
)
def test_a_finish_reason_is_the_same_however_it_is_written(told: Any) -> None:
    """Capitals, lists, JSON and the name of the enumeration before it make no difference."""
    assert call_of(CHAT | {"gen_ai.response.finish_reasons": told}).finish_reason == "max_tokens"


@pytest.mark.parametrize(
    ("attributes", "structured"),
    [
        ({"gen_ai.output.type": "json"}, True),
        ({"gen_ai.output.type": "text"}, None),
        ({"gen_ai.openai.request.response_format": "json_schema"}, True),
        ({"gen_ai.request.structured_output_schema": '{"type": "object"}'}, True),
        ({"gen_ai.output.type": "image"}, None),
    ],
)
def test_a_format_is_told_by_its_name_or_schema(attributes: dict[str, Any], structured: bool | None) -> None:
    """JSON and schemas are structure; text is what emitters write for whatever they do not know, so it says nothing."""
    assert call_of(CHAT | attributes).structured is structured


def test_an_answer_that_is_no_text_says_so() -> None:
    """Speech and images have a flag of their own and are no structure."""
    assert call_of(CHAT | {"gen_ai.output.type": "speech"}).task == Task.OTHER_OUTPUT


@pytest.mark.parametrize(
    ("asked", "used", "structured", "limit"),
    [
        ('{"model": "gpt-4o"}', False, False, None),
        ('{"max_tokens": 100}', False, False, 100),
        ('{"max_completion_tokens": 7, "max_tokens": 9}', False, False, 7),
        ('{"response_format": {"type": "json_object"}}', False, True, None),
        ('{"response_format": {"type": "text"}}', False, False, None),
        ('{"text": {"format": {"type": "json_schema"}}}', False, True, None),
        ('{"tools": [{"name": "x"}], "max_output_tokens": 5}', True, False, 5),
        ('{"response_mime_type": "application/json"}', False, True, None),
        ('{"response_mime_type": "text/plain"}', False, False, None),
    ],
)
def test_parameters_of_a_request_tell_what_is_there_and_what_is_not(
    asked: str, used: bool, structured: bool, limit: int | None
) -> None:
    """OpenInference tells the whole request of an SDK, so that what is not in it was not asked for."""
    call = call_of({"openinference.span.kind": "LLM", "llm.invocation_parameters": asked}, scope=OPENINFERENCE)
    assert (call.used_tools, call.structured, call.max_output) == (used, structured, limit)


@pytest.mark.parametrize(
    ("value", "expected"), [(100, 100), ("100", 100), (0, 0), (-1, None), ("Infinity", None), (1.5, None)]
)
def test_a_limit_is_a_whole_number_or_unknown(value: Any, expected: int | None) -> None:
    """OpenLIT's -1 and Langfuse's Infinity are no limits."""
    assert call_of(CHAT | {"gen_ai.request.max_tokens": value}).max_output == expected


@pytest.mark.parametrize(
    ("attributes", "scope", "expected"),
    [
        ({"http.request.resend_count": 0}, "com.anthropic.sdk.python", 1),
        ({"http.request.resend_count": 2}, "com.anthropic.sdk.python", 3),
        ({"retry_attempts": 1}, "opentelemetry.instrumentation.botocore.bedrock-runtime", 2),
        ({"span.type": "llm_request", "attempt": 2}, "com.anthropic.claude_code.tracing", 2),
        ({"span.type": "llm_request", "attempt": 0}, "com.anthropic.claude_code.tracing", None),
        ({"attempt": 2}, "somebody", None),
    ],
)
def test_attempts_count_from_one_whatever_the_emitter_does(
    attributes: dict[str, Any], scope: str, expected: int | None
) -> None:
    """Resends begin at zero, Claude Code's attempts at one; anybody else's `attempt` may mean anything."""
    assert call_of(CHAT | attributes, scope=scope).attempt == expected


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"service.version": "1.4.2", "vcs.ref.head.revision": "abc"}, "1.4.2"),
        ({"vcs.ref.head.revision": "abc"}, "abc"),
        ({"faas.version": "$LATEST"}, ""),
        ({"faas.version": "7"}, "7"),
        ({"container.image.tags": ["v1", "stable"]}, "v1,stable"),
        ({"telemetry.sdk.version": "1.45"}, ""),
    ],
)
def test_a_version_is_of_the_service_or_its_deployment(resource: dict[str, Any], expected: str) -> None:
    """The service's version comes before what only tells its deployment; the SDK's own is neither."""
    assert version_of(resource) == expected


def test_real_emitters_tell_it() -> None:
    """In the captures Vercel's `generateObject` is structured, pydantic-ai's tools are known, and Claude Code has a
    version."""
    assert any(call.structured and call.dialect == "vercel-ai-legacy" for call in _calls_of("vercel_ai_5"))
    pydantic = [call for call in _calls_of("pydantic_ai") if call.dialect == "pydantic-ai"]
    assert {call.used_tools for call in pydantic} == {True, False}
    assert {call.structured for call in pydantic} == {False}
    assert {call.version for call in _calls_of("claude_code")} == {"2.1.197"}


def _calls_of(folder: str) -> list[Call]:
    return [facts.call for batch in facts_of(folder) for facts in batch if facts.call is not None]


def _reports() -> st.SearchStrategy[Call]:
    return st.builds(
        lambda task, limit, attempt, version: a_call(task=task, max_output=limit, attempt=attempt, version=version),
        st.integers(0, 63),
        st.sampled_from([None, 5]),
        st.sampled_from([None, 2]),
        st.sampled_from(["", "v1"]),
    )


@given(one=_reports(), other=_reports(), tokens=st.booleans())
def test_two_reports_tell_together_what_either_tells(one: Call, other: Call, tokens: bool) -> None:
    """Of two reports that agree as far as they go, the joined call has what either says, in either order."""
    both = complete(one, other, tokens=tokens)
    again = complete(other, one, tokens=tokens)
    for joined in (both, again):
        assert joined.task == one.task | other.task
        assert joined.max_output == (5 if 5 in (one.max_output, other.max_output) else None)
        assert joined.attempt == (2 if 2 in (one.attempt, other.attempt) else None)
        assert joined.version == ("v1" if "v1" in (one.version, other.version) else "")
