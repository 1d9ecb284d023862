"""The tree of one trace: which calls lie within others, and what spans hand down to those within them."""

from collections.abc import Iterable, Mapping

from tokensense_otel.core.call import Call, Dimensions
from tokensense_otel.dataflow.accounting.components import ancestors
from tokensense_otel.dataflow.accounting.merge import over
from tokensense_otel.dataflow.facts import SpanFacts


class Tree:
    """`calls` are the spans taken for calls at the moment; whoever changes them says so with `add`."""

    def __init__(self, spans: Mapping[bytes, SpanFacts], calls: Mapping[bytes, Call]) -> None:
        self._spans = spans
        self._calls = calls
        self.over_calls: set[bytes] = set()
        """Spans with a call somewhere beneath them."""
        self._above: dict[bytes, bytes] = {}
        """Span id → the nearest call that it lies within, empty for none; a memo."""
        self._dimensions: dict[bytes, Dimensions] = {}

    def add(self, calls: Iterable[bytes]) -> None:
        """These spans are taken for calls from now on."""
        self._above.clear()
        for span_id in calls:
            for facts in self.ancestors(span_id):
                if facts.span_id in self.over_calls:
                    break
                self.over_calls.add(facts.span_id)

    def ancestors(self, span_id: bytes) -> Iterable[SpanFacts]:
        """From the parent up, as far as spans have come."""
        return ancestors(self._spans, span_id)

    def call_above(self, span_id: bytes) -> bytes:
        """The nearest call around a span; empty if there is none."""
        path: list[bytes] = []
        found = b""
        current = span_id
        for facts in self.ancestors(span_id):
            known = self._above.get(current)
            if known is not None:
                found = known
                break
            path.append(current)
            current = facts.span_id
            if current in self._calls:
                found = current
                break
        else:
            if self._spans[current].parent_id in self._spans:
                # The parents form a loop, so the spans passed on the way may lie within this very span.
                path = path[:1]
        for passed in path:
            self._above[passed] = found
        return found

    def depth(self, span_id: bytes) -> tuple[int, bytes]:
        """How many calls a span lies within; the id makes it an order."""
        depth = 0
        above = self.call_above(span_id)
        while above and depth < len(self._calls):
            depth += 1
            above = self.call_above(above)
        return depth, span_id

    def inherited(self, span_id: bytes) -> Dimensions:
        """What the span and its ancestors name, the nearest first."""
        path = [self._spans[span_id]]
        known: Dimensions | None = self._dimensions.get(span_id)
        if known is not None:
            return known
        for facts in self.ancestors(span_id):
            known = self._dimensions.get(facts.span_id)
            if known is not None:
                break
            path.append(facts)
        found = known or Dimensions()
        for facts in reversed(path):
            found = self._dimensions[facts.span_id] = over(facts.own, found)
        return found

    def project(self, facts: SpanFacts) -> str:
        """The project that the span, the nearest span around it that names one, or else its resource says."""
        if facts.project:
            return facts.project
        for above in self.ancestors(facts.span_id):
            if above.project:
                return above.project
        return facts.resource_project
