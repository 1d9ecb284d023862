"""What token counts mean: contracts, totals, impossibilities, and what is unknown."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.core.call import NO_TOKENS, Tokens
from tokensense_otel.dataflow.normalise.blobs import read_usage
from tokensense_otel.dataflow.normalise.dialects import ALL
from tokensense_otel.dataflow.normalise.usage import Contract, Counts, counts_of, fill, reported, resolve


def tokens(
    counts: Counts, contract: Contract | None = None, *, provider: str = "anthropic", operation: str = "chat"
) -> tuple[Tokens, str]:
    notes: list[str] = []
    found = resolve(counts, contract or Contract(), provider, operation, notes)
    return found, "; ".join(notes)


def test_an_exclusive_contract_adds_the_cache() -> None:
    """Where the emitter's input excludes cached tokens, 12 + 9,000 read + 300 written are 9,312 sent."""
    found, notes = tokens({"input": 12, "output": 40, "cache_read": 9000, "cache_write": 300}, Contract(True))
    assert found == Tokens(9312, 40, 9000, 300)
    assert notes == ""


def test_an_inclusive_contract_is_taken_at_its_word() -> None:
    """Where it includes them, input stays as it is, though a total would suit the other reading too."""
    found, _ = tokens({"input": 1000, "output": 50, "cache_read": 800, "total": 1850}, Contract(False))
    assert found == Tokens(1000, 50, 800)


@pytest.mark.parametrize(
    ("total", "sent", "note"),
    [(1050, 1000, ""), (1850, 1800, "the total adds up only with them"), (7, 1000, "assumed to include")],
)
def test_without_a_contract_the_total_tells(total: int, sent: int, note: str) -> None:
    """1,000 in, 800 cached, 50 out: a total of 1,050 says inclusive, 1,850 exclusive, any other is no help."""
    found, notes = tokens({"input": 1000, "output": 50, "cache_read": 800, "total": total})
    assert found.input == sent
    assert note in notes
    assert bool(note) == bool(notes)


def test_more_cached_than_sent_is_impossible() -> None:
    """Whatever the contract says, 800 cached tokens cannot be part of 799; of 800 they can."""
    for contract in (Contract(), Contract(False)):
        found, notes = tokens({"input": 799, "output": 1, "cache_read": 800}, contract)
        assert found.input == 1599
        assert "more were cached than sent" in notes
    assert tokens({"input": 800, "output": 1, "cache_read": 800}, Contract(False))[0].input == 800


@pytest.mark.parametrize(
    ("total", "contract", "provider", "sent", "note"),
    [
        (2570, Contract(), "aws.bedrock", 2500, "input completed from the total"),
        (270, Contract(), "aws.bedrock", 200, "may leave them out"),
        (None, Contract(input_excludes_cache=True), "anthropic", 200, "may leave them out"),
        (2570, Contract(input_excludes_cache=False), "anthropic", 200, ""),
        (2570, Contract(reports=ALL), "anthropic", 200, ""),
        (2570, Contract(), "openai", 200, ""),
    ],
    ids=["a total with them", "a total without", "no total", "within input", "reported if any", "other provider"],
)
def test_cached_tokens_that_nobody_names_may_be_in_the_total(
    total: int | None, contract: Contract, provider: str, sent: int, note: str
) -> None:
    """Bedrock's total counts the 2,300 cached tokens that its input of 200 leaves out; without one a note says so."""
    counts = {"input": 200, "output": 70} | ({} if total is None else {"total": total})
    found, notes = tokens(counts, contract, provider=provider)
    assert (found.input, found.output) == (sent, 70)
    assert note in notes
    assert bool(note) == bool(notes)


def test_reasoning_apart_is_added_to_output() -> None:
    """By contract, by a total that needs it, or because more was reasoned than answered."""
    counts = {"input": 600, "output": 40, "reasoning": 30}
    assert tokens(counts, Contract(False, True))[0] == Tokens(600, 70, reasoning=30)
    assert tokens(counts | {"total": 670}, Contract(False))[0] == Tokens(600, 70, reasoning=30)
    assert tokens(counts | {"total": 640}, Contract(False))[0] == Tokens(600, 40, reasoning=30)
    assert tokens(counts, Contract(False))[0] == Tokens(600, 40, reasoning=30)
    assert tokens(counts | {"reasoning": 80}, Contract(False))[0] == Tokens(600, 120, reasoning=80)


def test_forgotten_thoughts_are_told_from_the_total() -> None:
    """Gemini's 720 in all, 600 in and 40 out leave 80 that were thought, where the emitter is known to forget them."""
    found, notes = tokens({"input": 600, "output": 40, "total": 720}, Contract(False, True), provider="gcp.gemini")
    assert (found.output, found.reasoning) == (120, 80)
    assert "told from the total" in notes
    found, notes = tokens({"input": 600, "output": 40, "total": 640}, Contract(False, True), provider="gcp.gemini")
    assert (found.output, found.reasoning, notes) == (40, 0, "")
    assert tokens({"input": 600, "output": 40, "total": 720}, Contract(False), provider="openai")[0].reasoning is None


@pytest.mark.parametrize(
    "counts", [{}, {"total": 5}, {"input": 0, "output": 0}, {"input": 0}, {"input": 0, "output": 0, "cache_read": 0}]
)
def test_zero_that_means_unknown_is_unknown(counts: Counts) -> None:
    """A stream without usage is reported as zeros, and nobody reporting is not zero either."""
    assert tokens(counts, Contract(False, reports=ALL))[0] == NO_TOKENS


def test_an_input_of_zero_with_an_answer_is_unknown() -> None:
    """No chat has no input, unless all of it came from the cache."""
    assert tokens({"input": 0, "output": 5})[0] == Tokens(None, 5)
    assert tokens({"input": 0, "output": 5, "cache_read": 9}, Contract(True))[0].input == 9
    assert tokens({"input": 0, "output": 5}, operation="speech")[0].input == 0


def test_a_class_that_is_only_left_out_when_zero_is_zero() -> None:
    """By the dialect's contract, by the provider's billing, or by the operation; else it stays unknown."""
    counts = {"input": 10, "output": 5}
    assert tokens(counts)[0] == Tokens(10, 5)
    assert tokens(counts, Contract(False, reports=ALL))[0] == Tokens(10, 5, 0, 0, reasoning=0)
    assert tokens(counts, provider="openai")[0] == Tokens(10, 5, cache_write=0)
    assert tokens({"input": 10}, operation="embeddings")[0].output == 0
    assert tokens({"input": 10})[0].output is None


def test_parts_larger_than_their_whole_say_nothing() -> None:
    """Audio above all input, or 1 h cache writes above all cache writes, are refused."""
    found, notes = tokens({"input": 10, "output": 5, "audio_input": 11, "audio_output": 5, "cache_write_1h": 1})
    assert (found.audio_input, found.audio_output, found.cache_write_1h) == (None, 5, None)
    assert "1 h cache writes" in notes


def test_what_is_no_count_is_refused_with_a_note() -> None:
    """A negative or fractional count is not quietly zero."""
    notes: list[str] = []
    assert counts_of({"input": -5, "output": "7", "reasoning": 0.5}, notes) == {"output": 7}
    assert notes == ["input tokens refused: not a count", "reasoning tokens refused: not a count"]


@given(
    counts=st.dictionaries(
        st.sampled_from(
            ["input", "output", "total", "cache_read", "cache_write", "cache_write_1h", "reasoning", "audio_input"]
        ),
        st.integers(0, 50),
    ),
    excludes=st.sampled_from([None, True, False]),
    apart=st.sampled_from([None, True, False]),
    provider=st.sampled_from(["openai", "anthropic", "gcp.gemini", ""]),
    operation=st.sampled_from(["chat", "embeddings", "speech"]),
)
def test_subsets_always_fit_in_their_wholes(
    counts: Counts, excludes: bool | None, apart: bool | None, provider: str, operation: str
) -> None:
    """Whatever was reported, cached tokens are part of input and reasoning is part of output."""
    found, _ = tokens(counts, Contract(excludes, apart), provider=provider, operation=operation)
    if found.input is not None:
        assert (found.cache_read or 0) + (found.cache_write or 0) <= found.input
        assert (found.audio_input or 0) <= found.input
    if found.output is not None:
        assert (found.reasoning or 0) <= found.output
    assert (found.cache_write_1h or 0) <= (found.cache_write or 0)


SHAPES: list[tuple[dict[str, Any], Tokens]] = [
    (
        # OpenAI chat completions
        {
            "prompt_tokens": 1200,
            "completion_tokens": 30,
            "total_tokens": 1230,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 16},
        },
        Tokens(1200, 30, 1024, None, None, 16, 2),
    ),
    (
        # OpenAI responses
        {
            "input_tokens": 700,
            "output_tokens": 80,
            "input_tokens_details": {"cached_tokens": 256},
            "output_tokens_details": {"reasoning_tokens": 16},
        },
        Tokens(700, 80, 256, None, None, 16),
    ),
    (
        # Anthropic messages: 200 + 2,000 + 300
        {
            "input_tokens": 200,
            "output_tokens": 70,
            "cache_read_input_tokens": 2000,
            "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        },
        Tokens(2500, 70, 2000, 300, 200),
    ),
    (
        # Gemini: 40 candidates and 80 thoughts
        {"prompt_token_count": 600, "candidates_token_count": 40, "thoughts_token_count": 80, "total_token_count": 720},
        Tokens(600, 120, 0, None, None, 80),
    ),
    (
        # Gemini: 50 tokens of a tool's results beside the prompt's 600, in the total of 770
        {
            "prompt_token_count": 600,
            "tool_use_prompt_token_count": 50,
            "candidates_token_count": 40,
            "thoughts_token_count": 80,
            "total_token_count": 770,
        },
        Tokens(650, 120, 0, None, None, 80),
    ),
    (
        # Gemini's REST spelling
        {"promptTokenCount": 600, "candidatesTokenCount": 40, "cachedContentTokenCount": 128, "totalTokenCount": 640},
        Tokens(600, 40, 128, None, None, 0),
    ),
    (
        # Bedrock Converse
        {"inputTokens": 12, "outputTokens": 40, "cacheReadInputTokens": 9000, "cacheWriteInputTokens": 300},
        Tokens(9312, 40, 9000, 300),
    ),
    (
        # Langfuse's own names, net of the cache
        {"input": 100, "output": 10, "input_cached_tokens": 50, "total": 160},
        Tokens(150, 10, 50),
    ),
    ({"unrelated": 1}, NO_TOKENS),
]


@pytest.mark.parametrize(("blob", "expected"), SHAPES)
def test_a_usage_object_is_read_by_its_shape(blob: dict[str, Any], expected: Tokens) -> None:
    """Each provider's own usage object comes to the same definitions."""
    counts, contract = read_usage(blob)
    assert tokens(counts, contract, provider="")[0] == expected


@pytest.mark.parametrize("blob", [None, 7, "x", [], {}, {"input_tokens": None}, {"prompt_tokens_details": [1]}])
def test_no_usage_object_gives_no_counts(blob: Any) -> None:
    """Whatever stands where usage should be, reading it raises nothing."""
    assert read_usage(blob)[0] == {}


def test_filling_takes_only_what_is_missing_and_fits() -> None:
    """Another report completes classes, and never changes or contradicts what is known."""
    base = Tokens(100, 10)
    assert fill(base, Tokens(100, 11, 60, reasoning=4)) == Tokens(100, 10, 60, reasoning=4)
    assert fill(base, Tokens(500, 90, 400, reasoning=80)) == base, "not a subset of what is known"
    assert fill(Tokens(), Tokens(7, 1)) == Tokens(7, 1)
    assert fill(base, Tokens()) is base
    assert reported(Tokens(100, 10, 60)) == 3
