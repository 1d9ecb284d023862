"""From what a span calls a provider, a model and a service tier to what the price list calls them.

Pure and slow; the catalogue remembers the answers, misses included.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

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
    "fireworks_ai": "fireworks",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
    "z_ai": "zai",
}
_UNNAMED: Final = frozenset(
    {"", "_other", "custom", "gateway", "langchain", "litellm", "portkey", "proxy", "unknown", "vercel"}
)
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


class Found(NamedTuple):
    """A listed model; `note` says what had to be inferred."""

    provider: Provider
    model: ModelInfo
    note: str
    elsewhere: ModelInfo | None = None
    """What may be meant as well, where the name leaves out which kind of inference profile of Bedrock it was."""


def listed_provider(provider: str) -> str:
    """The price list's id of a provider, as far as it is known by another name."""
    name = provider.strip().lower()
    return _PROVIDERS.get(name, name)


def find(snapshot: DataSnapshot, provider: str, model: str) -> Found:
    """The listed provider and model.

    Raises:
        NotListed: when nothing in the list is surely meant.
    """
    name = provider.strip().lower()
    if name not in _UNNAMED:
        listed = find_provider_by_id(snapshot.providers, listed_provider(name))
        if listed is None:
            raise NotListed(f"provider {provider!r} has no listed prices")
        for candidate in _spellings(model.strip().lower(), listed.id):
            if found := listed.find_model(candidate, all_providers=snapshot.providers):
                return Found(listed, found, "", _global_twin(listed, found, model.strip().lower()))
        raise NotListed(f"model {model!r} of {listed.id} has no listed price")
    for candidate in _spellings(model.strip().lower(), ""):
        prefix, slash, rest = candidate.partition("/")
        named = find_provider_by_id(snapshot.providers, listed_provider(prefix)) if slash else None
        if named and (found := named.find_model(rest, all_providers=snapshot.providers)):
            return Found(named, found, "")
        for guess in snapshot.providers:
            if guess.model_match and guess.model_match.is_match(candidate):
                if found := guess.find_model(candidate, all_providers=snapshot.providers):
                    return Found(guess, found, f"no provider was named; taken for {guess.id} by the model's name")
                break
    raise NotListed(f"model {model!r} has no listed price and no provider was named")


def nearest(snapshot: DataSnapshot, provider: str, model: str, more: Iterable[str] = (), most: int = 3) -> list[str]:
    """Names that are listed, or among `more`, and look most like a model's: what it may have been meant to be."""
    listed = find_provider_by_id(snapshot.providers, listed_provider(provider)) if provider.strip() else None
    within = [listed.id, *(listed.fallback_model_providers or ())] if listed else [one.id for one in snapshot.providers]
    known = {each.id.lower(): each.id for one in snapshot.providers if one.id in within for each in one.models}
    known |= {name.lower(): name for name in more}
    return [known[name] for name in difflib.get_close_matches(model.lower(), known, n=most, cutoff=0.5)]


def _spellings(model: str, provider: str) -> Iterator[str]:
    """The name as sent, then without what resource paths, ARNs and gateways put before it.

    Bedrock's list names vendors, which some instrumentations take away; the first parts of names tell them.
    """
    if not model:
        return
    yield model
    rest = model
    while "/" in rest:
        rest = rest.partition("/")[2]
        yield rest
    if provider == "aws":
        for family, vendor in _BEDROCK_VENDORS:
            if rest.startswith(family):
                yield f"{vendor}.{rest}"
                yield f"us.{vendor}.{rest}"


_BEDROCK_VENDORS: Final = (
    ("nova", "amazon"),
    ("titan", "amazon"),
    ("claude", "anthropic"),
    ("llama", "meta"),
    ("mistral", "mistral"),
    ("mixtral", "mistral"),
    ("ministral", "mistral"),
    ("magistral", "mistral"),
    ("pixtral", "mistral"),
    ("devstral", "mistral"),
    ("deepseek.", "deepseek"),
    ("r1", "deepseek"),
    ("gpt-", "openai"),
    ("qwen", "qwen"),
    ("palmyra", "writer"),
    ("nemotron", "nvidia"),
    ("kimi", "moonshotai"),
    ("glm", "zai"),
    ("gemma", "google"),
)
_WITH_VENDOR: Final = re.compile(
    rf"(?:^|[./])(?:{'|'.join(sorted({vendor for _, vendor in _BEDROCK_VENDORS}))})\.(?=[a-z])"
)


def _global_twin(listed: Provider, found: ModelInfo, model: str) -> ModelInfo | None:
    """The model behind Bedrock's global inference profile, where a name without a vendor may mean it just as well."""
    if not found.id.startswith("regional.") or _WITH_VENDOR.search(model):
        return None
    twin = found.id.replace("regional.", "global.", 1)
    return next((each for each in listed.models if each.id == twin), None)
