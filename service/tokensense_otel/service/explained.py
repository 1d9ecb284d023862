"""An explanation as text: a table of the spans, then each call in full."""

from tokensense_otel.core.call import UNATTRIBUTED
from tokensense_otel.core.usage import ACCOUNTING_FIELDS
from tokensense_otel.dataflow.explain.explanation import (
    CallExplained,
    CostExplained,
    Explanation,
    SpanExplained,
    SpanRef,
    TraceExplained,
)
from tokensense_otel.dataflow.normalise.corrections import MEANING, Correction
from tokensense_otel.service.output import print_table, say

_NOT_OF_SPANS = frozenset({"records", "metered"})


def print_explanation(explanation: Explanation) -> None:
    for trace in explanation.traces:
        _print_trace(trace)
    for remark in explanation.remarks:
        say(f"note: {remark}")


def _print_trace(trace: TraceExplained) -> None:
    became = {name: getattr(trace.accounting, name) for name in ACCOUNTING_FIELDS}
    counts = ", ".join(f"{count} {name}" for name, count in became.items() if count or name not in _NOT_OF_SPANS)
    say(f"trace {trace.trace_id} of tenant {_plain(trace.tenant)}: {counts}")
    say()
    rows = [
        (
            span.span_id,
            span.parent_id or None,
            span.kind,
            span.dialect or None,
            span.told_by or span.scope or None,
            "yes" if span.counted else "no",
            span.why + _others(span.others, trace.trace_id),
        )
        for span in trace.spans
    ]
    print_table(("span", "parent", "taken for", "dialect", "because of", "counts", "why"), rows)
    say()
    for span in trace.spans:
        _print_span(span, trace.trace_id)


def _print_span(span: SpanExplained, trace_id: str) -> None:
    if span.reports > 1:
        say(f"span {span.span_id} was reported {span.reports} times with different content; it is one span")
    for name in span.corrections:
        say(f"span {span.span_id} was corrected, {name}: {MEANING[Correction(name)]}")
    if span.call is not None:
        _print_call(span.span_id, span.call, trace_id)


def _print_call(span_id: str, call: CallExplained, trace_id: str) -> None:
    model = _plain(call.response_model or call.request_model or "no model named")
    failed = f", failed: {_plain(call.error_type)}" if call.error_type else ""
    say(f"call {span_id}: {_plain(call.provider or 'unknown provider')}/{model}, {call.operation}{failed}")
    asked, response = _plain(call.request_model) or "–", _plain(call.response_id) or "–"
    full = f", in full {_plain(call.full_model)}" if call.full_model else ""
    say(f"  asked for {asked}{full}, response {response}, ended {call.ended_at}")
    for tokens in call.tokens:
        told_by = _where(tokens.told_by, span_id, trace_id) if tokens.told_by else "inferred"
        say(f"  {tokens.name.replace('_', ' ')}: {tokens.count:,} ({told_by})")
    for note in call.notes:
        say(f"  note: {_plain(note)}")
    _print_cost(call.cost)
    _print_reported(call.cost)
    nameless = [dimension.name for dimension in call.dimensions if not dimension.value]
    if nameless:
        say(f"  {UNATTRIBUTED}: {', '.join(nameless)}")
    for dimension in call.dimensions:
        if dimension.told_by is None:
            continue
        attribute = f"{_plain(dimension.attribute)} of " if dimension.attribute else ""
        place = "the resource of " if dimension.place == "resource" else ""
        where = _where(dimension.told_by, span_id, trace_id)
        say(f"  {dimension.name}: {_plain(dimension.value)} ({attribute}{place}{where})")
    say()


def _print_cost(cost: CostExplained) -> None:
    if cost.low_usd is None:
        say(f"  cost: unknown, {_plain(cost.reason)}")
        return
    amount = f"${cost.low_usd}" if cost.low_usd == cost.high_usd else f"${cost.low_usd} to ${cost.high_usd}"
    why = f"; {_plain(cost.reason)}" if cost.reason else ""
    say(f"  cost: {amount}, {cost.kind}{why}; price {_plain(cost.price_id)} of {cost.catalogue}")
    for line in cost.lines:
        sum_ = f"${line.low_usd}" if line.low_usd == line.high_usd else f"${line.low_usd} to ${line.high_usd}"
        tokens = "" if line.tokens is None else f" {line.tokens:,}"
        price = "" if line.price_usd is None else f" × ${line.price_usd} a million"
        say(f"    {line.item}{tokens}{price} = {sum_}")


def _print_reported(cost: CostExplained) -> None:
    if cost.reported_usd is not None:
        off = ", more than 2 % off" if cost.disputed else ""
        say(f"  cost that the emitter reports: ${cost.reported_usd}{off}")


def _others(others: list[SpanRef], trace_id: str) -> str:
    if not others:
        return ""
    shown = ", ".join(_where(other, "", trace_id).removeprefix("span ") for other in others[:4])
    return f" ({shown}{', …' if len(others) > 4 else ''})"


def _where(span: SpanRef, span_id: str, trace_id: str) -> str:
    if span.trace_id != trace_id:
        return f"span {span.span_id} of trace {span.trace_id}"
    return "this span" if span.span_id == span_id else f"span {span.span_id}"


def _plain(text: str) -> str:
    """Names come from telemetry: nothing in them may steer a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
