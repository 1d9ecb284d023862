"""Real exports of coding agents: their spans, log records and metrics come to the truth, together and alone."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sources import AllBooks, Item, points_of_capture, records_of_capture, shuffled, spans_of_capture
from tests.support.truth import FIELDS, Sums, calls_of, differences

AGENTS = ["claude_code", "claude_code_2_0", "codex", "copilot_cli", "gemini_cli"]
READ = {"traces": spans_of_capture, "logs": records_of_capture, "metrics": points_of_capture}
TOKENS = ("input_tokens", "output_tokens", "cache_read", "cache_write", "reasoning")


@cache
def items(folder: str, *signals: str) -> list[Item]:
    return [item for signal in signals for item in READ[signal](folder)]


def of(folder: str, *signals: str) -> AllBooks:
    books = AllBooks()
    books.take(items(folder, *signals))
    assert books.balanced
    return books


def wrong(folder: str, books: AllBooks, *names: str) -> list[str]:
    """What the books have otherwise than the truth."""
    found: dict[str, Sums] = {
        model: {name: getattr(usage, column) for name, column in FIELDS.items()}
        for model, usage in books.usage().items()
    }
    return differences(folder, found, names or tuple(FIELDS))


@pytest.mark.parametrize("folder", AGENTS)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), crash_every=st.integers(1, 5))
def test_all_that_an_agent_sends_is_each_call_once(folder: str, seed: int, crash_every: int) -> None:
    """Spans, records and metrics, all twice, in any order and batches, across crashes: exact, and nothing metered."""
    whole = of(folder, *READ)
    assert wrong(folder, whole) == []
    assert (whole.total().calls, whole.total().metered) == (calls_of(folder), 0)
    mixed = AllBooks()
    for number, batch in enumerate(shuffled([*items(folder, *READ)] * 2, seed, most=40)):
        mixed.take(batch)
        assert mixed.balanced
        if number % crash_every == 0:
            mixed.crash()
    assert mixed.calls == whole.calls


@pytest.mark.parametrize(
    ("folder", "signal"),
    [
        ("claude_code", "logs"),
        ("claude_code", "traces"),
        ("claude_code_2_0", "logs"),
        ("codex", "logs"),
        ("copilot_cli", "traces"),
        ("copilot_cli", "metrics"),
        ("gemini_cli", "logs"),
        ("gemini_cli", "metrics"),
    ],
)
def test_one_signal_that_tells_all_is_exact(folder: str, signal: str) -> None:
    """Calls, failures and every class of tokens, where nothing else of the agent comes."""
    assert wrong(folder, of(folder, signal)) == []


def test_codexs_spans_tell_of_what_was_answered() -> None:
    """Usage and model are on different spans; two attempts that failed are on none."""
    books = of("codex", "traces")
    assert wrong("codex", books, *TOKENS) == []
    assert (books.total().calls, books.total().duplicates) == (calls_of("codex") - 2, 0)


def test_gemini_clis_spans_lose_cache_and_thoughts() -> None:
    """A span has the input and the bare answer; the record of the same call knows better, and counts."""
    books = of("gemini_cli", "traces")
    assert wrong("gemini_cli", books, "calls", "errors", "input_tokens") == []
    thought = 254 - 167
    assert books.usage()["gemini-2.5-pro"].output_tokens == thought
    assert all(call.tokens.reasoning is call.tokens.cache_read is None for call in books.calls)


@pytest.mark.parametrize(("folder", "calls"), [("claude_code", 11), ("codex", 5)])
def test_metrics_without_a_number_of_calls_have_the_tokens(folder: str, calls: int) -> None:
    """Each export, or turn, with tokens was at least one call; failed ones leave no trace in the metrics."""
    books = of(folder, "metrics")
    assert wrong(folder, books, *TOKENS) == []
    assert books.total().calls == calls < calls_of(folder)
