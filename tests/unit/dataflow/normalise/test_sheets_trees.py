"""Trees of spans that several emitters, or one, make of a request: each call once, with the tokens of its call."""

from typing import Final

import pytest

from tests.unit.dataflow.normalise.test_sheets import Span, calls_of

Tree = tuple[tuple[int, str, str, str], ...]

TREES: Final[list[tuple[str, int, Tree]]] = [
    (
        "a span that only fetches a response", 0,
        (
            (0, "app", "fetch_response", "op=fetch_response asked=gpt-4o id=r in=100 out=10"),
        ),
    ),
    (
        "CrewAI under OpenLLMetry: its agent sums up, its LLM span tells of the SDK's call", 1,
        (
            (0, "opentelemetry.instrumentation.crewai", "crewai.workflow", "traceloop.span.kind=workflow"),
            (1, "opentelemetry.instrumentation.crewai", "helper.agent",
             "traceloop.span.kind=agent op=invoke_agent asked=gpt-4o in=5000 out=500"),
            (2, "opentelemetry.instrumentation.crewai", "gpt-4o.llm", "request=chat asked=gpt-4o"),
            (3, "opentelemetry.instrumentation.openai.v1", "openai.chat", "op=chat asked=gpt-4o id=c1 in=100 out=10"),
        ),
    ),
    (
        "a guardrail around its judge's call", 1,
        (
            (0, "g", "guard", "oi=GUARDRAIL oi_model=gpt-4o oi_in=100 oi_out=10"),
            (1, "openinference.instrumentation.openai", "ChatCompletion",
             "oi=LLM oi_model=gpt-4o oi_in=100 oi_out=10"),
        ),
    ),
    (
        "a chain that OpenInference writes in both conventions", 1,
        (
            (0, "openinference.instrumentation.langchain", "chain", "oi=CHAIN in=100 out=10"),
            (1, "openinference.instrumentation.langchain", "ChatOpenAI",
             "oi=LLM oi_model=gpt-4o oi_in=100 oi_out=10 op=chat in=100 out=10"),
        ),
    ),
    (
        "an OpenInference agent whose total is another", 1,
        (
            (0, "openinference.instrumentation.agno", "Agent.run", "oi=AGENT oi_in=999"),
            (1, "openinference.instrumentation.agno", "OpenAIChat.invoke",
             "oi=LLM oi_model=gpt-4o oi_in=100 oi_out=10"),
        ),
    ),
    (
        "pydantic-ai 1, whose agent has the very names of its calls", 1,
        (
            (0, "pydantic-ai", "agent run", "model_name=gpt-4o in=100 out=10"),
            (1, "pydantic-ai", "chat gpt-4o", "op=chat asked=gpt-4o in=100 out=10"),
        ),
    ),
    (
        "the LiteLLM proxy, of a release without operations", 1,
        (
            (0, "litellm", "Received Proxy Server Request", ""),
            (1, "litellm", "litellm_request", "asked=gpt-4o hidden_params={} in=100 out=10"),
            (2, "litellm", "raw_gen_ai_request", "llm.azure.usage={'prompt_tokens':100,'completion_tokens':10}"),
        ),
    ),
    (
        "ADK over LiteLLM over an SDK", 1,
        (
            (0, "gcp.vertex.agent", "call_llm", "system=gcp.vertex.agent asked=openai/gpt-4o in=100 out=10"),
            (1, "litellm", "litellm_request", "asked=gpt-4o id=c1 in=100 out=10"),
            (2, "opentelemetry.instrumentation.openai.v1", "openai.chat", "op=chat asked=gpt-4o id=c1 in=100 out=10"),
        ),
    ),
    (
        "a run of Azure's agents that is polled, within one span", 1,
        (
            (0, "azure.ai.agents", "process_thread_run",
             ("system=az.ai.agents gen_ai.thread.run.id=run_1 answered=gpt-4o in=100 out=10 "
              "op=process_thread_run")),
            (1, "azure.ai.agents", "get_thread_run",
             "system=az.ai.agents gen_ai.thread.run.id=run_1 answered=gpt-4o in=100 out=10 op=get_thread_run"),
            (1, "azure.ai.agents", "get_thread_run",
             "system=az.ai.agents gen_ai.thread.run.id=run_1 answered=gpt-4o in=100 out=10 op=get_thread_run"),
            (1, "azure.ai.agents", "get_thread_run",
             "system=az.ai.agents gen_ai.thread.run.id=run_1 answered=gpt-4o in=100 out=10 op=get_thread_run"),
        ),
    ),
    (
        "two runs of Azure's agents", 2,
        (
            (0, "azure.ai.agents", "get_thread_run",
             "system=az.ai.agents gen_ai.thread.run.id=run_1 answered=gpt-4o in=100 out=10 op=get_thread_run"),
            (0, "azure.ai.agents", "get_thread_run",
             "system=az.ai.agents gen_ai.thread.run.id=run_2 answered=gpt-4o in=100 out=10 op=get_thread_run"),
        ),
    ),
    (
        "LiveKit's node and request", 1,
        (
            (0, "livekit-agents", "llm_node", "op=chat asked=gpt-4o"),
            (1, "livekit-agents", "llm_request", "op=chat asked=gpt-4o in=100 out=10"),
        ),
    ),
    (
        "an embedding within a retriever", 1,
        (
            (0, "openinference.instrumentation.x", "retrieve", "oi=RETRIEVER"),
            (1, "openinference.instrumentation.x", "embed",
             "oi=EMBEDDING embedding.model_name=text-embedding-3-small oi_in=100"),
        ),
    ),
    (
        "a tool that repeats the usage of the agent in it", 1,
        (
            (0, "app", "execute_tool ask", "op=execute_tool in=100 out=10"),
            (1, "app", "chat gpt-4o", "op=chat asked=gpt-4o in=100 out=10"),
        ),
    ),
    (
        "a tool with usage of its own", 0,
        (
            (0, "app", "execute_tool ask", "op=execute_tool asked=gpt-4o in=100 out=10"),
        ),
    ),
    (
        "LangSmith's prompt and retriever, which it calls chat and embeddings", 0,
        (
            (0, "langsmith", "p", "op=chat langsmith.span.kind=prompt"),
            (0, "langsmith", "r", "op=embeddings langsmith.span.kind=retriever"),
        ),
    ),
    (
        "a retry that succeeds: two requests", 2,
        (
            (0, "openlit.otel.tracing", "chat gpt-4o", "op=chat asked=gpt-4o error.type=RateLimitError"),
            (0, "openlit.otel.tracing", "chat gpt-4o", "op=chat asked=gpt-4o id=c1 in=100 out=10"),
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("calls", "spans"), [row[1:] for row in TREES], ids=[row[0] for row in TREES])
def test_a_tree_comes_to_its_calls(calls: int, spans: Tree) -> None:
    """Spans that tell of one call, whatever their emitters call them, count it once, with 100 tokens in."""
    found = calls_of(*(Span(*span) for span in spans))
    assert len(found) == calls
    assert [call.tokens.input for call in found if not call.failed] == [100] * sum(not call.failed for call in found)
