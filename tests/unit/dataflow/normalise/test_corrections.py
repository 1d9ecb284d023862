"""Bad input: each kind is corrected or refused for a reason of its own, which is counted; the rest stays as it is."""

from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.calls import NOON, SECOND
from tests.support.spans import a_request, an_otlp_span, key_values
from tokensense_otel.core.tally import Tallies, Tally, What
from tokensense_otel.dataflow.facts import SpanFacts
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.normalise.corrections import MEANING, Correction
from tokensense_otel.dataflow.normalise.sanity import DAY_NS, EARLIEST_NS

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"}
USAGE = CHAT | {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}
RECEIVED = NOON + 5 * SECOND


def read(span: Span, *, scope: str = "", received_ns: int = RECEIVED) -> tuple[list[SpanFacts], dict[str, int]]:
    """The facts of a span of the service `cart`, and the reasons that were counted."""
    tallies = Tallies()
    request = a_request(span, scope=scope, resource={"service.name": "cart"})
    facts, rejected = Normaliser(NormaliseConfig(), b"salt").spans(
        request, tenant="t", project="", received_ns=received_ns, tallies=tallies
    )
    assert len(facts) + rejected == 1
    assert {(tally.tenant, tally.service, tally.what) for tally in tallies} <= {("t", "cart", What.CORRECTION)}
    return facts, {tally.name: count for tally, count in tallies.items()}


def test_every_reason_is_explained() -> None:
    """The list is closed: each reason says what it means and what was done."""
    assert set(MEANING) == set(Correction)


def test_sound_input_is_counted_nowhere() -> None:
    """A plain call, and one from a day ago, give no reason."""
    assert read(an_otlp_span(USAGE))[1] == {}
    assert read(an_otlp_span(USAGE, start_ns=NOON - DAY_NS, end_ns=NOON))[1] == {}


@pytest.mark.parametrize(
    ("value", "reason", "tokens"),
    [
        (-1, "tokens_negative", None),
        (0.5, "tokens_fractional", None),
        (7.0, "", 7),
        (float("nan"), "tokens_not_finite", None),
        (float("inf"), "tokens_not_finite", None),
        ("-inf", "tokens_not_finite", None),
        (10**12, "", 10**12),
        (10**12 + 1, "tokens_too_many", None),
        ("many", "tokens_no_number", None),
        (True, "tokens_no_number", None),
        ([1], "tokens_no_number", None),
        ("7", "tokens_as_text", 7),
        ("-7", "tokens_negative", None),
        ({"low": 7, "high": 0}, "", 7),
    ],
)
def test_a_token_count_that_is_none_is_unknown_for_a_reason(value: Any, reason: str, tokens: int | None) -> None:
    """What cannot be a count is unknown, never zero, and the call still counts with what else it says."""
    (facts,), reasons = read(an_otlp_span(USAGE | {"gen_ai.usage.output_tokens": value}))
    assert facts.call is not None
    assert (facts.call.tokens.input, facts.call.tokens.output) == (10, tokens)
    assert reasons == ({reason: 1} if reason else {})


def test_a_part_that_is_larger_than_its_whole_is_unknown() -> None:
    """Eleven audio tokens of ten cannot be."""
    (facts,), reasons = read(an_otlp_span(USAGE | {"gen_ai.usage.audio.input_tokens": 11}))
    assert facts.call is not None
    assert facts.call.tokens.audio_input is None
    assert reasons == {"tokens_impossible": 1}
    assert read(an_otlp_span(USAGE | {"gen_ai.usage.audio.input_tokens": 10}))[1] == {}


@pytest.mark.parametrize(
    ("start", "end", "expected", "reasons"),
    [
        (NOON, NOON + 1, (NOON, NOON + 1), {}),
        (0, NOON, (NOON, NOON), {"time_missing": 1}),
        (NOON, 0, (NOON, NOON), {"time_missing": 1}),
        (0, 0, (RECEIVED, RECEIVED), {"time_missing": 1}),
        (EARLIEST_NS, NOON, (EARLIEST_NS, NOON), {}),
        (EARLIEST_NS - 1, NOON, (NOON, NOON), {"time_absurd": 1}),
        (7, 9, (RECEIVED, RECEIVED), {"time_absurd": 1}),
        (NOON, RECEIVED + DAY_NS, (NOON, RECEIVED + DAY_NS), {}),
        (NOON, RECEIVED + DAY_NS + 1, (NOON, NOON), {"time_absurd": 1}),
        (2**64 - 1, 2**64 - 1, (RECEIVED, RECEIVED), {"time_absurd": 1}),
        (NOON + 1, NOON, (NOON + 1, NOON + 1), {"time_reversed": 1}),
    ],
)
def test_times_that_cannot_be_are_replaced(
    start: int, end: int, expected: tuple[int, int], reasons: dict[str, int]
) -> None:
    """The other time stands in, else that of reception; the limits are 2015 and a day after reception."""
    (facts,), counted = read(an_otlp_span(USAGE, start_ns=start, end_ns=end))
    assert facts.call is not None
    assert (facts.call.start_ns, facts.call.end_ns) == expected
    assert counted == reasons


@pytest.mark.parametrize(
    ("start", "end", "expected", "reason"),
    [
        (7, 9, (7, 9), "time_absurd"),
        (0, 9, (9, 9), "time_missing"),
        (NOON, NOON + 1, (NOON, NOON + 1), ""),
        (NOON + 900 * DAY_NS, NOON + 900 * DAY_NS, (NOON + 900 * DAY_NS, NOON + 900 * DAY_NS), ""),
    ],
)
def test_a_recording_has_no_time_to_correct_by(start: int, end: int, expected: tuple[int, int], reason: str) -> None:
    """Without a reception nothing is made up: absurd times are counted and stay."""
    for received_ns in (0, EARLIEST_NS - 1):  # and neither has a machine whose clock was not set
        (facts,), counted = read(an_otlp_span(USAGE, start_ns=start, end_ns=end), received_ns=received_ns)
        assert facts.call is not None
        assert (facts.call.start_ns, facts.call.end_ns) == expected
        assert counted == ({reason: 1} if reason else {})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trace_id": b"short"}, "trace_id_invalid"),
        ({"trace_id": bytes(16)}, "trace_id_invalid"),
        ({"span_id": b"ninebytes"}, "span_id_invalid"),
        ({"span_id": bytes(8)}, "span_id_invalid"),
        ({"start_time_unix_nano": 0, "end_time_unix_nano": 0}, "time_nowhere"),
    ],
)
def test_a_span_is_refused_for_a_reason(change: dict[str, Any], reason: str) -> None:
    """A span without identity, or without any time in a recording, is not accounted but counted."""
    span = an_otlp_span(USAGE)
    for name, value in change.items():
        setattr(span, name, value)
    assert read(span, received_ns=0) == ([], {reason: 1})


def test_a_repeated_attribute_is_told() -> None:
    """The last of two values counts."""
    span = an_otlp_span(USAGE)
    span.attributes.extend(key_values({"gen_ai.usage.output_tokens": 6}))
    (facts,), reasons = read(span)
    assert facts.call is not None
    assert facts.call.tokens.output == 6
    assert reasons == {"attribute_repeated": 1}


def test_a_bottomless_attribute_is_told_once() -> None:
    """Of nesting without end only the first levels are read, however many branches it has."""
    deep: Any = 1
    for _ in range(20):
        deep = [deep, deep] if _ < 3 else [deep]
    assert read(an_otlp_span(USAGE | {"deep": deep}))[1] == {"value_too_deep": 1}


@pytest.mark.parametrize("key", ["gen_ai.request.model", "gen_ai.response.id", "error.type"])
def test_an_endless_name_is_cut(key: str) -> None:
    """256 characters are a name, 257 are cut and told."""
    assert read(an_otlp_span(USAGE | {key: "x" * 256}))[1] == {}
    (facts,), reasons = read(an_otlp_span(USAGE | {key: "x" * 257}))
    assert facts.call is not None
    assert max(len(facts.call.request_model), len(facts.call.response_id), len(facts.call.error_type)) == 256
    assert reasons == {"name_too_long": 1}


@pytest.mark.parametrize(
    ("seconds", "reason"), [(0.5, ""), (-0.5, "duration_absurd"), (86_399.0, ""), (86_400.0, "duration_absurd")]
)
def test_a_time_to_first_token_that_cannot_be_is_unknown(seconds: float, reason: str) -> None:
    """It lies between zero and a day."""
    (facts,), reasons = read(an_otlp_span(USAGE | {"gen_ai.response.time_to_first_chunk": seconds}))
    assert facts.call is not None
    assert (facts.call.first_token_ns is None) == bool(reason)
    assert reasons == ({reason: 1} if reason else {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"usage": {"prompt_tokens": 1', "payload_unreadable"),
        ('{"usage": "' + "x" * 262_144 + '"}', "payload_too_large"),
        ("just an answer", ""),
        ('{"id": "chatcmpl-123456"}', ""),
    ],
)
def test_a_payload_that_hides_its_usage_is_told(text: str, reason: str) -> None:
    """JSON that is cut off or too long may have held the usage; text never did."""
    attributes = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "output.value": text}
    assert read(an_otlp_span(attributes))[1] == ({reason: 1} if reason else {})


def test_a_resource_counts_with_every_request() -> None:
    """What is wrong with a resource is counted each time it comes, whether or not it was seen before."""
    request = a_request(an_otlp_span(USAGE), resource={"service.name": "cart"})
    request.resource_spans[0].resource.attributes.extend(key_values({"service.name": "shop"}))
    normaliser, tallies = Normaliser(NormaliseConfig(), b"salt"), Tallies()
    for _ in range(3):
        normaliser.spans(request, tenant="t", project="", tallies=tallies)
    assert tallies == {Tally("t", "shop", What.CORRECTION, "attribute_repeated"): 3}


def test_facts_keep_what_was_corrected_and_what_told_the_kind() -> None:
    """The origin names scope, dialect, deciding attribute, corrections, and the attribute behind each dimension."""
    span = an_otlp_span(USAGE | {"team": "shop", "gen_ai.usage.input_tokens": -1})
    (facts,), _ = read(span, scope="openlit")
    origin = facts.origin
    assert origin is not None
    assert (origin.scope, origin.dialect, origin.sign) == ("openlit", "openlit", "gen_ai.operation.name=chat")
    assert origin.corrections == ("tokens_negative",)
    assert (origin.own[0], origin.resource[3]) == ("team", "service.name")
