"""Where facts for an explanation come from: what the store kept, or recordings read for the purpose."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from sqlalchemy import Engine

from tokensense_otel.dataflow.explain.keep import from_kept, to_kept
from tokensense_otel.dataflow.facts import Kind, SpanFacts
from tokensense_otel.store.facts import Match, Shelf, TraceId


class Report(NamedTuple):
    """One report of a span, and when it was received (Unix ns, 0 where nobody knows)."""

    received_ns: int
    facts: SpanFacts


class Source(Protocol):
    """`find` gives what an id, or the beginning of one, names; `reports` every distinct report of some traces' spans;
    the others the traces with this response, or with a call of this usage (`keep.usage_key`) that ended within a time.
    """

    def find(self, name: str) -> list[Match]: ...
    def reports(self, traces: Iterable[TraceId]) -> list[Report]: ...
    def with_response(self, tenant: str, response_id: str) -> list[TraceId]: ...
    def with_usage(self, tenant: str, usage: str, since_ns: int, until_ns: int) -> list[TraceId]: ...


class Kept:
    """What the store kept, as it is when this is made. `tenant` limits which ids are found."""

    def __init__(self, engine: Engine, tenant: str | None = None) -> None:
        self._shelf = Shelf(engine)
        self._tenant = tenant

    def find(self, name: str) -> list[Match]:
        return self._shelf.find(name, tenant=self._tenant)

    def reports(self, traces: Iterable[TraceId]) -> list[Report]:
        return [Report(span.received_ns, from_kept(span)) for span in self._shelf.spans_of(traces)]

    def with_response(self, tenant: str, response_id: str) -> list[TraceId]:
        return self._shelf.with_response(tenant, response_id)

    def with_usage(self, tenant: str, usage: str, since_ns: int, until_ns: int) -> list[TraceId]:
        return self._shelf.with_usage(tenant, usage, since_ns, until_ns)


class Recorded:
    """The facts of recordings, in memory."""

    def __init__(self) -> None:
        self._traces: dict[TraceId, dict[bytes, Report]] = {}
        self._genai: set[TraceId] = set()
        self._responses: dict[tuple[str, str], set[TraceId]] = {}
        self._usages: dict[tuple[str, str], list[tuple[int, TraceId]]] = {}

    def add(self, facts: SpanFacts, received_ns: int = 0) -> None:
        span = to_kept(facts, received_ns)
        trace = TraceId(facts.tenant, facts.trace_id)
        self._traces.setdefault(trace, {}).setdefault(span.span_id + span.body, Report(received_ns, facts))
        if facts.kind is not Kind.OTHER:
            self._genai.add(trace)
        if span.response_id:
            self._responses.setdefault((facts.tenant, span.response_id), set()).add(trace)
        if facts.call is not None:
            self._usages.setdefault((facts.tenant, span.usage), []).append((span.ended_ns, trace))

    @property
    def traces(self) -> list[TraceId]:
        """Those with any GenAI span, as the store keeps them."""
        return sorted(self._genai)

    def find(self, name: str) -> list[Match]:
        digits, matches = name.lower(), set[Match]()
        for trace in self._genai:
            if trace.trace_id.hex().startswith(digits):
                matches.add(Match("trace", trace.trace_id.hex(), trace))
            for report in self._traces[trace].values():
                span_id, call = report.facts.span_id.hex(), report.facts.call
                if span_id.startswith(digits):
                    matches.add(Match("span", span_id, trace))
                if call is not None and call.response_id and call.response_id.startswith(name):
                    matches.add(Match("response", call.response_id, trace))
        return sorted(matches)

    def reports(self, traces: Iterable[TraceId]) -> list[Report]:
        return [report for trace in traces for report in self._traces.get(trace, {}).values()]

    def with_response(self, tenant: str, response_id: str) -> list[TraceId]:
        return sorted(self._responses.get((tenant, response_id), ()))

    def with_usage(self, tenant: str, usage: str, since_ns: int, until_ns: int) -> list[TraceId]:
        found = self._usages.get((tenant, usage), ())
        return sorted({trace for ended_ns, trace in found if since_ns <= ended_ns <= until_ns})
