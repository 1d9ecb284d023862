"""The fast way to read spans and the plain one, which is the reference, come to the same."""

import random
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tests.support.captures import NAMES, trace_requests
from tests.support.spans import a_request, an_otlp_span, any_value, key_values
from tokensense_otel.core.tally import Tallies
from tokensense_otel.dataflow.facts import SpanFacts
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.normalise.attributes import attributes_of
from tokensense_otel.dataflow.normalise.corrections import Correction, Problems
from tokensense_otel.dataflow.normalise.wire import WireAttributes, WireTraces

SALT = b"a salt of thirty-two bytes, fixed"
NOW = 1_775_000_000 * 10**9
TWICE = range(2)
"""What is met again is looked up; that has to come to the same as reading it."""

KEYS = st.sampled_from(
    [
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.response.id",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.response.finish_reasons",
        "gen_ai.input.messages",
        "gen_ai.server.time_to_first_token",
        "openinference.span.kind",
        "llm.token_count.prompt",
        "output.value",
        "tokensense.team",
        "tokensense.project",
        "tokensense.prompt.hash",
        "user.id",
        "langfuse.trace.tags",
        "metadata",
        "http.route",
        "error.type",
        "",
        "ключ",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers(0, 5)
    | st.floats()
    | st.sampled_from(
        ["chat", "gpt-4o", "openai", "LLM", "llm", "7", '["stop"]', "team:search", '{"id": "resp_123456"}']
    )
    | st.text(max_size=200)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
PAIRS = st.lists(st.builds(lambda key, value: KeyValue(key=key, value=any_value(value)), KEYS, VALUES), max_size=14)
SCOPES = st.sampled_from(
    ["", "opentelemetry.instrumentation.openai_v2", "openinference.instrumentation.openai", "openlit"]
)

fast = Normaliser(NormaliseConfig(), SALT)
"""One for all examples, so that what it remembers of one is there for the next."""


def read(kind: type[ExportTraceServiceRequest], body: bytes, normaliser: Normaliser) -> object:
    tallies = Tallies()
    facts, rejected = normaliser.spans(kind.FromString(body), tenant="t", project="", received_ns=NOW, tallies=tallies)
    return facts, rejected, dict(tallies)


def plainly(body: bytes) -> object:
    return read(ExportTraceServiceRequest, body, Normaliser(NormaliseConfig(), SALT))


@pytest.mark.parametrize("name", NAMES)
def test_captures_read_alike(name: str) -> None:
    """What real instrumentations export comes to the same facts, rejections and corrections."""
    for request in trace_requests(name):
        body = request.SerializeToString()
        for _ in TWICE:
            assert read(WireTraces, body, fast) == plainly(body)


@given(spans=st.lists(st.tuples(PAIRS, SCOPES), max_size=3), name=st.sampled_from(["chat", "call_llm", "GET"]))
def test_spans_with_any_attributes_read_alike(spans: list[tuple[list[KeyValue], str]], name: str) -> None:
    """Attributes of any kind, order and repetition come to the same facts, rejections and corrections."""
    request = ExportTraceServiceRequest()
    for number, (pairs, scope) in enumerate(spans, 1):
        span = an_otlp_span({}, number=number, name=name)
        span.attributes.extend(pairs)
        request.MergeFrom(a_request(span, scope=scope, resource={"service.name": "shop"}))
    body = request.SerializeToString()
    for _ in TWICE:
        assert read(WireTraces, body, fast) == plainly(body)


@given(pairs=PAIRS)
def test_attributes_are_the_same_values(pairs: list[KeyValue]) -> None:
    """Every attribute has the value and the type that the plain way gives it."""
    wire = WireAttributes()
    expected_problems: Problems = []
    expected = attributes_of(pairs, expected_problems)
    for _ in TWICE:
        problems: Problems = []
        assert repr(wire.read([pair.SerializeToString() for pair in pairs], problems)) == repr(expected)
        assert problems == expected_problems


def read_or_none(kind: type[ExportTraceServiceRequest], body: bytes, normaliser: Normaliser) -> object:
    try:
        return read(kind, body, normaliser)
    except (DecodeError, UnicodeDecodeError):
        return None


@given(pairs=PAIRS, seed=st.integers(0, 2**32))
def test_damaged_requests_are_refused_alike(pairs: list[KeyValue], seed: int) -> None:
    """Bytes that are changed, lost or added make both ways refuse the request, or read the same from it."""
    span = an_otlp_span({})
    span.attributes.extend(pairs)
    body = bytearray(a_request(span).SerializeToString())
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(body))
        change = chance.choice(["alter", "lose", "add"])
        if change == "alter":
            body[at] = chance.randrange(256)
        elif change == "lose" and len(body) > 1:
            del body[at]
        else:
            body.insert(at, chance.randrange(256))
    damaged = bytes(body)
    reference = read_or_none(ExportTraceServiceRequest, damaged, Normaliser(NormaliseConfig(), SALT))
    assert read_or_none(WireTraces, damaged, fast) == reference


@pytest.mark.parametrize(
    "raw",
    [
        b"\x0a\x01k\x12\x02\x18\x81",
        b"\x0a\x01k\x12\x0b\x18" + b"\xff" * 10,
        b"\x0a\x01k\x12\x03\x0a\x01\xff",
        b"\x0a\x01\xff\x12\x03\x0a\x01v",
        b"\x0a\x01k\x12\x04\x0a\x01v",
        b"\x0a\x05k",
    ],
    ids=["number cut off", "number without end", "value not UTF-8", "key not UTF-8", "value cut off", "key cut off"],
)
def test_broken_attributes_are_refused(raw: bytes) -> None:
    """An attribute that is no `KeyValue` refuses the request, so that it is mended or put into quarantine."""
    with pytest.raises((DecodeError, UnicodeDecodeError)):
        WireAttributes().read([raw], [])
    with pytest.raises(DecodeError):
        KeyValue.FromString(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x12\x03\x0a\x01v\x0a\x01k",
        b"\x0a\x01k\x12\x03\x0a\x01a\x12\x03\x0a\x01b",
        b"\x0a\x01k\x12\x08\x0a\x01a\x18\x07\x0a\x01b",
        b"\x0a\x01k\x12\x02\x10\x02",
        b"\x0a\x01k\x12\x83\x00\x0a\x01v",
        b"\x0a\x01k\x12\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0a\x01k\x12\x03\x0a\x01v\x78\x01",
        b"\x0a\x01k\x12\x00",
        b"\x0a\x01k",
        b"",
    ],
    ids=[
        *("value first", "two values", "one of three", "true is 2", "long length", "long number", "unknown field"),
        *("empty value", "no value", "nothing"),
    ],
)
def test_unusual_encodings_are_read(raw: bytes) -> None:
    """What protobuf accepts is read as protobuf reads it, however it is encoded."""
    assert repr(WireAttributes().read([raw], [])) == repr(attributes_of([KeyValue.FromString(raw)]))


def test_what_is_too_deep_is_told_of_every_span() -> None:
    """A correction belongs to each span on which it was made, also where the attribute was met before."""
    deep: Any = "leaf"
    for _ in range(8):
        deep = [deep]
    raw = [pair.SerializeToString() for pair in key_values({"one": deep, "two": deep})]
    wire = WireAttributes()
    for _ in TWICE:
        problems: Problems = []
        wire.read(raw, problems)
        assert problems == [Correction.VALUE_TOO_DEEP]


def test_memory_is_bounded_and_keeps_no_text() -> None:
    """Many values of a key, long values and prose are not remembered; many keys make it begin anew."""
    wire = WireAttributes()

    def meet(key: str, value: Any) -> None:
        wire.read([KeyValue(key=key, value=any_value(value)).SerializeToString()], [])

    for number in range(1_000):
        meet("id", f"id-{number}")
    meet("note", "How are you?")
    meet("note", "你好")
    meet("note", "x" * 100)
    meet("input.value", "Hi")
    meet("mlflow.spanInputs", "Hi")
    meet("gen_ai.prompt.0.content", "Hi")
    meet("gen_ai.input.messages", [{"content": "Hi"}])
    meet("gen_ai.input.messages", ["Hi"])
    meet("note", ["How are you?"])
    assert wire.remembered == 128
    for number in range(20_000):
        meet(f"key-{number // 10}", f"v-{number % 10}")
        assert wire.remembered <= 16_384


def facts_share(facts: list[SpanFacts]) -> bool:
    return all(one.own is facts[0].own and one.origin is facts[0].origin for one in facts)


def test_spans_that_are_alike_share_what_they_have_in_common() -> None:
    """A thousand spans of one team keep one set of dimensions and one origin between them."""
    span = {"tokensense.team": "search", "http.route": "/answer"}
    request = a_request(*(an_otlp_span(span, number=number) for number in range(1, 1_001)))
    facts, _ = fast.spans(WireTraces.FromString(request.SerializeToString()), tenant="t", project="")
    assert facts_share(facts)
