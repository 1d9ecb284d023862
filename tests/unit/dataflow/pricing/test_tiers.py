"""Tiers and cheaper siblings."""

from datetime import date

import pytest
import yaml
from genai_prices.data_snapshot import get_snapshot

from tokensense_otel.dataflow.pricing import Catalogue, Tier
from tokensense_otel.dataflow.pricing.tiers import TABLE, TierTable

CATALOGUE = Catalogue.load()
DOLLAR = 1_000_000_000


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [
        ("openai", "gpt-4o", Tier.PREMIUM),
        ("openai", "gpt-4o-2024-08-06", Tier.PREMIUM),
        ("openai", "gpt-4o-mini", Tier.ECONOMY),
        ("openai", "gpt-4.1", Tier.PREMIUM),
        ("openai", "gpt-4.1-mini", Tier.ECONOMY),
        ("openai", "gpt-5", Tier.PREMIUM),
        ("openai", "gpt-5-mini", Tier.STANDARD),
        ("openai", "gpt-5-pro", Tier.FLAGSHIP),
        ("openai", "o1", Tier.FLAGSHIP),
        ("openai", "o1-mini", Tier.STANDARD),
        ("openai", "o1-pro", Tier.FLAGSHIP),
        ("openai", "o3", Tier.PREMIUM),
        ("openai", "gpt-4", Tier.FLAGSHIP),
        ("openai", "gpt-4-turbo", Tier.FLAGSHIP),
        ("openai", "gpt-4-32k", Tier.FLAGSHIP),
        ("openai", "gpt-image-1", None),
        ("openai", "gpt-4o-transcribe", None),
        ("openai", "text-embedding-3-large", None),
        ("anthropic", "claude-opus-4-1-20250805", Tier.FLAGSHIP),
        ("anthropic", "claude-3-opus-20240229", Tier.FLAGSHIP),
        ("anthropic", "claude-sonnet-4-5", Tier.PREMIUM),
        ("anthropic", "claude-3-5-sonnet-20241022", Tier.PREMIUM),
        ("anthropic", "claude-haiku-4-5", Tier.STANDARD),
        ("gcp.gemini", "gemini-2.5-pro", Tier.FLAGSHIP),
        ("gcp.gemini", "gemini-2.5-flash", Tier.STANDARD),
        ("aws.bedrock", "us.anthropic.claude-opus-4-1-20250805-v1:0", Tier.FLAGSHIP),
        ("openai", "house-model", None),
        ("somebody", "gpt-4o", Tier.PREMIUM),
    ],
)
def test_models_are_classed(provider: str, model: str, tier: Tier | None) -> None:
    """A named model has its table's tier, others the tier of their output price, unknown ones and non-text none."""
    assert CATALOGUE.tier(provider, model) is tier


@pytest.mark.parametrize(
    ("output", "tier"),
    [
        (25 * DOLLAR, Tier.FLAGSHIP),
        (25 * DOLLAR - 1, Tier.PREMIUM),
        (8 * DOLLAR, Tier.PREMIUM),
        (8 * DOLLAR - 1, Tier.STANDARD),
        (2 * DOLLAR, Tier.STANDARD),
        (2 * DOLLAR - 1, Tier.ECONOMY),
        (0, Tier.ECONOMY),
        (None, None),
    ],
)
def test_an_unnamed_model_is_classed_by_its_output_price(output: int | None, tier: Tier | None) -> None:
    """The limits are 25, 8 and 2 USD for a million output tokens, each included."""
    assert TierTable.load().tier("brand-new", output) is tier


@pytest.mark.parametrize(
    ("provider", "model", "one_step", "trivial"),
    [
        ("openai", "gpt-4o", "gpt-4o-mini", "gpt-4o-mini"),
        ("openai", "gpt-4.1-2025-04-14", "gpt-4.1-mini", "gpt-4.1-mini"),
        ("openai", "gpt-5", "gpt-5-mini", "gpt-5-mini"),
        ("openai", "gpt-5-pro", "gpt-5", "gpt-5-mini"),
        ("openai", "o1", "o4-mini", "o4-mini"),
        ("openai", "o3", "o4-mini", "o4-mini"),
        ("openai", "gpt-4-turbo", "gpt-4o-mini", "gpt-4o-mini"),
        ("anthropic", "claude-opus-4-1", "claude-sonnet-4-5", "claude-haiku-4-5"),
        ("anthropic", "claude-sonnet-4-5", "claude-haiku-4-5", "claude-haiku-4-5"),
        ("gcp.gemini", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash"),
        (
            "aws.bedrock",
            "us.anthropic.claude-opus-4-1-20250805-v1:0",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        ),
        ("openrouter", "openai/gpt-4o", "openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("openai", "gpt-4o-mini", None, None),
        ("openai", "house-model", None, None),
        ("ollama", "gpt-4o", None, None),
    ],
)
def test_a_cheaper_sibling_is_named(provider: str, model: str, one_step: str | None, trivial: str | None) -> None:
    """One step down for a downgrade, below the premium tier for trivial work, nothing where nothing is sure."""
    assert CATALOGUE.cheaper(provider, model) == one_step
    assert CATALOGUE.cheaper(provider, model, trivial=True) == trivial


def test_every_recommendation_is_listed_and_cheaper() -> None:
    """Whatever listed model is asked about, the sibling exists at that provider and costs no more for any token."""
    asked = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            name = CATALOGUE.cheaper(provider.id, model.id)
            if name is None:
                continue
            asked += 1
            ours, theirs = CATALOGUE._latest(provider.id, model.id), CATALOGUE._latest(provider.id, name)
            assert ours is not None
            assert theirs is not None
            assert (theirs.input or 0) <= (ours.input or 0)
            assert (theirs.output or 0) <= (ours.output or 0)
            assert (theirs.input, theirs.output) != (ours.input, ours.output)
    assert asked > 50


def test_every_entry_of_the_table_says_where_it_is_from() -> None:
    """Tiers and siblings are dated and say what they rest on."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    for entry in (*table["tiers"], *table["instead"]):
        assert isinstance(entry["as_of"], date)
        assert entry["source"]
