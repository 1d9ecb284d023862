"""`explain`: from an id to why each span counts or does not, and how each token and dollar came about."""

from decimal import Decimal

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.core.errors import TokenSenseError
from tokensense_otel.core.insight import rfc3339
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.accounting import AccountingConfig
from tokensense_otel.dataflow.accounting.verdicts import COUNTED, TEXT
from tokensense_otel.dataflow.explain import provenance
from tokensense_otel.dataflow.explain.explanation import (
    CallExplained,
    CostExplained,
    Explanation,
    LineExplained,
    SpanExplained,
    TraceExplained,
)
from tokensense_otel.dataflow.explain.recount import Recount, SpanKey, recount
from tokensense_otel.dataflow.explain.remarks import remarks_on
from tokensense_otel.dataflow.explain.sources import Source
from tokensense_otel.dataflow.facts import Kind
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.pricing.itemised import itemise
from tokensense_otel.store.facts import Match, TraceId

SHORTEST = 4
"""Characters that the beginning of an id has at least."""
_SHOWN = 5


class Unexplained(TokenSenseError):
    """The id names nothing that is kept, or more than one thing; the message says which."""


def explain(source: Source, name: str, *, catalogue: Catalogue, config: AccountingConfig) -> Explanation:
    """Explain a trace, a span, or a provider's response, by its id or a unique beginning of it.

    Raises:
        Unexplained: when nothing, or more than one thing, has that id.
    """
    matches = _match(source, name)
    what, whole = matches[0].what, matches[0].name
    asked = sorted({match.trace for match in matches})
    done = recount(source, asked, catalogue.cost)
    focus = _focus(done, what, whole, asked)
    traces = [
        TraceExplained(
            trace.tenant,
            trace.trace_id.hex(),
            done.traces[trace].accounting,
            [
                _span(done, (trace, span_id), catalogue)
                for span_id in _in_order(done, trace)
                if (trace, span_id) in focus
            ],
        )
        for trace in (*asked, *(trace for trace in sorted(done.traces) if trace not in asked))
        if any(key[0] == trace for key in focus)
    ]
    return Explanation(what, whole, traces, remarks_on(done, focus, config))


def _match(source: Source, name: str) -> list[Match]:
    name = name.strip()
    matches = source.find(name) if name else []
    exact = [match for match in matches if match.name in (name, name.lower())]
    if not exact and len(name) < SHORTEST:
        raise Unexplained(f"{name!r} is too short; write at least {SHORTEST} characters of an id")
    matches = exact or matches
    if not matches:
        raise Unexplained(f"nothing that is kept has the id {name!r}; only recent traces with GenAI spans are kept")
    named = sorted({(match.what, match.name) for match in matches})
    if len(named) > 1:
        shown = ", ".join(f"{what} {whole}" for what, whole in named[:_SHOWN])
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        raise Unexplained(f"{name!r} may be {shown}{more}; write more of it")
    return matches


def _focus(done: Recount, what: str, name: str, asked: list[TraceId]) -> set[SpanKey]:
    """The spans that have to do with what was asked: whole traces, or everything that tells of the same calls."""
    if what == "trace":
        focus = {(trace, span_id) for trace in asked for span_id in done.traces[trace].spans}
    else:
        focus = {
            (trace, span_id)
            for trace in asked
            for span_id, facts in done.traces[trace].spans.items()
            if (span_id.hex() if what == "span" else facts.call and facts.call.response_id) == name
        }
    tell_of: dict[SpanKey, set[SpanKey]] = {}
    for key, verdict in done.verdicts.items():
        for other in verdict.others:
            tell_of.setdefault(other, set()).add(key)
    todo = list(focus)
    while todo:
        key = todo.pop()
        near = set(done.verdicts[key].others)
        if key in done.calls:
            near |= {*provenance.reports_of(done, key), *tell_of.get(key, ())}
        todo += near - focus
        focus |= near
    return focus


def _in_order(done: Recount, trace: TraceId) -> list[bytes]:
    """Parents before their children, and calls by their start."""
    spans = done.traces[trace].spans
    children: dict[bytes, list[bytes]] = {}
    for span_id, facts in spans.items():
        parent = facts.parent_id if facts.parent_id in spans else b""
        children.setdefault(parent, []).append(span_id)
    ordered: dict[bytes, None] = {}
    todo = sorted(children.get(b"", ()), reverse=True)
    while todo:
        span_id = todo.pop()
        if span_id not in ordered:
            ordered[span_id] = None
            todo += sorted(children.get(span_id, ()), key=lambda one: (_start(done, trace, one), one), reverse=True)
    return [*ordered, *sorted(spans.keys() - ordered.keys())]


def _start(done: Recount, trace: TraceId, span_id: bytes) -> int:
    call = done.traces[trace].spans[span_id].call
    return call.start_ns if call else 0


_KINDS = {
    Kind.OTHER: "not GenAI",
    Kind.CALL: "model call",
    Kind.CANDIDATE: "usage without an operation",
    Kind.WRAPPER: "agent, chain or workflow",
    Kind.TOOL: "tool or other step",
    Kind.DETAIL: "detail of a call",
    Kind.EVENT: "log record of a call",
}


def _span(done: Recount, key: SpanKey, catalogue: Catalogue) -> SpanExplained:
    trace, span_id = key
    told = done.traces[trace]
    facts, verdict = told.spans[span_id], done.verdicts[key]
    origin, received_ns = facts.origin, told.received[span_id]
    return SpanExplained(
        span_id=span_id.hex(),
        parent_id=facts.parent_id.hex(),
        kind=_KINDS[facts.kind],
        dialect=origin.dialect if origin else "",
        scope=origin.scope if origin else "",
        told_by=origin.sign if origin else "",
        received_at=rfc3339(received_ns) if received_ns else None,
        reports=told.reports[span_id],
        counted=verdict.reason in COUNTED,
        reason=verdict.reason.value,
        why=TEXT[verdict.reason],
        others=[provenance.ref(other) for other in verdict.others],
        corrections=list(origin.corrections) if origin else [],
        reported=provenance.reported(facts.call),
        call=_call(done, key, catalogue) if key in done.calls else None,
    )


def _call(done: Recount, key: SpanKey, catalogue: Catalogue) -> CallExplained:
    call = done.calls[key]
    return CallExplained(
        provider=call.provider,
        request_model=call.request_model,
        response_model=call.response_model,
        operation=call.operation,
        response_id=call.response_id,
        service_tier=call.service_tier,
        error_type=call.error_type,
        started_at=rfc3339(call.start_ns),
        ended_at=rfc3339(call.end_ns),
        project=call.project,
        tokens=provenance.tokens_of(done, key),
        cost=_cost(call, catalogue),
        dimensions=provenance.dimensions_of(done, key),
        notes=list(call.notes),
        full_model=call.full_model,
    )


def _cost(call: Call, catalogue: Catalogue) -> CostExplained:
    cost = call.cost
    known = cost.kind is not CostKind.UNKNOWN
    return CostExplained(
        cost.kind.name.lower(),
        usd_text(cost.low) if known else None,
        usd_text(cost.high) if known else None,
        cost.price_id,
        cost.catalogue,
        cost.reason,
        [
            LineExplained(
                line.item,
                line.tokens,
                None if line.price is None else _plain(line.price),
                _plain(line.low),
                _plain(line.high),
            )
            for line in itemise(catalogue, call)
        ],
        usd_text(call.reported_cost),
        call.disputed,
    )


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
