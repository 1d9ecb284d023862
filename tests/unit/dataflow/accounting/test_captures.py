"""Real exports of real instrumentations, accounted: the totals are the truth, however the spans come."""

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.books import CAPTURES, Books, batches, facts_of
from tests.support.captures import NAMES
from tokensense_otel.core.usage import Accounting, Usage
from tokensense_otel.dataflow.facts import SpanFacts

RECORDS_TELL_MORE = {"claude_code_2_0", "codex", "gemini_cli"}
"""Agents whose spans are no more than half of it; `tests/unit/dataflow/logs/test_agents.py` has all that they send."""
FOLDERS = [name for name in NAMES if name not in RECORDS_TELL_MORE]
MISTAKEN = {
    # OpenLIT says zero for the cached tokens of an Anthropic stream, whose input it takes without them.
    ("openlit", "claude-haiku-4-5"): {"input_tokens", "cache_read", "cache_write"},
    # Cached tokens are left out of input, and nothing tells of them.
    ("strands_0", "claude-sonnet-4-5"): {"input_tokens"},
    ("bedrock_traceloop", "claude-opus-4-1-20250805"): {"input_tokens"},
    ("bedrock_traceloop", "claude-3-5-haiku-20241022"): {"input_tokens"},
    # An embedding has neither, so that zero is certain although the emitter says nothing.
    ("openai_v2", "text-embedding-3-small"): {"cache_read", "reasoning"},
    # Thoughts are left out of output, and nothing tells of them.
    ("vercel_ai_4", "gemini-2.5-pro"): {"output_tokens"},
    ("vercel_ai_3", "gemini-2.5-pro"): {"output_tokens"},
    # The count with which a stream begins stands for that with which it ends.
    ("claude_agent_sdk", "claude-sonnet-4-5"): {"output_tokens"},
    ("claude_agent_sdk", "claude-haiku-4-5"): {"output_tokens"},
    ("claude_agent_sdk", "claude-opus-4-5"): {"output_tokens"},
    # Cached tokens are left out of input, and nothing tells of them.
    ("vercel_ai_3", "claude-sonnet-4-5"): {"input_tokens"},
    ("vercel_ai_3", "claude-haiku-4-5"): {"input_tokens"},
}
"""What an emitter gets wrong so that nobody can notice, or what is known without it.

Everything else that is `null` in the truth has to come out as unknown.
"""
FACTS = {folder: facts_of(folder) for folder in FOLDERS}


def spans_of(folder: str) -> list[SpanFacts]:
    return list(itertools.chain.from_iterable(FACTS[folder]))


def expected(folder: str) -> Any:
    return json.loads((CAPTURES / folder / "expected.json").read_text())


def row(usage: Usage, truth: dict[str, int | None], mistaken: set[str]) -> dict[str, int | None]:
    """Sums in the words of `expected.json`; `None` where the truth is lost and a call says so, or says it wrongly."""
    sums = {
        "input_tokens": (usage.input_tokens, usage.input_known),
        "output_tokens": (usage.output_tokens, usage.output_known),
        "cache_read": (usage.cache_read_tokens, usage.cache_read_known),
        "cache_write": (usage.cache_write_tokens, usage.cache_write_known),
        "reasoning": (usage.reasoning_tokens, usage.reasoning_known),
    }
    found: dict[str, int | None] = {"calls": usage.calls, "errors": usage.errors}
    for name, (total, known) in sums.items():
        lost = truth[name] is None and (known < usage.calls or name in mistaken)
        found[name] = None if lost or not known else total
    return found


def rows(folder: str, books: Books) -> dict[str, dict[str, int | None]]:
    truth = expected(folder)
    return {
        model: row(usage, truth[model], MISTAKEN.get((folder, model), set())) for model, usage in books.usage().items()
    }


def balanced(books: Books) -> bool:
    total = books.total()
    became = total.calls + total.duplicates + total.wrappers + total.not_genai + total.rejected
    return total.spans == became and total.calls == len(books.calls)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_capture_is_exact(folder: str) -> None:
    """Every model of a capture comes to the expected calls, errors and tokens, and the unknown stays unknown."""
    books = Books()
    for facts in FACTS[folder]:
        books.ingest(facts)
        assert balanced(books)
    assert rows(folder, books) == expected(folder)


@pytest.mark.parametrize(
    ("folder", "accounting"),
    [
        # 3 chains of 4 spans and an agent of 8, plus 6 SDK spans; the callback's 6 and the SDK's 6 are 6 calls.
        ("langchain_both", Accounting(spans=26, calls=6, duplicates=6, wrappers=14)),
        ("litellm", Accounting(spans=8, calls=4, duplicates=4)),
        ("traceloop", Accounting(spans=23, calls=17, duplicates=5, wrappers=1)),
        ("pydantic_ai", Accounting(spans=9, calls=4, duplicates=1, wrappers=4)),
    ],
)
def test_every_span_of_a_capture_is_explained(folder: str, accounting: Accounting) -> None:
    """Accounting says of every span whether it was a call, a second report, a wrapper or nothing of ours."""
    books = Books()
    books.ingest(spans_of(folder))
    assert books.total() == accounting


@pytest.mark.parametrize("folder", FOLDERS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_order_and_batches_do_not_matter(folder: str, seed: int) -> None:
    """Any order of arrival and any batches end in the very same calls, field by field, and the same accounting."""
    whole, shuffled = Books(), Books()
    whole.ingest(spans_of(folder))
    for batch in batches(spans_of(folder), seed):
        shuffled.ingest(batch)
        assert balanced(shuffled)
    assert shuffled.calls == whole.calls
    assert shuffled.total() == whole.total()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_resend_of_everything_only_adds_duplicates(folder: str) -> None:
    """Every request sent twice leaves the books as they are and counts each of its spans as a duplicate."""
    books = Books()
    for facts in FACTS[folder]:
        books.ingest(facts)
    calls, before, postings = books.calls, msgspec.structs.replace(books.total()), books.postings
    for facts in FACTS[folder]:
        books.ingest(facts)
    count = len(spans_of(folder))
    assert books.calls == calls
    assert books.postings == postings
    assert books.total() == msgspec.structs.replace(
        before, spans=before.spans + count, duplicates=before.duplicates + count
    )


@pytest.mark.parametrize("folder", FOLDERS)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32), crash_every=st.integers(1, 4))
def test_a_crash_at_any_point_changes_nothing(folder: str, seed: int, crash_every: int) -> None:
    """Going on from snapshots, as often as that happens, posts exactly what going on without a crash would."""
    steady, crashing = Books(), Books()
    for number, batch in enumerate(batches(spans_of(folder), seed)):
        steady.ingest(batch)
        crashing.ingest(batch)
        if number % crash_every == 0:
            crashing.crash()
        assert crashing.standing == steady.standing
        assert crashing.postings == steady.postings
    assert crashing.accounting == steady.accounting
