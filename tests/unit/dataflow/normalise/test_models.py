"""Names of providers and models, as routers, clouds and frameworks spell them."""

import pytest

from tokensense_otel.dataflow.normalise.models import full_model_name, model_name, provider_name


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("openai/gpt-4o", "gpt-4o"),
        ("openrouter/anthropic/claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("googleai/gemini-2.5-flash", "gemini-2.5-flash"),
        ("publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("projects/p1/locations/us-east5/publishers/anthropic/models/claude-opus-4-1@20250805", "claude-opus-4-1"),
        ("projects/1/locations/us-east5/endpoints/2", "projects/1/locations/us-east5/endpoints/2"),
        ("accounts/fireworks/models/deepseek-v3-0324", "deepseek-v3-0324"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku-20240307"),
        ("amazon.nova-pro-v1:0", "nova-pro"),
        (
            "arn:aws:bedrock:us-east-1:1234:inference-profile/eu.anthropic.claude-3-haiku-20240307-v1:0",
            "claude-3-haiku-20240307",
        ),
        ("claude-3-5-sonnet@20240620", "claude-3-5-sonnet"),
        ("ft:gpt-4o-mini:acme::abc", "ft:gpt-4o-mini:acme::abc"),
        ("meta-llama/Llama-3-70b", "meta-llama/Llama-3-70b"),
        ("llama3:8b", "llama3:8b"),
        ("My-Deployment", "My-Deployment"),
        ("unknown", ""),
        ("llm", ""),
        ("", ""),
    ],
)
def test_a_model_is_named_without_the_way_to_it(raw: str, name: str) -> None:
    """Prefixes of routers and regions and suffixes of clouds go; what belongs to the name stays."""
    assert model_name(raw) == name


@pytest.mark.parametrize(
    ("raw", "model", "host", "name"),
    [
        ("openai", "", "", "openai"),
        ("OpenAI", "", "", "openai"),
        ('"gemini"', "", "", "gcp.gemini"),
        ("anthropic.messages", "", "", "anthropic"),
        ("mistral.chat", "", "", "mistral_ai"),
        ("vertex_ai", "", "", "gcp.vertex_ai"),
        ("gcp.gen_ai", "", "", "gcp.gen_ai"),
        ("AWS", "", "", "aws.bedrock"),
        ("az.ai.openai", "", "", "azure.ai.openai"),
        ("strands-agents", "us.anthropic.claude-3-haiku-20240307-v1:0", "", "aws.bedrock"),
        ("Langchain", "claude-sonnet-4-5", "", "anthropic"),
        ("gcp.vertex.agent", "gemini-2.5-flash", "", "gcp.gemini"),
        ("", "openai/gpt-4o", "", "openai"),
        ("", "openrouter/openai/gpt-4o", "", "openrouter"),
        ("", "o3", "", "openai"),
        ("", "my-deployment", "acme.openai.azure.com", "azure.ai.openai"),
        ("", "my-deployment", "127.0.0.1", ""),
        ("acme-llm", "gpt-4o", "", "acme-llm"),
    ],
)
def test_a_provider_is_who_serves_the_model(raw: str, model: str, host: str, name: str) -> None:
    """What the span says, unless it names a framework; then the model tells, then the host, then nobody."""
    assert provider_name(raw, model, host) == name


GLOBAL = "global.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.mark.parametrize(
    ("request_model", "response_model", "full"),
    [
        (GLOBAL, GLOBAL, GLOBAL),
        (GLOBAL, "", GLOBAL),
        (GLOBAL, "claude-sonnet-4-5-20250929", GLOBAL),
        ("claude-sonnet-4-5-20250929", GLOBAL, GLOBAL),
        (GLOBAL, "claude-haiku-4-5-20251001", ""),
        ("gpt-4o", "gpt-4o-2024-08-06", ""),
        (" gpt-4o ", "", ""),
        ("unknown", "", ""),
        ("", "", ""),
    ],
)
def test_the_full_name_is_kept_where_it_says_more(request_model: str, response_model: str, full: str) -> None:
    """A region or a router is kept if the model that answered is the one that was asked for there."""
    assert full_model_name(request_model, response_model) == full
