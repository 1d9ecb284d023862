"""Settling a trace in which no two reports can be about one call, as nearly all are.

`trace.settle` weighs reports against each other: calls within calls, two instrumentations around one request, usage of
wrappers, log records. Where there is nothing to weigh, each call is the one that it says it is, and all that is left is
whose it is. What is plain is decided on the safe side; the other way then comes to the same, only later.
"""

from collections.abc import Mapping

import msgspec

from tokensense_otel.core.call import DEFAULT_PROJECT, Call
from tokensense_otel.dataflow.accounting.merge import over
from tokensense_otel.dataflow.facts import Kind, SpanFacts

_CALL, _WRAPPER = Kind.CALL, Kind.WRAPPER
_NO_REPORT = frozenset({Kind.OTHER, Kind.TOOL})
_replace = msgspec.structs.replace


def settle_plainly(spans: Mapping[bytes, SpanFacts]) -> dict[bytes, Call] | None:
    """The calls among the spans of one trace by their span ids; `None` where it takes more to tell.

    It is plain if all calls were reported by one instrumentation, with response ids that differ, none of them within
    another, and if nothing else tells of calls: no usage of wrappers, no details, no records.
    """
    calls: list[SpanFacts] = []
    for facts in spans.values():
        kind = facts.kind
        if kind is _CALL:
            calls.append(facts)
        elif kind not in _NO_REPORT and not (kind is _WRAPPER and (facts.call is None or not facts.call.tokens.known)):
            return None
    if len(calls) > 1 and not _apart(calls):
        return None
    settled: dict[bytes, Call] = {}
    for facts in calls:
        call = _owned(facts, spans)
        if call is None:
            return None
        settled[facts.span_id] = call
    return settled


def _apart(reports: list[SpanFacts]) -> bool:
    first = reports[0].call
    responses: set[str] = set()
    for facts in reports:
        call = facts.call
        if call is None or first is None or call.scope != first.scope or call.source is not first.source:
            return False
        if call.response_id:
            if call.response_id in responses:
                return False
            responses.add(call.response_id)
    return True


def _owned(facts: SpanFacts, spans: Mapping[bytes, SpanFacts]) -> Call | None:
    """The call with whose it is: what its span says, then the spans around it, then its resource."""
    call = facts.call
    where, project = facts.own, facts.project
    above, steps = spans.get(facts.parent_id), len(spans)
    while above is not None:
        steps -= 1
        if above.kind is _CALL or steps <= 0:  # within another call, or within itself
            return None
        where = over(where, above.own)
        project = project or above.project
        above = spans.get(above.parent_id)
    if call is None:
        return None
    return _replace(
        call, dimensions=over(where, facts.resource), project=project or facts.resource_project or DEFAULT_PROJECT
    )
