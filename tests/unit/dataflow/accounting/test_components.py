"""Components: what has to be settled anew, and nothing else."""

from tests.support.spans import facts_of_span, span_id
from tokensense_otel.core.call import Tokens
from tokensense_otel.dataflow.accounting.components import Components, ancestors
from tokensense_otel.dataflow.facts import Kind, SpanFacts


class Trace:
    def __init__(self) -> None:
        self.spans: dict[bytes, SpanFacts] = {}
        self.components = Components(self.spans)

    def add(self, facts: SpanFacts) -> list[list[int]]:
        """The groups, as span numbers, that this span makes it necessary to settle."""
        self.spans[facts.span_id] = facts
        self.components.link(facts)
        groups = self.components.touched([facts.span_id])
        return sorted(sorted(int.from_bytes(one, "big") for one in group) for group in groups)


def a_call(number: int, parent: int) -> SpanFacts:
    """A call with usage of its own."""
    return facts_of_span(number, parent=parent, tokens=Tokens(number, 1))


def test_a_call_beneath_a_plain_span_is_settled_alone() -> None:
    """2,000 calls beneath one agent make 2,000 small settlements: each of the call and the span around it."""
    trace = Trace()
    assert trace.add(facts_of_span(1, Kind.WRAPPER)) == []
    for number in range(2, 2002):
        assert trace.add(a_call(number, 1)) == [[1, number]]


def test_a_plain_span_touches_what_is_beneath_it() -> None:
    """A root that comes last may name the team of every call, so each is settled anew, still apart."""
    trace = Trace()
    trace.add(a_call(3, 2))
    trace.add(a_call(4, 2))
    assert trace.add(facts_of_span(2, Kind.OTHER, parent=1)) == [[2, 3], [2, 4]]
    assert trace.add(facts_of_span(1, Kind.OTHER)) == [[1, 2, 3], [1, 2, 4]]


def test_reports_within_a_report_belong_together() -> None:
    """Around or beneath, in either order of arrival and past plain spans, nested reports are settled as one."""
    down, up = Trace(), Trace()
    for facts in (a_call(1, 0), facts_of_span(2, Kind.OTHER, parent=1)):
        down.add(facts)
    assert down.add(a_call(3, 2)) == [[1, 2, 3]]
    for facts in (a_call(3, 2), facts_of_span(2, Kind.OTHER, parent=1)):
        up.add(facts)
    assert up.add(a_call(1, 0)) == [[1, 2, 3]]
    middle = Trace()
    for facts in (a_call(1, 0), a_call(3, 2)):
        middle.add(facts)
    assert middle.add(facts_of_span(2, Kind.OTHER, parent=1)) == [[1, 2, 3]]


def test_possible_second_reports_belong_together() -> None:
    """A shared response id anywhere, or equal usage beneath one parent, joins two reports."""
    trace = Trace()
    trace.add(facts_of_span(8, Kind.OTHER))
    trace.add(facts_of_span(9, Kind.OTHER))
    trace.add(facts_of_span(1, parent=8, response_id="r", tokens=Tokens(1, 1)))
    assert trace.add(facts_of_span(2, parent=9, response_id="r", tokens=Tokens(2, 1))) == [[1, 2, 8, 9]]
    trace.add(facts_of_span(3, parent=8, tokens=Tokens(3, 1)))
    assert trace.add(facts_of_span(4, parent=8, tokens=Tokens(3, 1))) == [[3, 4, 8]]
    assert trace.add(facts_of_span(5, parent=9, tokens=Tokens(3, 1))) == [[5, 9]]


def test_calls_adrift_belong_with_what_may_be_around_them() -> None:
    """A call below a span that did not come joins every wrapper with usage, and equal usage at a root or adrift."""
    trace = Trace()
    trace.add(facts_of_span(1, parent=9, tokens=Tokens(1, 1)))
    assert trace.add(facts_of_span(2, parent=8, tokens=Tokens(2, 1))) == [[2]]
    assert trace.add(facts_of_span(3, tokens=Tokens(2, 1))) == [[2, 3]]
    assert trace.add(facts_of_span(4, Kind.WRAPPER, tokens=Tokens(3, 2))) == [[1, 2, 3, 4]]
    assert trace.add(facts_of_span(5, parent=4, tokens=Tokens(5, 1))) == [[1, 2, 3, 4, 5]]
    assert trace.add(facts_of_span(6, Kind.WRAPPER, tokens=Tokens(6, 2))) == [[1, 2, 3, 4, 5, 6]]
    assert trace.add(facts_of_span(7, parent=88, tokens=Tokens(7, 1))) == [[1, 2, 3, 4, 5, 6, 7]]


def test_a_call_adrift_joins_the_wrappers_that_came_before_it() -> None:
    """Wrappers have nothing to do with each other until a call comes that may lie within any of them."""
    trace = Trace()
    trace.add(facts_of_span(1, Kind.WRAPPER, tokens=Tokens(1, 1)))
    assert trace.add(facts_of_span(2, Kind.WRAPPER, tokens=Tokens(2, 1))) == [[2]]
    assert trace.add(facts_of_span(3, parent=9, tokens=Tokens(3, 1))) == [[1, 2, 3]]
    assert trace.add(facts_of_span(4, parent=9, tokens=Tokens(4, 1))) == [[1, 2, 3, 4]]


def test_a_loop_of_parents_has_an_end() -> None:
    """Walking up from a span comes past every span once at most."""
    spans = {span_id(number): a_call(number, number % 3 + 1) for number in range(1, 4)}
    assert [above.span_id for above in ancestors(spans, span_id(1))] == [span_id(2), span_id(3)]
    assert Components(spans).touched([span_id(1)]) == [set(spans)]
