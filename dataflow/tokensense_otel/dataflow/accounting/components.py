"""The parts of an open trace that can be settled apart, so that a long trace is not settled anew for every span.

Children end before their parents, so a trace arrives as many small trees that grow together. Two spans can matter to
each other only if one lies within the other, or if they may report one call: the same response id, or the same usage
under the same parent. Spans that are linked in none of these ways are in different components. Components only grow.
"""

from collections.abc import Mapping

from tokensense_otel.dataflow.facts import SpanFacts

Node = bytes | tuple[str | bytes, ...]
"""A span by its id, or something that spans have in common."""


class Components:
    """Disjoint sets of spans; the smaller always joins the larger."""

    def __init__(self) -> None:
        self._leader: dict[Node, Node] = {}
        self._members: dict[Node, list[Node]] = {}
        self._orphans: dict[bytes, list[bytes]] = {}
        """Parent that has not come yet → its children that have."""

    def link(self, facts: SpanFacts, present: Mapping[bytes, SpanFacts]) -> None:
        """Put a span, new or reported anew, where it belongs. `present` holds every span of the trace."""
        span_id, parent_id = facts.span_id, facts.parent_id
        self._add(span_id)
        if parent_id in present:
            self._unite(span_id, parent_id)
        elif parent_id:
            self._orphans.setdefault(parent_id, []).append(span_id)
        for child in self._orphans.pop(span_id, ()):
            self._unite(span_id, child)
        call = facts.call
        if call is not None:
            if call.response_id:
                self._unite(span_id, ("response", call.response_id))
            if call.tokens.known:
                self._unite(span_id, ("usage", parent_id, f"{call.tokens.input},{call.tokens.output}"))

    def of(self, span_ids: set[bytes]) -> list[list[bytes]]:
        """The spans of each component that one of these spans is in."""
        leaders = {self._leader[span_id] for span_id in span_ids}
        return [[node for node in self._members[leader] if isinstance(node, bytes)] for leader in leaders]

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
