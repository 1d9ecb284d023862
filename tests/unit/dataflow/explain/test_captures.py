"""Real exports, explained: the explanation comes to exactly what the books say, and nothing is left unexplained."""

import itertools
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.books import Books, batches, facts_of
from tests.support.calls import NOON
from tests.support.explaining import explained, recorded, spans_in
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting.verdicts import TEXT, Reason
from tokensense_otel.dataflow.explain.explanation import SpanExplained
from tokensense_otel.dataflow.explain.keep import from_kept, to_kept
from tokensense_otel.dataflow.explain.sources import Kept, Source
from tokensense_otel.store.config import ExplainConfig
from tokensense_otel.store.database import open_database
from tokensense_otel.store.facts import TraceId
from tokensense_otel.store.rollups import RollupWriter

FOLDERS = ("langchain_both", "litellm", "official_genai", "openai_v2", "openinference", "pydantic_ai", "traceloop")
FACTS = {folder: list(itertools.chain.from_iterable(facts_of(folder))) for folder in FOLDERS}


def everything(source: Source, traces: list[TraceId]) -> tuple[dict[tuple[str, str], SpanExplained], Accounting]:
    spans: dict[tuple[str, str], SpanExplained] = {}
    total: dict[str, Accounting] = {}
    for trace in traces:
        explanation = explained(source, trace.trace_id.hex())
        spans |= spans_in(explanation)
        total |= {each.trace_id: each.accounting for each in explanation.traces}
    added = Accounting()
    for accounting in total.values():
        added.add(accounting)
    return spans, added


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_explanation_comes_to_what_the_books_say(folder: str) -> None:
    """The spans that count are the calls on the books, with their tokens, dimensions and notes; the totals agree."""
    books = Books()
    for batch in batches(FACTS[folder], seed=7):
        books.ingest(batch)
    source = recorded(FACTS[folder])
    spans, accounting = everything(source, source.traces)
    counted = {key: span.call for key, span in spans.items() if span.counted}
    assert counted.keys() == {(call.trace_id.hex(), call.span_id.hex()) for call in books.calls}
    for call in books.calls:
        told = counted[call.trace_id.hex(), call.span_id.hex()]
        assert told is not None
        assert {each.name: each.count for each in told.tokens} == {
            name: count for name in call.tokens.__struct_fields__ if (count := getattr(call.tokens, name)) is not None
        }
        assert [each.value for each in told.dimensions] == [
            getattr(call.dimensions, name) for name in call.dimensions.__struct_fields__
        ]
        assert tuple(told.notes) == call.notes
    assert accounting == books.total()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_span_token_and_dollar_is_accounted_for(folder: str) -> None:
    """Each span has a reason, each named dimension its attribute, and the lines of a bill add up to the cost."""
    source = recorded(FACTS[folder])
    spans, _ = everything(source, source.traces)
    assert spans.keys() == {(facts.trace_id.hex(), facts.span_id.hex()) for facts in FACTS[folder]}
    for span in spans.values():
        assert span.why == TEXT[Reason(span.reason)]
        assert span.counted == (span.call is not None)
        if span.call is None:
            continue
        for dimension in span.call.dimensions:
            assert bool(dimension.value) == bool(dimension.attribute) == (dimension.told_by is not None)
        lines = sum((Decimal(line.low_usd) for line in span.call.cost.lines), Decimal(0))
        assert lines == Decimal(span.call.cost.low_usd or 0)


def test_kept_facts_explain_as_recorded_ones_do(tmp_path: Path) -> None:
    """Through the store an explanation is the same to the letter, by trace, by span and by response."""
    spans = FACTS["langchain_both"]
    engine = open_database("sqlite", data_dir=tmp_path)
    writer = RollupWriter(engine, "p0", None, lambda: NOON, ExplainConfig())
    writer.write({}, {}, [], {}, [to_kept(facts, NOON) for facts in spans])
    source = recorded(spans, NOON)
    names = {facts.trace_id.hex() for facts in spans} | {facts.span_id.hex() for facts in spans}
    names |= {facts.call.response_id for facts in spans if facts.call and facts.call.response_id}
    for name in sorted(names):
        assert explained(Kept(engine), name) == explained(source, name), name
    engine.dispose()


def test_what_is_kept_is_what_was_read() -> None:
    """Facts survive the store unchanged."""
    for facts in FACTS["traceloop"]:
        assert from_kept(to_kept(facts, NOON)) == facts
