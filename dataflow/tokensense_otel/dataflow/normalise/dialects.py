"""The dialects: who emits, how it is recognised, and what its token counts mean.

A new dialect is one entry here and at most one small reader in `details`. Shape decides, not version: one release of a
library can emit two formats. What an entry says was read in the emitter's own code of 2026 (for OpenLLMetry the
repository traceloop/openllmetry, for OpenInference Arize-ai/openinference, and so on) or seen in its exports.
"""

from dataclasses import dataclass, field
from typing import Final

CACHE: Final = frozenset({"cache_read", "cache_write"})
ALL: Final = frozenset({"cache_read", "cache_write", "reasoning"})
NONE: Final[frozenset[str]] = frozenset()
ANY: Final = frozenset({"*"})
"""Every provider."""
GOOGLE: Final = frozenset({"gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai"})
BEDROCK: Final = frozenset({"aws.bedrock"})
ANTHROPIC: Final = frozenset({"anthropic"})
ANTHROPIC_AND_BEDROCK: Final = frozenset({"anthropic", "aws.bedrock"})

NO_CACHE_WRITES: Final = GOOGLE | {
    "openai",
    "azure.ai.openai",
    "deepseek",
    "groq",
    "mistral_ai",
    "perplexity",
    "x_ai",
}
"""Providers whose caches fill by themselves and bill no tokens for it, so that a count nobody reports is zero."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One emitter's contract.

    `scopes` are instrumentation scopes (a `*` at the end stands for any rest), `markers` attributes that tell it where
    the scope does not. `reports` are the token classes that it leaves out only when they are zero, provided that the
    attribute `reports_if` is there (where given) and, for `lost_on_stream`, that the call was no stream. `exclusive`
    and `apart` are the providers for which its input excludes cached tokens and its output excludes reasoning.
    """

    name: str
    scopes: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    reports: frozenset[str] = NONE
    reports_if: str = ""
    lost_on_stream: frozenset[str] = NONE
    """Classes that it may lose of a stream; where it then says zero, the call gets a note."""
    estimates: bool = False
    """It counts tokens itself where a stream told none; then it writes no details, and the call gets a note."""
    exclusive: frozenset[str] = NONE
    exclusive_unless: str = ""
    """An attribute whose presence says that input includes cached tokens after all."""
    inclusive: bool = True
    """Whether the contract says that input includes cached tokens where `exclusive` does not say otherwise."""
    varies: frozenset[str] = NONE
    """Providers for which its releases differ, so that only a total or what is impossible can tell."""
    apart: frozenset[str] = NONE
    overcounts: frozenset[str] = NONE
    """Providers of whose streams its output is too high: it adds up counts that already include each other."""
    native: bool = False
    """The provider's own SDK: the best witness of its calls."""
    cumulative: bool = False
    """Its wrappers report totals over their lifetime, which must never stand in for calls."""
    ttft_ms: bool = False
    """Its `gen_ai.server.time_to_first_token` is in milliseconds, not seconds."""
    more: dict[str, str] = field(default_factory=dict)
    """Attribute keys that mean a canonical field in this dialect only."""
    identity: str = ""
    """The attribute by which every signal names a call, where that is not the response id that some of them have."""
    records_first: bool = False
    """Its log records are complete, its spans are not: of two reports of one call the record counts."""
    tells_tools: str = ""
    """An attribute beside which the tools that the model was offered would be told too."""
    tells_format: str = ""
    """Likewise the structure that the answer had to have; only beside `tells_tools`."""
    lends_model: str = ""
    """The name of its spans around calls that name the model which the usage beneath them does not."""
    loses_thoughts: bool = False
    """Only its log records tell reasoning: its spans count the answer alone."""
    polls: bool = False
    """It reads a run until that is done, and each of its spans about the run repeats the usage, at any time."""
    listens: bool = False
    """It hears of calls from a framework's own tracing: two that listen each keep a trace of their own, and one may not
    hear of the usage."""
    details: str = ""
    """The reader in `details` for what hides in its JSON or `repr` strings."""


FALLBACK: Final = Dialect("otel-genai", inclusive=False)
"""Any emitter that nobody knows: the conventions' rules, checked against totals and against what is possible."""

DIALECTS: Final = (
    Dialect("anthropic-sdk", ("com.anthropic.sdk.*",), reports=ALL, native=True),
    Dialect("otel-openai-v2", ("opentelemetry.instrumentation.openai_v2",), reports=ALL, reports_if="openai.api.type"),
    Dialect(
        "otel-google-genai",
        ("opentelemetry.instrumentation.google_genai",),
        reports=ALL,
        reports_if="gen_ai.provider.name",
    ),
    Dialect(
        "otel-util-genai",
        ("opentelemetry.instrumentation.genai.*", "opentelemetry.util.genai.*"),
        reports=ALL,
    ),
    Dialect(
        "otel-botocore-bedrock",
        ("opentelemetry.instrumentation.botocore", "opentelemetry.instrumentation.botocore.*"),
        exclusive=ANY,
    ),
    Dialect("otel-openai-agents", ("opentelemetry.instrumentation.openai_agents",), listens=True),
    Dialect(
        "openinference-openai-agents",
        ("openinference.instrumentation.openai_agents",),
        varies=BEDROCK,
        listens=True,
        details="provider_output",
    ),
    Dialect(
        "strands",
        ("strands.telemetry.tracer", "opentelemetry.instrumentation.strands", "strands-agents"),
        reports=CACHE,
        reports_if="gen_ai.server.time_to_first_token",
        inclusive=False,
        cumulative=True,
        ttft_ms=True,
    ),
    Dialect(
        "openinference-langchain",
        ("openinference.instrumentation.langchain",),
        varies=BEDROCK,
        tells_tools="llm.invocation_parameters",
        details="langchain_output",
    ),
    Dialect(
        "openinference-smolagents",
        ("openinference.instrumentation.smolagents", "openinference.instrumentation.crewai"),
        cumulative=True,
        details="provider_output",
    ),
    # It passes on what the provider says.
    Dialect(
        "openinference-agno",
        ("openinference.instrumentation.agno",),
        exclusive=ANTHROPIC,
        varies=BEDROCK,
        details="provider_output",
    ),
    Dialect("openinference-claude-agent-sdk", ("openinference.instrumentation.claude_agent_sdk",), inclusive=False),
    Dialect("openinference-js", ("@arizeai/openinference-*",), varies=BEDROCK, details="provider_output"),
    Dialect(
        "openinference",
        tuple(f"openinference.instrumentation.{name}" for name in (
            "openai", "anthropic", "google_genai", "vertexai", "litellm", "llama_index",
        )),
        reports=ALL,
        varies=BEDROCK,
        tells_tools="llm.invocation_parameters",
        tells_format="llm.invocation_parameters",
        details="provider_output",
    ),
    # Its instrumentations of frameworks pass on what these let through, often without any details.
    Dialect(
        "openinference-partial",
        ("openinference.instrumentation.*",),
        ("openinference.span.kind",),
        varies=BEDROCK,
        details="provider_output",
    ),
    Dialect(
        "openlit",
        ("openlit", "openlit.*"),
        reports=CACHE,
        lost_on_stream=CACHE,
        estimates=True,
        exclusive=ANTHROPIC_AND_BEDROCK,
        apart=GOOGLE,
    ),
    # A crew's workflow has its model's running total.
    Dialect("openlit-crewai", ("openlit.instrumentation.crewai",), cumulative=True),
    Dialect(
        "vercel-ai-legacy",
        ("ai",),
        ("ai.operationId",),
        reports=ALL,
        reports_if="ai.usage.inputTokenDetails.noCacheTokens",
        exclusive=ANTHROPIC_AND_BEDROCK,
        exclusive_unless="ai.usage.inputTokenDetails.noCacheTokens",
        tells_tools="ai.prompt.messages",
        tells_format="ai.operationId",
        details="vercel",
    ),
    Dialect("vercel-ai-v7", ("gen_ai",), ("ai.settings.context",)),
    Dialect(
        "pydantic-ai",
        ("pydantic-ai",),
        ("pydantic_ai.all_messages", "model_request_parameters"),
        reports=CACHE,
        tells_tools="model_request_parameters",
        tells_format="model_request_parameters",
        details="pydantic_ai",
    ),
    Dialect("logfire", ("logfire", "logfire.*"), ("response_data",), tells_tools="request_data", details="logfire"),
    Dialect("litellm", ("litellm", "litellm.*"), ("metadata.usage_object", "hidden_params"), details="litellm"),
    Dialect("langsmith", ("langsmith",), ("langsmith.span.kind",), details="langsmith"),
    Dialect("langfuse-sdk", ("langfuse-sdk",), ("langfuse.observation.type",), details="langfuse"),
    Dialect("google-adk", ("gcp.vertex.agent",), ("gcp.vertex.agent.invocation_id",), details="adk_response"),
    Dialect("ms-agent-framework", ("agent_framework", "agent_framework.*"), inclusive=False),
    Dialect("semantic-kernel", ("semantic_kernel.*", "Microsoft.SemanticKernel*")),
    Dialect(
        "azure-ai",
        ("azure.ai.*", "azure.core.tracing*"),
        ("az.namespace",),
        polls=True,
        more={"gen_ai.thread.run.id": "response_id"},
    ),
    Dialect(
        "mlflow",
        ("mlflow", "mlflow.*"),
        ("mlflow.spanType",),
        inclusive=False,
        tells_tools="mlflow.spanInputs",
        details="mlflow",
    ),
    Dialect(
        "genkit",
        ("genkit-tracer", "genkit"),
        ("genkit:metadata:subtype", "genkit:type"),
        tells_tools="genkit:input",
        tells_format="genkit:input",
        details="genkit",
    ),
    Dialect(
        "claude-code",
        ("com.anthropic.claude_code*",),
        exclusive=ANY,
        identity="request_id",
        records_first=True,
        more={
            "model": "request_model",
            "input_tokens": "input",
            "output_tokens": "output",
            "cache_read_tokens": "cache_read",
            "cache_creation_tokens": "cache_write",
            "ttft_ms": "ttft_ms",
            "stop_reason": "finish",
            "cost_usd": "cost",
            "attempt": "attempt",
        },
    ),
    Dialect(
        "codex-cli",
        ("codex*",),
        records_first=True,
        lends_model="try_run_sampling_request",
        more={
            "model": "request_model",
            "input_token_count": "input",
            "output_token_count": "output",
            "cached_token_count": "cache_read",
            "cache_write_token_count": "cache_write",
            "reasoning_token_count": "reasoning",
            "attempt": "resends",
        },
    ),
    Dialect("openclaw", ("openclaw*",), inclusive=False),
    Dialect("copilot", ("copilot-chat", "github.copilot*"), reports=ALL, cumulative=True),
    Dialect(
        "gemini-cli",
        ("gemini-cli",),
        apart=GOOGLE,
        records_first=True,
        loses_thoughts=True,
        more={
            "model": "request_model",
            "input_token_count": "input",
            "output_token_count": "output",
            "cached_content_token_count": "cache_read",
            "thoughts_token_count": "reasoning",
            "total_token_count": "total",
        },
    ),
    Dialect(
        "ddtrace-genai",
        ("ddtrace", "ddtrace.*"),
        ("_dd.llmobs.span_kind", "_dd.llmobs.artificial_gen_ai_tags"),
        inclusive=False,
        details="ddtrace",
    ),
    Dialect("weave", ("weave", "weave.*"), ("weave.operation.name",)),
    # Its total leaves the cached tokens out as its input does, so it proves nothing.
    Dialect("openllmetry-js-anthropic", ("@traceloop/instrumentation-anthropic",), exclusive=ANY),
    Dialect("openllmetry-js", ("@traceloop/*",), exclusive=BEDROCK, inclusive=False),
    # It tells of an agent's runs only, each with its own usage.
    Dialect("openllmetry-agno", ("opentelemetry.instrumentation.agno",), exclusive=ANTHROPIC_AND_BEDROCK),
    # What frameworks and Bedrock let through is less: nothing may be concluded from what these leave out.
    Dialect(
        "openllmetry-partial",
        tuple(f"opentelemetry.instrumentation.{name}" for name in (
            "bedrock", "langchain", "llamaindex", "haystack", "crewai", "transformers", "sagemaker", "litellm",
        )),
        exclusive=BEDROCK,
        cumulative=True,
    ),
    # Its scopes are those of the official contrib packages, so it comes after them.
    Dialect(
        "openllmetry",
        ("traceloop.tracer", *(f"opentelemetry.instrumentation.{name}" for name in (
            "openai", "openai.*", "anthropic", "anthropic.*", "google_generativeai", "google_generativeai.*",
            "vertexai", "cohere", "mistralai", "ollama", "replicate", "together", "groq", "watsonx", "alephalpha",
            "writer", "voyageai",
        ))),
        ("traceloop.span.kind", "traceloop.entity.name", "llm.request.type"),
        reports=ALL,
        # Releases that wrote `gen_ai.usage.prompt_tokens` had no details, or named them.
        reports_if="gen_ai.usage.input_tokens",
        lost_on_stream=frozenset({"reasoning"}),
        exclusive=BEDROCK,
        apart=GOOGLE,
        overcounts=ANTHROPIC,
        cumulative=True,
    ),
)  # fmt: skip

_BY_NAME: Final = {dialect.name: dialect for dialect in (*DIALECTS, FALLBACK)}
_EXACT: Final = {scope: dialect for dialect in reversed(DIALECTS) for scope in dialect.scopes if scope[-1] != "*"}
_PREFIXES: Final = tuple(
    (scope[:-1], dialect) for dialect in DIALECTS for scope in dialect.scopes if scope.endswith("*")
)
_MARKED: Final = tuple((marker, dialect) for dialect in DIALECTS for marker in dialect.markers)
MARKERS: Final = frozenset(marker for marker, _ in _MARKED)


def dialect_of_scope(scope: str) -> Dialect | None:
    """The dialect of an instrumentation scope; `None` where the scope tells nothing."""
    found = _EXACT.get(scope)
    if found is not None:
        return found
    return next((dialect for prefix, dialect in _PREFIXES if scope.startswith(prefix)), None)


def dialect_of_markers(attributes: dict[str, object]) -> Dialect:
    """The dialect that a span's attributes give away; the conventions' own where none does."""
    if not MARKERS.isdisjoint(attributes):
        for marker, dialect in _MARKED:
            if marker in attributes:
                return dialect
    return FALLBACK


def overcounts_stream(name: str, provider: str) -> bool:
    """Whether the dialect of that name says too much output for the provider's streams."""
    dialect = _BY_NAME.get(name)
    return dialect is not None and provider in dialect.overcounts


def lost_on_stream(name: str) -> frozenset[str]:
    """The token classes of which the dialect of that name may say zero of a stream where it does not know."""
    dialect = _BY_NAME.get(name)
    return NONE if dialect is None else dialect.lost_on_stream


def polls(name: str) -> bool:
    """Whether the dialect of that name tells of one run again and again."""
    dialect = _BY_NAME.get(name)
    return dialect is not None and dialect.polls


def listens(name: str) -> bool:
    """Whether the dialect of that name hears of calls from a framework's own tracing."""
    dialect = _BY_NAME.get(name)
    return dialect is not None and dialect.listens


def records_first(name: str) -> bool:
    """Whether the log records of the dialect of that name are better witnesses than spans."""
    dialect = _BY_NAME.get(name)
    return dialect is not None and dialect.records_first


def loses_thoughts(name: str) -> bool:
    """Whether the spans of the dialect of that name count answers without the reasoning that its records tell."""
    dialect = _BY_NAME.get(name)
    return dialect is not None and dialect.loses_thoughts


def is_native(name: str) -> bool:
    """Whether the dialect of that name is a provider's own SDK."""
    dialect = _BY_NAME.get(name)
    return dialect is not None and dialect.native
