"""Settling a trace: what counts, what tells of the same call again, and whose it is."""

from typing import Any

import msgspec
import pytest

from tests.support.calls import NOON, SECOND
from tests.support.spans import facts_of_span, span_id
from tokensense_otel.core.call import Call, Dimensions, Tokens
from tokensense_otel.dataflow.accounting.sameness import TWIN_SLACK_NS
from tokensense_otel.dataflow.accounting.trace import settle
from tokensense_otel.dataflow.facts import Kind, SpanFacts

UNKNOWN = Tokens()


def settled(*spans: SpanFacts, **options: Any) -> dict[int, Call]:
    """The calls by span number, which must not depend on the order of the spans."""
    calls = settle({facts.span_id: facts for facts in spans}, **options)
    assert settle({facts.span_id: facts for facts in reversed(spans)}, **options) == calls
    return {int.from_bytes(number, "big"): call for number, call in calls.items()}


def test_a_lone_call_counts() -> None:
    """A call that nothing else is known of counts, with its own dimensions before those of its resource."""
    calls = settled(
        facts_of_span(1, own=Dimensions(team="search"), resource=Dimensions(team="platform", service="api"))
    )
    assert calls[1].dimensions == Dimensions(team="search", service="api")
    assert calls[1].project == "default"


def test_of_nested_calls_the_innermost_counts() -> None:
    """Framework, gateway and SDK spans around one request are one call, completed by what only the outer ones know."""
    calls = settled(
        facts_of_span(1, prompt_hash="abc", prefix_hash="ab", tokens=Tokens(100, 10, cache_read=40)),
        facts_of_span(2, parent=1, service_tier="flex"),
        facts_of_span(3, parent=2, response_id="r1"),
    )
    assert list(calls) == [3]
    assert (calls[3].prompt_hash, calls[3].prefix_hash) == ("abc", "ab")
    assert calls[3].service_tier == "flex"
    assert calls[3].tokens == Tokens(100, 10, cache_read=40)


def test_usage_of_the_outer_call_completes_an_inner_one_without_any() -> None:
    """An SDK span of a stream that lost its usage is still the call, with the framework's numbers."""
    calls = settled(facts_of_span(1), facts_of_span(2, parent=1, tokens=UNKNOWN))
    assert list(calls) == [2]
    assert calls[2].tokens == Tokens(100, 10)
    assert any("usage completed" in note for note in calls[2].notes)


def test_retries_within_one_outer_call_are_calls_of_their_own() -> None:
    """A failed and a successful attempt are two calls, and the outer span tells more about the successful one."""
    calls = settled(
        facts_of_span(1, service_tier="flex"),
        facts_of_span(2, parent=1, error_type="RateLimitError", tokens=UNKNOWN),
        facts_of_span(3, parent=1),
    )
    assert list(calls) == [2, 3]
    assert (calls[2].failed, calls[2].tokens, calls[2].service_tier) == (True, UNKNOWN, "")
    assert calls[3].service_tier == "flex"


def test_an_outer_success_above_failures_only_is_a_call_too() -> None:
    """Where everything reported beneath failed, the success was reported by the outer span alone."""
    calls = settled(facts_of_span(1), facts_of_span(2, parent=1, error_type="timeout", tokens=UNKNOWN))
    assert list(calls) == [1, 2]


def test_an_outer_failure_above_a_failure_is_the_same_failure() -> None:
    """A framework's failed call around the SDK's failed call is one error."""
    calls = settled(
        facts_of_span(1, error_type="ChatError", tokens=UNKNOWN),
        facts_of_span(2, parent=1, error_type="timeout", tokens=UNKNOWN),
    )
    assert [call.error_type for call in calls.values()] == ["timeout"]


def test_an_embedding_within_a_chat_is_a_call_of_its_own() -> None:
    """Nesting makes a duplicate only between operations of one family."""
    calls = settled(facts_of_span(1), facts_of_span(2, parent=1, operation="embeddings"))
    assert list(calls) == [1, 2]


def test_siblings_with_one_response_id_are_one_call_by_the_best_witness() -> None:
    """The provider SDK's own numbers win over an instrumentation's beside it, whichever started first."""
    calls = settled(
        facts_of_span(1, parent=9, response_id="m1", tokens=Tokens(100, 11), dialect="openllmetry", prompt_hash="p"),
        facts_of_span(
            2, parent=9, response_id="m1", tokens=Tokens(100, 10), dialect="anthropic-sdk", start_ns=NOON + 5
        ),
    )
    assert list(calls) == [2]
    assert calls[2].tokens.output == 10
    assert calls[2].prompt_hash == "p"


def test_one_response_id_on_calls_at_different_times_is_no_identity() -> None:
    """A stub server that gives one id to every answer does not make its calls one."""
    calls = settled(
        facts_of_span(1, parent=9, response_id="chatcmpl-123", scope="s"),
        facts_of_span(
            2, parent=9, response_id="chatcmpl-123", scope="s", start_ns=NOON + SECOND, end_ns=NOON + 2 * SECOND
        ),
    )
    assert list(calls) == [1, 2]


def test_one_response_id_on_different_models_is_no_identity() -> None:
    """Calls of different models are different calls, whatever id they share."""
    calls = settled(
        facts_of_span(1, parent=9, response_id="same"),
        facts_of_span(2, parent=9, response_id="same", request_model="claude-haiku-4-5"),
    )
    assert list(calls) == [1, 2]


def test_sequential_stub_calls_seen_by_two_instrumentations_pair_up() -> None:
    """With one id for all, each report joins the one that it overlaps most: three calls reported twice are three."""
    spans: list[SpanFacts] = []
    for number in range(3):
        start = NOON + number * SECOND // 10
        times: dict[str, Any] = {"start_ns": start, "end_ns": start + SECOND // 20}
        spans.append(facts_of_span(10 + number, parent=9, response_id="x", scope="sdk", **times))
        spans.append(facts_of_span(20 + number, parent=9, response_id="x", scope="framework", **times))
    assert len(settled(*spans)) == 3


def test_reports_below_spans_that_did_not_come_may_be_beside_each_other() -> None:
    """Of two reports alike one call is left where nobody knows their places, or one is the root and the other lost."""
    lost = facts_of_span(1, parent=9, response_id="r")
    assert len(settled(lost, facts_of_span(2, parent=8))) == 1
    assert len(settled(lost, facts_of_span(2))) == 1
    assert len(settled(lost, facts_of_span(3, Kind.OTHER), facts_of_span(2, parent=3))) == 2
    assert len(settled(lost, facts_of_span(2, parent=8, tokens=Tokens(100, 11)))) == 2


@pytest.mark.parametrize(("starts_ns", "count"), [(0, [1]), (-TWIN_SLACK_NS, [1]), (-TWIN_SLACK_NS - 1, [1, 2])])
def test_a_wrapper_does_not_stand_in_for_calls_adrift_in_its_time(starts_ns: int, count: list[int]) -> None:
    """The span between an agent and its call did not come, so the agent's usage may be that very call's."""
    call = facts_of_span(1, parent=9, start_ns=NOON + starts_ns, end_ns=NOON + SECOND)
    agent = facts_of_span(2, Kind.WRAPPER, tokens=Tokens(100, 10))
    placed = facts_of_span(3, parent=4), facts_of_span(4, Kind.OTHER)
    assert list(settled(call, agent)) == count
    assert list(settled(*placed, agent)) == [2, 3]


def test_siblings_without_response_id_are_joined_by_usage_and_time() -> None:
    """Two instrumentations around one request agree on parent, model, tokens and more than 90 % of the time."""
    first = facts_of_span(1, parent=9)
    assert list(settled(first, facts_of_span(2, parent=9, response_id="r"))) == [1]
    assert len(settled(first, facts_of_span(2, parent=9, tokens=Tokens(100, 11)))) == 2
    places = facts_of_span(8, Kind.OTHER), facts_of_span(9, Kind.OTHER)
    assert len(settled(first, facts_of_span(2, parent=8), *places)) == 2
    assert len(settled(first, facts_of_span(2, parent=9, scope="scope-1"))) == 2, "one instrumentation, two calls"
    half = NOON + SECOND // 2
    assert len(settled(first, facts_of_span(2, parent=9, start_ns=half, end_ns=half + SECOND))) == 2


def test_a_wrapper_counts_only_where_no_call_is_beneath_it() -> None:
    """An agent's own usage stands in for calls that nobody reported, and never for reported ones."""
    agent = facts_of_span(1, Kind.WRAPPER, tokens=Tokens(300, 30))
    alone = settled(agent)
    assert alone[1].tokens == Tokens(300, 30)
    assert any("stands in" in note for note in alone[1].notes)
    assert list(settled(agent, facts_of_span(2, Kind.OTHER, parent=1), facts_of_span(3, parent=2))) == [3]
    assert settled(agent, had_calls=True) == {}


def test_of_nested_wrappers_the_innermost_stands_in() -> None:
    """Chains around an agent repeat its usage."""
    calls = settled(
        facts_of_span(1, Kind.WRAPPER, tokens=Tokens(300, 30)),
        facts_of_span(2, Kind.WRAPPER, parent=1, tokens=Tokens(200, 20)),
    )
    assert list(calls) == [2]


def test_a_candidate_counts_only_with_a_model_and_alone() -> None:
    """Usage without an operation is a call unless a call is above or beneath it, or no model is named."""
    assert list(settled(facts_of_span(1, Kind.CANDIDATE))) == [1]
    assert settled(facts_of_span(1, Kind.CANDIDATE, request_model="")) == {}
    assert list(settled(facts_of_span(1, Kind.CANDIDATE), facts_of_span(2, parent=1))) == [2]
    assert list(settled(facts_of_span(1), facts_of_span(2, Kind.CANDIDATE, parent=1))) == [1]
    assert list(settled(facts_of_span(1, Kind.CANDIDATE), facts_of_span(2, Kind.CANDIDATE, parent=1))) == [2]
    agent = facts_of_span(1, Kind.WRAPPER, tokens=Tokens(300, 30))
    assert list(settled(agent, facts_of_span(2, Kind.CANDIDATE, parent=1))) == [2]


def test_a_detail_adds_to_its_call_and_never_counts() -> None:
    """The raw request beneath a call tells its cached tokens; without the call it is nothing."""
    detail = facts_of_span(2, Kind.DETAIL, parent=1, tokens=Tokens(100, 10, cache_read=60))
    assert settled(detail) == {}
    assert settled(facts_of_span(1), detail)[1].tokens.cache_read == 60


def test_dimensions_come_from_the_nearest_ancestor_that_names_them() -> None:
    """Own before parent before root before resource, dimension by dimension, across spans of other kinds."""
    calls = settled(
        facts_of_span(1, Kind.OTHER, own=Dimensions(team="search", user="root", session="s"), project="shop"),
        facts_of_span(2, Kind.WRAPPER, parent=1, own=Dimensions(user="mid", feature="triage")),
        facts_of_span(3, parent=2, own=Dimensions(session="own"), resource=Dimensions(team="platform", service="api")),
    )
    assert calls[3].dimensions == Dimensions("search", "triage", "", "api", "mid", "own")
    assert calls[3].project == "shop"


def test_a_second_report_names_dimensions_that_the_first_does_not() -> None:
    """What only the dropped report beside a call knows of its user is kept."""
    calls = settled(
        facts_of_span(1, parent=9, response_id="m", dialect="anthropic-sdk"),
        facts_of_span(2, parent=9, response_id="m", own=Dimensions(user="u7")),
    )
    assert calls[1].dimensions.user == "u7"


def test_loops_of_parents_end() -> None:
    """Spans that claim each other or themselves as parent are settled, and no call of theirs is lost."""
    looped = [facts_of_span(1, parent=2), facts_of_span(2, parent=1, operation="embeddings")]
    assert len(settled(*looped)) == 2
    assert len(settled(facts_of_span(1, parent=1))) == 1
    assert len(settled(facts_of_span(1, parent=2), facts_of_span(2, parent=3), facts_of_span(3, parent=1))) >= 1


def test_settling_leaves_the_facts_alone() -> None:
    """The spans are read, not changed: the ledger settles the same ones again."""
    facts = facts_of_span(1)
    before = msgspec.msgpack.encode(facts)
    settle({span_id(1): facts})
    assert msgspec.msgpack.encode(facts) == before
