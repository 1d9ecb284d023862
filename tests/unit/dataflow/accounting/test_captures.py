"""Real exports of real instrumentations, accounted: the totals are the truth, however the spans come."""

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.books import CAPTURES, Books, batches, facts_of
from tokensense_otel.core.usage import Accounting, Usage
from tokensense_otel.dataflow.facts import SpanFacts

FOLDERS = ("langchain_both", "litellm", "official_genai", "openai_v2", "openinference", "pydantic_ai", "traceloop")
FACTS = {folder: facts_of(folder) for folder in FOLDERS}


def spans_of(folder: str) -> list[SpanFacts]:
    return list(itertools.chain.from_iterable(FACTS[folder]))


def expected(folder: str) -> Any:
    return json.loads((CAPTURES / folder / "expected.json").read_text())


def row(usage: Usage) -> dict[str, int | None]:
    """Sums in the words of `expected.json`; `None` where no call reported the class."""
    return {
        "calls": usage.calls,
        "errors": usage.errors,
        "input_tokens": usage.input_tokens if usage.input_known else None,
        "output_tokens": usage.output_tokens if usage.output_known else None,
        "cache_read": usage.cache_read_tokens if usage.cache_read_known else None,
        "cache_write": usage.cache_write_tokens if usage.cache_write_known else None,
        "reasoning": usage.reasoning_tokens if usage.reasoning_known else None,
    }


def rows(books: Books) -> dict[str, dict[str, int | None]]:
    return {model: row(usage) for model, usage in books.usage().items()}


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
    assert rows(books) == expected(folder)


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
@settings(max_examples=25, deadline=None)
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
@settings(max_examples=10, deadline=None)
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
