"""Account traces again, from their facts, and remember every reason: the same pure functions as the dataflow runs.

What the dataflow decides as spans come (a trace that is closed, an identity that is forgotten) is decided here with
everything that is known by now, so where that may differ it is remarked.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from tokensense_otel.core.call import Call
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting.joiner import join
from tokensense_otel.dataflow.accounting.ledger import Price
from tokensense_otel.dataflow.accounting.open_trace import OpenTrace
from tokensense_otel.dataflow.accounting.sameness import clusters, same_response, same_twin, witness
from tokensense_otel.dataflow.accounting.shards import may_have_twin, twin_key
from tokensense_otel.dataflow.accounting.trace import settle
from tokensense_otel.dataflow.accounting.verdicts import Reason, Verdicts
from tokensense_otel.dataflow.explain.keep import usage_key
from tokensense_otel.dataflow.explain.sources import Report, Source
from tokensense_otel.dataflow.facts import SpanFacts
from tokensense_otel.store.facts import TraceId

MOST_TRACES: Final = 40
"""Traces that are looked at together. More share an id only where a stub server gives every call the same."""
_SLACK_NS: Final = 2_000_000_000

SpanKey = tuple[TraceId, bytes]
_Same = Callable[[Call, Call], bool]


class Verdict(msgspec.Struct):
    """Why a span counts or does not, over all traces that were looked at."""

    reason: Reason
    others: tuple[SpanKey, ...]


class TraceRecount(msgspec.Struct):
    """A trace: its spans (reports of one span joined), when each was received first, and in how many reports."""

    spans: dict[bytes, SpanFacts]
    received: dict[bytes, int]
    reports: dict[bytes, int]
    verdicts: Verdicts
    calls: dict[bytes, Call]
    """What the trace alone comes to."""
    accounting: Accounting


class Recount:
    """`calls` are what is on the books in the end, by the span of the best witness; `joined` their further reports."""

    def __init__(self) -> None:
        self.traces: dict[TraceId, TraceRecount] = {}
        self.verdicts: dict[SpanKey, Verdict] = {}
        self.calls: dict[SpanKey, Call] = {}
        self.joined: dict[SpanKey, list[SpanKey]] = {}
        self.complete = True
        """Whether every trace that might matter was looked at."""


def recount(source: Source, traces: Iterable[TraceId], price: Price) -> Recount:
    """Account these traces and all others that may hold a second report of one of their calls."""
    done = Recount()
    todo = list(dict.fromkeys(traces))
    while todo:
        trace = todo.pop(0)
        if trace in done.traces:
            continue
        if len(done.traces) >= MOST_TRACES:
            done.complete = False
            break
        done.traces[trace] = settled = _settle(trace, source.reports([trace]), price)
        todo += _related(source, trace, settled.calls.values())
    for trace, settled in done.traces.items():
        for span_id, verdict in settled.verdicts.spans.items():
            others = tuple((trace, other) for other in verdict.others)
            done.verdicts[trace, span_id] = Verdict(verdict.reason, others)
        done.calls |= {(trace, span_id): call for span_id, call in settled.calls.items()}
    _join(done, [key for key, call in done.calls.items() if may_have_twin(call)], twin_key, same_twin, price)
    named = [key for key, call in done.calls.items() if call.response_id]
    _join(done, named, lambda call: f"{call.tenant}\x1f{call.response_id}", same_response, price)
    return done


def _settle(trace: TraceId, reports: list[Report], price: Price) -> TraceRecount:
    held = OpenTrace(trace.tenant, trace.trace_id, 0)
    received: dict[bytes, int] = {}
    counts: dict[bytes, int] = {}
    for report in reports:
        span_id = report.facts.span_id
        held.admit(report.facts)
        received[span_id] = min(received.get(span_id, report.received_ns), report.received_ns)
        counts[span_id] = counts.get(span_id, 0) + 1
    verdicts = Verdicts()
    calls = settle(held.spans, verdicts=verdicts)
    for span_id, call in calls.items():
        held.enter(span_id, call)
    priced = {span_id: msgspec.structs.replace(call, cost=price(call)) for span_id, call in calls.items()}
    outcome = held.outcome()
    outcome.spans = len(reports)
    outcome.duplicates += len(reports) - len(held.spans)
    return TraceRecount(held.spans, received, counts, verdicts, priced, outcome)


def _related(source: Source, trace: TraceId, calls: Iterable[Call]) -> list[TraceId]:
    found: list[TraceId] = []
    for call in calls:
        if call.response_id:
            found += source.with_response(trace.tenant, call.response_id)
        if may_have_twin(call):
            slack_ns = call.end_ns - call.start_ns + _SLACK_NS
            usage = usage_key(call)
            found += source.with_usage(trace.tenant, usage, call.end_ns - slack_ns, call.end_ns + slack_ns)
    return found


def _join(done: Recount, keys: list[SpanKey], key_of: Callable[[Call], str], same: _Same, price: Price) -> None:
    """What a stage of `accounting.identity` does to the calls that go through it."""
    groups: dict[str, list[SpanKey]] = {}
    for key in keys:
        groups.setdefault(key_of(done.calls[key]), []).append(key)
    for group in groups.values():
        if len(group) == 1:
            continue
        at = {(done.calls[key].trace_id, done.calls[key].span_id): key for key in group}
        for cluster in clusters([done.calls[key] for key in group], same):
            if len(cluster) == 1:
                continue
            best, *others = (at[call.trace_id, call.span_id] for call in sorted(cluster, key=witness))
            done.calls[best] = join(cluster, price)
            reason = Reason.USAGE_ELSEWHERE if same is same_twin else Reason.RESPONSE_ELSEWHERE
            for other in others:
                del done.calls[other]
                done.verdicts[other] = Verdict(reason, (best,))
                done.joined.setdefault(best, []).extend([other, *done.joined.pop(other, [])])
                accounting = done.traces[other[0]].accounting
                accounting.calls -= 1
                accounting.duplicates += 1
