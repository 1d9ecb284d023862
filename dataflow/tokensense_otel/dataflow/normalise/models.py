"""Names of providers and models as the field writes them, from what emitters write.

Providers are OpenTelemetry's (`gen_ai.provider.name`, registry v1.41). A framework is no provider: then the model, and
last the host that was called, has to tell. The aliases are what instrumentations of 2025 and 2026 write.
"""

import re
from functools import lru_cache
from typing import Final

_PROVIDERS: Final = {
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure.openai": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "azure_ai": "azure.ai.inference",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai",
    "vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "googleai": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "google.generative-ai": "gcp.gemini",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "anthropic.messages": "anthropic",
    "openai.chat": "openai",
    "openai.responses": "openai",
    "openai.completion": "openai",
    "openai.embedding": "openai",
    "xai": "x_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "watsonx": "ibm.watsonx.ai",
    "moonshot": "moonshot_ai",
}
_NO_PROVIDERS: Final = frozenset(
    {
        "",
        "_other",
        "agent_framework",
        "agno",
        "az.ai.agents",
        "crewai",
        "gcp.vertex.agent",
        "github",
        "langchain",
        "langgraph",
        "microsoft.agent_framework",
        "microsoft.foundry",
        "openclaw",
        "pydantic-ai",
        "strands-agents",
        "unknown",
    }
)
_NO_MODELS: Final = frozenset({"unknown", "llm", "none", "null"})
_BY_MODEL: Final = (
    (re.compile(r"(gpt-|chatgpt|o[134]\b|text-embedding-|whisper|tts-|dall-e|ft:|codex)"), "openai"),
    (re.compile(r"claude"), "anthropic"),
    (re.compile(r"(gemini|gemma|imagen|veo-|text-bison|learnlm)"), "gcp.gemini"),
    (re.compile(r"(mistral|mixtral|codestral|ministral|pixtral|magistral)"), "mistral_ai"),
    (re.compile(r"(command|embed-|rerank-)"), "cohere"),
    (re.compile(r"deepseek"), "deepseek"),
    (re.compile(r"grok"), "x_ai"),
    (re.compile(r"sonar"), "perplexity"),
)
_BY_HOST: Final = (
    ("openai.azure.com", "azure.ai.openai"),
    ("inference.ai.azure.com", "azure.ai.inference"),
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("amazonaws.com", "aws.bedrock"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.cohere.", "cohere"),
    ("api.perplexity.ai", "perplexity"),
)
_BEDROCK_MODEL: Final = re.compile(
    r"^(?:(?:us|eu|apac|ap|global|us-gov|jp|au|ca|sa)\.)?"
    r"(?:amazon|anthropic|meta|mistral|cohere|ai21|deepseek|stability|openai|qwen|writer|twelvelabs|luma)\.(?=[a-z])"
)
_BEDROCK_VERSION: Final = re.compile(r"(?:-v\d+)?:\d+(?::\w+)?$")
_BEDROCK_SUFFIX: Final = re.compile(r"-v\d+:\d+(?::\w+)?$")
"""What no other name ends in; OpenLLMetry takes the vendor away and leaves it."""
_AT_VERSION: Final = re.compile(r"@[\w.-]+$")


@lru_cache(maxsize=4_096)
def model_name(raw: str) -> str:
    """A model's id without what says where it was reached: routers' prefixes, paths, Bedrock's regions and versions.

    >>> model_name("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), model_name("models/gemini-2.5-pro")
    ('claude-sonnet-4-5-20250929', 'gemini-2.5-pro')
    """
    name = raw.strip()
    if name.startswith("ft:"):
        return name
    if name.startswith("arn:"):
        name = name.partition("/")[2] or name
    if "/models/" in name:  # `projects/…/publishers/…/models/…` of Vertex AI, `accounts/…/models/…` of Fireworks
        name = name.rpartition("/models/")[2] or name
    while "/" in name:
        head, _, rest = name.partition("/")
        if not rest or not _strippable(head.lower()):
            break
        name = rest
    bare = _BEDROCK_MODEL.sub("", name)
    if bare != name:
        name = _BEDROCK_VERSION.sub("", bare)
    name = _BEDROCK_SUFFIX.sub("", name)
    name = _AT_VERSION.sub("", name)
    return "" if name.lower() in _NO_MODELS else name


@lru_cache(maxsize=4_096)
def full_model_name(request: str, response: str) -> str:
    """The raw name that says more than `model_name` of the model that answered; empty where none does.

    Of a request's name only what the answer does not contradict: it may have been sent elsewhere.

    >>> full_model_name("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929")
    'global.anthropic.claude-sonnet-4-5-20250929-v1:0'
    >>> full_model_name("gpt-4o", "gpt-4o-2024-08-06")
    ''
    """
    for raw in (response.strip(), request.strip()):
        name = model_name(raw)
        if name and name != raw and name == model_name(response or request):
            return raw
    return ""


def _strippable(head: str) -> bool:
    """Whether a path segment before a model's name names a provider, a router or a kind of resource."""
    return head in _PATH_SEGMENTS or head in _PROVIDERS or head in _PROVIDERS.values()


_PATH_SEGMENTS: Final = frozenset(
    {"models", "publishers", "openrouter", "litellm", "anthropic", "openai", "google"}
    | {"cohere", "groq", "deepseek", "perplexity", "converse", "invoke", "inference-profile", "foundation-model"}
)


@lru_cache(maxsize=8_192)
def provider_name(raw: str, model: str, host: str) -> str:
    """The provider's OpenTelemetry name, from what the span calls it, else its raw model, else the host; may be empty.

    >>> provider_name("Langchain", "us.anthropic.claude-3-haiku-20240307-v1:0", ""), provider_name("OpenAI", "", "")
    ('aws.bedrock', 'openai')
    """
    name = raw.strip().strip('"').lower()  # MLflow writes every value as JSON
    if name not in _NO_PROVIDERS:
        if name in _PROVIDERS:
            return _PROVIDERS[name]
        vendor = name.partition(".")[0]
        # The AI SDK says which of a provider's APIs it used: `mistral.chat`, `xai.responses`.
        return name if name.startswith(("gcp.", "aws.", "azure.", "ibm.")) else _PROVIDERS.get(vendor, vendor)
    return _by_model(model.strip().lower()) or _by_host(host.lower())


def _by_model(model: str) -> str:
    if _BEDROCK_MODEL.match(model) or model.startswith("arn:aws:bedrock"):
        return "aws.bedrock"
    head, slash, rest = model.partition("/")
    if slash and head == "openrouter":
        return head  # its prices are not always those of the vendors behind it
    if slash and (head in _PROVIDERS or head in _PROVIDERS.values()):
        return _PROVIDERS.get(head, head)
    name = rest.rpartition("/")[2] if slash else model
    return next((provider for pattern, provider in _BY_MODEL if pattern.match(name)), "")


def _by_host(host: str) -> str:
    return next((provider for part, provider in _BY_HOST if part in host), "")
