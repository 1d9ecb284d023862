"""The parts of an open trace that can be settled apart, so that a long trace is not settled anew for every span.

Reports of calls can matter to each other only if one lies within the other, or if they may be of one call: the same
response id, or the same usage under the same parent or in a wrapper there. Of calls adrift, below a span that did not
come, nobody knows what they lie within: any wrapper may be around them. Reports that are linked in none of these ways
are in different components, which only ever grow. Spans that report no call join nothing; they lend dimensions to
what is beneath them, so whatever is beneath a span is settled anew when that span comes.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from tokensense_otel.dataflow.accounting.sameness import size
from tokensense_otel.dataflow.facts import Kind, SpanFacts

Node = bytes | tuple[str | bytes, ...]
"""A span by its id, or something that spans have in common."""
Spans = Mapping[bytes, SpanFacts]


_UNPLACED: Final = b"unplaced"
"""Where calls adrift are, and roots, which may be around them."""


class Components:
    """Disjoint sets of reports; the smaller always joins the larger. `spans` is every span of the trace that came."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._leader: dict[Node, Node] = {}
        self._members: dict[Node, list[Node]] = {}
        self._children: dict[bytes, list[bytes]] = {}
        self._adrift: list[bytes] = []
        self._wrappers: list[bytes] = []
        for facts in spans.values():
            self.link(facts)

    def link(self, facts: SpanFacts) -> None:
        """Put a span, new or reported anew, where it belongs."""
        span_id, parent_id, call = facts.span_id, facts.parent_id, facts.call
        siblings = self._children.setdefault(parent_id, [])
        if span_id not in siblings[-1:]:
            siblings.append(span_id)
        if facts.kind is Kind.WRAPPER:
            for child in self._children.get(span_id, ()):
                self._link_usage(self._spans[child], facts.parent_id)
        around = next((above.span_id for above in ancestors(self._spans, span_id) if above.call is not None), None)
        if call is None:
            if around is not None:
                self._embrace(around, span_id)
            return
        self._add(span_id)
        self._embrace(span_id, span_id)
        if around is not None:
            self._unite(span_id, around)
        lost = adrift(self._spans, span_id)
        if lost or not parent_id:
            self._link_usage(facts, _UNPLACED)
        if facts.kind is Kind.WRAPPER:
            self._link_loosely(span_id, self._wrappers, self._adrift)
        elif lost:
            self._link_loosely(span_id, self._adrift, self._wrappers)
        if call.response_id:
            self._unite(span_id, ("response", call.response_id))
        if facts.kind is Kind.EVENT:
            self._unite(span_id, ("events", parent_id))
        self._link_usage(facts, parent_id)
        parent = self._spans.get(parent_id)
        if parent is not None and parent.kind is Kind.WRAPPER:
            self._link_usage(facts, parent.parent_id)

    def _link_loosely(self, span_id: bytes, own: list[bytes], others: list[bytes]) -> None:
        """Unite all wrappers that report usage with all calls adrift, which may lie within any of them."""
        own.append(span_id)
        if others:
            for other in others if len(own) == 1 else others[:1]:
                self._unite(span_id, other)

    def _link_usage(self, facts: SpanFacts, place: bytes) -> None:
        """Unite a report with those of the same usage that were made in one span."""
        call = facts.call
        if call is not None and (call.tokens.known or call.failed):
            sent, answered = size(call)
            self._unite(facts.span_id, ("usage", place, f"{sent},{answered}"))

    def touched(self, span_ids: Iterable[bytes]) -> list[set[bytes]]:
        """What to settle anew after these spans came or changed: components, each with the spans around its members."""
        leaders = {
            self._leader[beneath]
            for span_id in span_ids
            for beneath in (span_id, *self._beneath(span_id, past_reports=True))
            if self._spans[beneath].call is not None
        }
        groups: list[set[bytes]] = []
        for leader in leaders:
            group = {node for node in self._members[leader] if isinstance(node, bytes)}
            for span_id in tuple(group):
                for above in ancestors(self._spans, span_id):
                    if above.span_id in group:
                        break
                    group.add(above.span_id)
            groups.append(group)
        return groups

    def _embrace(self, around: bytes, span_id: bytes) -> None:
        """Unite a report with the nearest reports beneath a span."""
        for beneath in self._beneath(span_id, past_reports=False):
            if self._spans[beneath].call is not None:
                self._unite(around, beneath)

    def _beneath(self, span_id: bytes, *, past_reports: bool) -> list[bytes]:
        """The spans beneath a span, down to the nearest reports or all the way."""
        found: list[bytes] = []
        seen = {span_id}
        todo = [span_id]
        while todo:
            for child in self._children.get(todo.pop(), ()):
                if child not in seen:
                    seen.add(child)
                    found.append(child)
                    if past_reports or self._spans[child].call is None:
                        todo.append(child)
        return found

    def _add(self, node: Node) -> Node:
        leader = self._leader.get(node)
        if leader is None:
            self._leader[node] = leader = node
            self._members[node] = [node]
        return leader

    def _unite(self, one: Node, two: Node) -> None:
        large, small = self._add(one), self._add(two)
        if large == small:
            return
        if len(self._members[large]) < len(self._members[small]):
            large, small = small, large
        moved = self._members.pop(small)
        self._members[large] += moved
        for node in moved:
            self._leader[node] = large


def adrift(spans: Spans, span_id: bytes) -> bool:
    """Whether a span or one above it names a parent that did not come, so that nobody knows what it lies within."""
    top = spans[span_id]
    for above in ancestors(spans, span_id):
        top = above
    return bool(top.parent_id) and top.parent_id not in spans


def ancestors(spans: Spans, span_id: bytes) -> Iterable[SpanFacts]:
    """From the parent up, as far as spans have come; a loop of parents ends where it closes."""
    seen = {span_id}
    parent = spans[span_id].parent_id
    while parent and parent not in seen:
        facts = spans.get(parent)
        if facts is None:
            return
        yield facts
        seen.add(parent)
        parent = facts.parent_id
