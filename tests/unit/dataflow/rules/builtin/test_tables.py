"""The tables of prompt caches and of memory sizes: names as providers and platforms write them."""

import pytest

from tokensense_otel.dataflow.rules.builtin.caching.prompt_caches import prompt_cache
from tokensense_otel.dataflow.rules.builtin.memory.memory_sizes import (
    CLOUD_RUN,
    FARGATE,
    LAMBDA,
    MIB,
    USUAL,
    Sizes,
    sizes_of,
)

GIB = 1_024 * MIB


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-4o-2024-08-06", 1_024),
        ("openai/gpt-4.1-mini", 1_024),
        ("gpt-5-mini", 1_024),
        ("o3", 1_024),
        ("o4-mini", 1_024),
        ("gpt-4", None),
        ("gpt-4-turbo", None),
        ("gpt-3.5-turbo", None),
        ("claude-sonnet-4-20250514", 1_024),
        ("claude-opus-4-1-20250805", 1_024),
        ("claude-opus-4@20250514", 1_024),
        ("claude-opus-4", 1_024),
        ("claude-sonnet-4-5-20250929", 1_024),
        ("anthropic/claude-sonnet-4.5", 1_024),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", 1_024),
        ("claude-sonnet-4-6", 2_048),
        ("claude-3-5-haiku-latest", 2_048),
        ("claude-opus-4-5", 4_096),
        ("claude-haiku-4-5-20251001", 4_096),
        ("claude-opus-4-10", 4_096),
        ("grok-4", 1_024),
        ("xai/grok-3-mini", 1_024),
        ("command-r-plus", None),
        ("gemini-2.5-flash", 2_048),
        ("gemini-2.5-pro", 4_096),
        ("gemini-3-pro-preview", 4_096),
        ("gemini-1.5-pro", None),
        ("llama-3.3-70b", None),
    ],
)
def test_minimum_prompts_of_caches(model: str, tokens: int | None) -> None:
    """Each model has its provider's minimum, the largest that was published; others have none."""
    cache = prompt_cache(model)
    assert (cache.min_tokens if cache else None) == tokens


@pytest.mark.parametrize(
    ("sizes", "needed", "fits"),
    [
        (LAMBDA, 1, 128 * MIB),
        (LAMBDA, 128 * MIB, 128 * MIB),
        (LAMBDA, 128 * MIB + 1, 129 * MIB),
        (LAMBDA, 10_240 * MIB, 10_240 * MIB),
        (LAMBDA, 10_240 * MIB + 1, None),
        (FARGATE, 1, 512 * MIB),
        (FARGATE, 513 * MIB, GIB),
        (FARGATE, 30 * GIB + 1, 32 * GIB),
        (FARGATE, 120 * GIB + 1, None),
        (CLOUD_RUN, 129 * MIB, 256 * MIB),
        (CLOUD_RUN, 32 * GIB, 32 * GIB),
        (USUAL, 1, 64 * MIB),
        (USUAL, 300 * MIB, 384 * MIB),
    ],
)
def test_the_smallest_size_that_holds_it(sizes: Sizes, needed: int, fits: int | None) -> None:
    """What fits exactly fits; a byte more takes the next size; beyond the largest there is none."""
    assert sizes.fit(needed) == fits


def test_platforms_by_their_conventional_names() -> None:
    """`cloud.platform` chooses the table; an unknown platform has the sizes that people write."""
    assert sizes_of("aws_lambda") is LAMBDA
    assert sizes_of("gcp_cloud_run") is CLOUD_RUN
    assert sizes_of("") is USUAL
