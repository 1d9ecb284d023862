"""Who told what of a call: each class of tokens, and each dimension."""

from collections.abc import Iterable, Iterator

import msgspec

from tokensense_otel.core.call import Call, Dimensions, Tokens
from tokensense_otel.dataflow.accounting.components import ancestors
from tokensense_otel.dataflow.explain.explanation import DimensionExplained, SpanRef, TokensExplained
from tokensense_otel.dataflow.explain.recount import Recount, SpanKey
from tokensense_otel.dataflow.facts import SpanFacts

_CLASSES = Tokens.__struct_fields__
_NAMES = Dimensions.__struct_fields__


def ref(key: SpanKey) -> SpanRef:
    return SpanRef(key[0].trace_id.hex(), key[1].hex())


def reports_of(done: Recount, key: SpanKey) -> list[SpanKey]:
    """The spans that tell of a call, the best witness first, in the order in which they complete each other."""
    found: list[SpanKey] = []
    for witness in (key, *done.joined.get(key, ())):
        trace, span_id = witness
        told = done.traces[trace].verdicts.told.get(span_id, ())
        found += [witness, *((trace, other) for other in told)]
    return found


def tokens_of(done: Recount, key: SpanKey) -> list[TokensExplained]:
    """The classes that are known of a call, each with the first report that counts it the same."""
    call = done.calls[key]
    reports = [(key, done.traces[key[0]].spans[key[1]].call) for key in reports_of(done, key)]
    explained: list[TokensExplained] = []
    for name in _CLASSES:
        count = getattr(call.tokens, name)
        if count is not None:
            told = (key for key, report in reports if report and getattr(report.tokens, name) == count)
            by = next(told, None)
            explained.append(TokensExplained(name, count, ref(by) if by else None))
    return explained


def reported(call: Call | None) -> dict[str, int]:
    """The counts of a span's own report."""
    if call is None:
        return {}
    counts = msgspec.structs.asdict(call.tokens)
    return {name: count for name, count in counts.items() if count is not None}


def dimensions_of(done: Recount, key: SpanKey) -> list[DimensionExplained]:
    """Every dimension of a call, with the span and the attribute that named it."""
    places = [place for report in reports_of(done, key) for place in _places(done, report)]
    call = done.calls[key]
    return [_dimension(at, name, getattr(call.dimensions, name), places) for at, name in enumerate(_NAMES)]


_Place = tuple[str, SpanKey, Dimensions, tuple[str, ...]]
"""Where dimensions were named: in words, on which span, which, and under which attributes."""


def _dimension(at: int, name: str, value: str, places: Iterable[_Place]) -> DimensionExplained:
    if value:
        for place, key, dimensions, attributes in places:
            if getattr(dimensions, name) == value:
                attribute = attributes[at] if len(attributes) > at else ""
                return DimensionExplained(name, value, place, attribute, ref(key))
    return DimensionExplained(name, value, "", "", None)


def _places(done: Recount, key: SpanKey) -> Iterator[_Place]:
    """In the order of accounting: the span, its ancestors from the nearest, then its resource."""
    trace, span_id = key
    spans = done.traces[trace].spans
    facts = spans[span_id]
    yield "span", key, facts.own, _named(facts)
    for above in ancestors(spans, span_id):
        yield "ancestor", (trace, above.span_id), above.own, _named(above)
    yield "resource", key, facts.resource, facts.origin.resource if facts.origin else ()


def _named(facts: SpanFacts) -> tuple[str, ...]:
    return facts.origin.own if facts.origin else ()
