"""Ids, provenance and remarks: what is shown of an explanation, and what it says that the books cannot."""

import pytest

from tests.support.calls import SECOND
from tests.support.explaining import explained, recorded, spans_in
from tests.support.spans import TRACE, an_otlp_span, facts_of_span, normalised
from tokensense_otel.core.call import Dimensions, Tokens
from tokensense_otel.dataflow.accounting import AccountingConfig
from tokensense_otel.dataflow.explain.explain import Unexplained
from tokensense_otel.dataflow.explain.explanation import SpanRef
from tokensense_otel.dataflow.explain.sources import Recorded
from tokensense_otel.dataflow.facts import Kind

OTHER_TRACE = bytes(15) + b"\x08"
ID = TRACE.hex()
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 10}


OTHER_CALL = facts_of_span(9, tokens=Tokens(7, 7))


def span(number: int, trace: bytes = TRACE) -> SpanRef:
    return SpanRef(trace.hex(), number.to_bytes(8, "big").hex())


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("abc", "too short"),
        ("abcd", "nothing that is kept"),
        ("00000000", "write more of it"),
        ("r-12", "response r-123, response r-124"),
    ],
)
def test_an_id_has_to_name_one_thing(name: str, problem: str) -> None:
    """What is too short, unknown or ambiguous is said, with what it may be."""
    source = recorded([facts_of_span(1, response_id="r-123"), facts_of_span(2, response_id="r-124")])
    with pytest.raises(Unexplained, match=problem):
        explained(source, name)


def test_a_whole_id_is_itself_though_others_begin_with_it() -> None:
    """`r-1` exists, so it is not ambiguous with `r-123`."""
    source = recorded([facts_of_span(1, response_id="r-1x"), facts_of_span(2, response_id="r-1x3")])
    assert explained(source, "r-1x").name == "r-1x"


def test_traces_without_genai_are_not_explained() -> None:
    """As in the store, they are not there."""
    with pytest.raises(Unexplained):
        explained(recorded([facts_of_span(1, Kind.OTHER)]), ID)


def test_a_span_shows_with_everything_that_tells_of_its_call() -> None:
    """Asked for an outer call, the inner one that counts is shown, and what has nothing to do with it is not."""
    source = recorded(
        [facts_of_span(1), facts_of_span(2, parent=1), facts_of_span(3, Kind.DETAIL, parent=2), OTHER_CALL]
    )
    shown = spans_in(explained(source, span(1).span_id))
    assert {SpanRef(*key) for key in shown} == {span(1), span(2), span(3)}
    assert shown[ID, span(1).span_id].reason == "calls_within"
    assert shown[ID, span(1).span_id].others == [span(2)]


def test_a_response_in_two_traces_counts_once() -> None:
    """The better witness counts, the other says where it is; each trace's accounting shows it."""
    poor = facts_of_span(1, response_id="r-99", tokens=Tokens(100, 10), parent=9)
    rich = facts_of_span(2, response_id="r-99", tokens=Tokens(100, 10, 0), parent=9, trace_id=OTHER_TRACE)
    explanation = explained(recorded([poor, rich]), "r-99")
    shown = spans_in(explanation)
    assert shown[ID, span(1).span_id].reason == "response_elsewhere"
    assert shown[ID, span(1).span_id].others == [span(2, OTHER_TRACE)]
    assert shown[OTHER_TRACE.hex(), span(2).span_id].counted
    assert [(trace.accounting.calls, trace.accounting.duplicates) for trace in explanation.traces] == [(0, 1), (1, 0)]


def test_a_twin_in_another_trace_counts_once() -> None:
    """Without a response id, two instrumentations with one service, usage and time tell of one call."""
    one, two = facts_of_span(1), facts_of_span(2, trace_id=OTHER_TRACE)
    reasons = {span.reason for span in spans_in(explained(recorded([one, two]), ID)).values()}
    assert reasons == {"call", "usage_elsewhere"}


def test_dimensions_name_their_span_and_attribute() -> None:
    """The span itself, an ancestor, the resource, or nobody."""
    facts = normalised(
        an_otlp_span({"team": "search"}, number=1),
        an_otlp_span(CHAT | {"feature": "summary"}, number=2, parent=1),
        resource={"service.name": "cart"},
    )
    call = spans_in(explained(recorded(facts), ID))[ID, span(2).span_id].call
    assert call is not None
    assert {each.name: (each.value, each.place, each.attribute, each.told_by) for each in call.dimensions} == {
        "team": ("search", "ancestor", "team", span(1)),
        "feature": ("summary", "span", "feature", span(2)),
        "environment": ("", "", "", None),
        "service": ("cart", "resource", "service.name", span(2)),
        "user": ("", "", "", None),
        "session": ("", "", "", None),
        "agent": ("", "", "", None),
    }


def test_tokens_name_the_report_that_counted_them() -> None:
    """A class that only the outer call reports is told by it."""
    outer = facts_of_span(1, tokens=Tokens(100, 10, 40))
    inner = facts_of_span(2, parent=1, tokens=Tokens(100, 10))
    call = spans_in(explained(recorded([outer, inner]), ID))[ID, span(2).span_id].call
    assert call is not None
    assert [(each.name, each.count, each.told_by) for each in call.tokens] == [
        ("input", 100, span(2)),
        ("output", 10, span(2)),
        ("cache_read", 40, span(1)),
    ]


def test_two_reports_of_one_span_are_said() -> None:
    """A span that was exported twice with other content is one span of two reports, and a duplicate in the books."""
    first, second = facts_of_span(1), facts_of_span(1, own=Dimensions(team="search"))
    explanation = explained(recorded([first, second, first]), ID)
    assert [span.reports for span in spans_in(explanation).values()] == [2]
    assert (explanation.traces[0].accounting.spans, explanation.traces[0].accounting.duplicates) == (2, 1)


@pytest.mark.parametrize(("apart", "remarks"), [(119 * SECOND, 0), (120 * SECOND, 1)])
def test_it_is_said_where_the_books_knew_less(apart: int, remarks: int) -> None:
    """Spans of a trace, or reports of a call, that came further apart than is waited for may have counted alone."""
    config = AccountingConfig(trace_idle_s=120, identity_window_s=120)
    within = Recorded()
    within.add(facts_of_span(1), SECOND)
    within.add(facts_of_span(2, Kind.WRAPPER), SECOND + apart)
    assert len(explained(within, ID, config).remarks) == remarks
    across = Recorded()
    across.add(facts_of_span(1, response_id="r-99"), SECOND)
    across.add(facts_of_span(2, response_id="r-99", trace_id=OTHER_TRACE), SECOND + apart)
    assert len(explained(across, "r-99", config).remarks) == remarks


def test_a_parent_that_never_came_is_said() -> None:
    """What it may have named is not known."""
    (remark,) = explained(recorded([facts_of_span(1, parent=9)]), ID).remarks
    assert "1 spans have a parent that was not received" in remark


def test_an_id_that_every_call_shares_is_bounded() -> None:
    """A stub server's response id in hundreds of traces does not make an explanation read them all."""
    source = recorded(
        facts_of_span(1, response_id="chatcmpl-123", trace_id=number.to_bytes(16, "big")) for number in range(1, 200)
    )
    explanation = explained(source, (1).to_bytes(16, "big").hex())
    assert "more than 40 traces" in explanation.remarks[-1]


@pytest.mark.parametrize(
    ("reported", "shown", "disputed"), [(None, None, False), (4_500_000, "0.0045", False), (4_000_000, "0.004", True)]
)
def test_the_emitter_s_own_cost_is_shown_beside_ours(reported: int | None, shown: str | None, disputed: bool) -> None:
    """1,000 × 3 + 100 × 15 USD a million by the full name's price, and whether the emitter's figure is far off."""
    full = "global.anthropic.claude-sonnet-4-5-20250929-v1:0"
    facts = facts_of_span(
        1,
        tokens=Tokens(1_000, 100, 0, 0),
        provider="aws.bedrock",
        request_model="claude-sonnet-4-5-20250929",
        full_model=full,
        reported_cost=reported,
    )
    (found,) = spans_in(explained(recorded([facts]), ID)).values()
    assert found.call is not None
    assert found.call.full_model == full
    assert (found.call.cost.low_usd, found.call.cost.reported_usd, found.call.cost.disputed) == (
        "0.0045",
        shown,
        disputed,
    )
