"""From what a span calls a provider, a model and a service tier to what the price list calls them.

Pure and slow; the catalogue remembers the answers, misses included.
"""

from collections.abc import Iterator
from typing import Final

from genai_prices.data_snapshot import DataSnapshot, find_provider_by_id
from genai_prices.types import ModelInfo, Provider

_PROVIDERS: Final = {
    # OpenTelemetry's names (registry of `gen_ai.provider.name`, v1.41) that the price list's own matching misses or
    # sends elsewhere; the last part of the values are genai-prices ids.
    "aws.bedrock": "aws",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure_openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}
_UNNAMED: Final = frozenset({"", "_other", "custom", "gateway", "langchain", "litellm", "portkey", "proxy", "unknown"})
"""What stands in for a provider without being one; the model's name has to tell."""

_STANDARD: Final = frozenset(
    {"", "auto", "default", "none", "on_demand", "standard", "standard_only", "traffic_type_unspecified", "unspecified"}
)


class NotListed(LookupError):
    """The price list does not know this model; the message says what is missing."""


def service_tier(name: str) -> str:
    """`default`, `auto`, `ON_DEMAND` and their like are the standard tier, here an empty string."""
    tier = name.strip().lower().replace("-", "_")
    return "" if tier in _STANDARD else tier


def find(snapshot: DataSnapshot, provider: str, model: str) -> tuple[Provider, ModelInfo, str]:
    """The listed provider and model, and a note where one of them had to be inferred.

    Raises:
        NotListed: when nothing in the list is surely meant.
    """
    name = provider.strip().lower()
    if name not in _UNNAMED:
        listed = find_provider_by_id(snapshot.providers, _PROVIDERS.get(name, name))
        if listed is None:
            raise NotListed(f"provider {provider!r} has no listed prices")
        for candidate in _spellings(model.strip().lower()):
            if found := listed.find_model(candidate, all_providers=snapshot.providers):
                return listed, found, ""
        raise NotListed(f"model {model!r} of {listed.id} has no listed price")
    for candidate in _spellings(model.strip().lower()):
        prefix, slash, rest = candidate.partition("/")
        named = find_provider_by_id(snapshot.providers, _PROVIDERS.get(prefix, prefix)) if slash else None
        if named and (found := named.find_model(rest, all_providers=snapshot.providers)):
            return named, found, ""
        for guess in snapshot.providers:
            if guess.model_match and guess.model_match.is_match(candidate):
                if found := guess.find_model(candidate, all_providers=snapshot.providers):
                    return guess, found, f"no provider was named; taken for {guess.id} by the model's name"
                break
    raise NotListed(f"model {model!r} has no listed price and no provider was named")


def _spellings(model: str) -> Iterator[str]:
    """The name as sent, then without what resource paths, ARNs and gateways put before it."""
    if not model:
        return
    yield model
    rest = model
    while "/" in rest:
        rest = rest.partition("/")[2]
        yield rest
