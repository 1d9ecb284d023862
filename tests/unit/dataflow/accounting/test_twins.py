"""Two instrumentations around one request, which no response id gives away: together by usage, time and place."""

import pytest

from tests.support.calls import NOON, SECOND
from tests.support.spans import facts_of_span, span_id
from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.dataflow.accounting.sameness import TWIN_GAP_NS, TWIN_SLACK_NS, same_twin
from tokensense_otel.dataflow.accounting.shards import may_have_twin, twin_key
from tokensense_otel.dataflow.accounting.trace import settle
from tokensense_otel.dataflow.facts import Kind, SpanFacts

UNKNOWN = Tokens()
MILLISECOND = 1_000_000


def report(number: int, start_ns: int, end_ns: int, *, tokens: Tokens | None = None, **fields: object) -> Call:
    call = facts_of_span(number, tokens=tokens, **({"start_ns": start_ns, "end_ns": end_ns} | fields)).call  # type: ignore[arg-type]
    assert call is not None
    return call


def settled(*spans: SpanFacts) -> dict[int, Call]:
    calls = settle({facts.span_id: facts for facts in spans})
    assert settle({facts.span_id: facts for facts in reversed(spans)}) == calls
    return {int.from_bytes(number, "big"): call for number, call in calls.items()}


@pytest.mark.parametrize(("apart", "twins"), [(TWIN_SLACK_NS, True), (TWIN_SLACK_NS + 1, False)])
def test_the_first_call_of_a_framework_begins_long_before_its_sdks(apart: int, twins: bool) -> None:
    """Up to the slack at either end, two reports that overlap are of one call, however short the inner one is."""
    framework = report(1, NOON, NOON + apart + 20 * MILLISECOND)
    sdk = report(2, NOON + apart, NOON + apart + 20 * MILLISECOND)
    assert same_twin(framework, sdk) == same_twin(sdk, framework) == twins


@pytest.mark.parametrize(
    ("gap", "streaming", "twins"),
    [(-1, False, True), (0, False, False), (TWIN_GAP_NS - 1, True, True), (TWIN_GAP_NS, True, False)],
)
def test_a_frameworks_span_may_end_when_the_stream_begins(gap: int, streaming: bool, twins: bool) -> None:
    """Reports have to overlap; those of a stream may lie a few milliseconds apart."""
    framework = report(1, NOON, NOON + 20 * MILLISECOND)
    begin = NOON + 20 * MILLISECOND + gap
    sdk = report(2, begin, begin + 20 * MILLISECOND, streaming=streaming)
    assert same_twin(framework, sdk) == twins


@pytest.mark.parametrize(
    ("error", "model", "calls"),
    [("BadRequestError", "gpt-4o", 1), ("", "gpt-4o", 2), ("BadRequestError", "o3", 2)],
    ids=["both failed", "one failed", "other model"],
)
def test_a_failure_told_twice_is_one(error: str, model: str, calls: int) -> None:
    """Two failed reports without usage, beside each other and at one time, are one failed call."""
    found = settled(
        facts_of_span(1, tokens=UNKNOWN, error_type="BadRequest"),
        facts_of_span(2, tokens=UNKNOWN, error_type=error, request_model=model),
    )
    assert len(found) == calls


def test_a_failure_may_have_a_twin_in_another_trace_and_unknown_usage_may_not() -> None:
    """Failures are kept apart by the model that was asked; a success without usage could be anybody's."""
    failed = report(1, NOON, NOON + SECOND, tokens=UNKNOWN, error_type="timeout")
    other = report(2, NOON, NOON + SECOND, tokens=UNKNOWN, error_type="timeout", request_model="o3")
    assert may_have_twin(failed)
    assert twin_key(failed) != twin_key(other)
    assert not may_have_twin(report(3, NOON, NOON + SECOND, tokens=UNKNOWN))


def logfire_stream(*, streaming: bool) -> list[SpanFacts]:
    """A request span of Logfire, the provider's own within it, and beside it the record of the stream's end."""
    return [
        facts_of_span(1, Kind.OTHER),
        facts_of_span(2, Kind.WRAPPER, parent=1),
        facts_of_span(3, parent=2, response_id="msg_1", dialect="anthropic-sdk", streaming=streaming),
        facts_of_span(4, parent=1, streaming=streaming, start_ns=NOON + SECOND // 10),
    ]


@pytest.mark.parametrize(("streaming", "calls"), [(True, [3]), (False, [3, 4])])
def test_the_record_of_a_streams_end_joins_the_sdks_span(streaming: bool, calls: list[int]) -> None:
    """Of a stream one report may lie in a wrapper beside the other; of anything else both have one parent."""
    assert sorted(settled(*logfire_stream(streaming=streaming))) == calls


def test_the_record_of_a_streams_end_is_found_in_another_trace_too() -> None:
    """The provider's own span of a stream may have a twin although it has an id and a parent."""
    (*_, sdk, _) = logfire_stream(streaming=True)
    assert sdk.call is not None
    assert may_have_twin(sdk.call)
    assert not may_have_twin(facts_of_span(5, parent=1, response_id="r1", streaming=True).call or sdk.call)


def test_a_count_that_is_too_high_yields_to_a_better_one() -> None:
    """OpenLLMetry counts the first message of an Anthropic stream twice; another report of it puts that right."""
    stream = {"response_id": "msg_1", "streaming": True, "provider": "anthropic"}
    better = facts_of_span(1, tokens=Tokens(218, 78), **stream)  # type: ignore[arg-type]
    higher = facts_of_span(2, tokens=Tokens(218, 79, 0, 0), dialect="openllmetry", **stream)  # type: ignore[arg-type]
    (call,) = settled(better, higher).values()
    assert call.span_id == span_id(2)
    assert call.tokens == Tokens(218, 78, 0, 0)


def test_input_without_the_cache_is_completed_by_a_report_that_has_it() -> None:
    """205 tokens and the 1150 cached ones that only the outer span knows are its 1355."""
    outer = facts_of_span(1, tokens=Tokens(1355, 65, 1000, 150))
    (call,) = settled(outer, facts_of_span(2, parent=1, tokens=Tokens(205, 65))).values()
    assert call.tokens == Tokens(1355, 65, 1000, 150)


def test_input_that_does_not_add_up_stays_as_it_is() -> None:
    """206 tokens and 1150 cached ones are not 1355, so what the outer span knows of the cache does not fit."""
    outer = facts_of_span(1, tokens=Tokens(1355, 65, 1000, 150))
    (call,) = settled(outer, facts_of_span(2, parent=1, tokens=Tokens(206, 65))).values()
    assert call.tokens == Tokens(206, 65)
