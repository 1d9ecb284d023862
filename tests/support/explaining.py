"""Explanations of facts in memory, for tests."""

from collections.abc import Iterable

from tokensense_otel.dataflow.accounting import AccountingConfig
from tokensense_otel.dataflow.explain.explain import explain
from tokensense_otel.dataflow.explain.explanation import Explanation, SpanExplained
from tokensense_otel.dataflow.explain.sources import Recorded, Source
from tokensense_otel.dataflow.facts import SpanFacts
from tokensense_otel.dataflow.pricing import Catalogue

CATALOGUE = Catalogue.load()


def recorded(spans: Iterable[SpanFacts], received_ns: int = 0) -> Recorded:
    source = Recorded()
    for facts in spans:
        source.add(facts, received_ns)
    return source


def explained(source: Source, name: str, config: AccountingConfig | None = None) -> Explanation:
    return explain(source, name, catalogue=CATALOGUE, config=config or AccountingConfig())


def spans_in(explanation: Explanation) -> dict[tuple[str, str], SpanExplained]:
    """Trace and span id → what became of the span."""
    return {(trace.trace_id, span.span_id): span for trace in explanation.traces for span in trace.spans}
