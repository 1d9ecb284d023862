"""Text that is not UTF-8 is mended, and nothing else changes."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.support.calls import NOON
from tests.support.spans import a_request, an_otlp_span
from tokensense_otel.core.tally import Tally, What
from tokensense_otel.dataflow.decode import Decoder
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.otlp.protobuf import decode_protobuf
from tokensense_otel.receiver.otlp.utf8 import MOST_BYTES, mend

SOUND = a_request(
    an_otlp_span({"gen_ai.request.model": "gpt-XXXX", "gen_ai.usage.input_tokens": 10, "nested": {"a": ["b", 1.5]}}),
    an_otlp_span({"team": "search"}, number=2),
    scope="openlit",
    resource={"service.name": "cart"},
)
BROKEN = SOUND.SerializeToString().replace(b"XXXX", b"\xff\xfe\xc3X")
MESSAGE = ExportTraceServiceRequest.DESCRIPTOR


def test_bad_bytes_become_replacement_characters() -> None:
    """Three bad bytes are three U+FFFD, each three bytes long, and all around them is as it was."""
    with pytest.raises(DecodeError):
        ExportTraceServiceRequest.FromString(BROKEN)
    request = ExportTraceServiceRequest.FromString(mend(BROKEN, MESSAGE))
    model = request.resource_spans[0].scope_spans[0].spans[0].attributes[0]
    assert model.value.string_value == "gpt-\ufffd\ufffd\ufffdX"
    model.value.string_value = "gpt-XXXX"
    assert request == SOUND


def test_what_is_sound_stays_as_it_is() -> None:
    """A message in UTF-8 is not touched, unknown fields and odd encodings included."""
    unknown = SOUND.SerializeToString() + b"\xfa\x07\x02\xff\xff" + b"\xfd\x07" + bytes(4) + b"\xf9\x07" + bytes(8)
    assert mend(unknown, MESSAGE) == unknown


@pytest.mark.parametrize("body", [b"\x0a", b"\x0a\x05ab", b"\xff" * 11, b"\x0b", b"\x09abc"])
def test_what_is_no_protobuf_is_refused(body: bytes) -> None:
    """Cut off, endless numbers, groups: there is nothing to mend."""
    with pytest.raises(DecodeError):
        mend(body, MESSAGE)


def test_messages_without_end_are_refused() -> None:
    """Nesting is followed to a depth only."""
    value = b""
    for _ in range(500):  # a value that is a list of a value that is a list …
        value = b"\x2a" + _sized(b"\x0a" + _sized(value))
    with pytest.raises(DecodeError, match="too deep"):
        mend(value, AnyValue.DESCRIPTOR)


def _sized(value: bytes) -> bytes:
    size = len(value)
    return bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14]) + value


def test_large_bodies_are_left_alone() -> None:
    """A megabyte is mended, a byte more is refused as it always was."""
    padding = MOST_BYTES - len(BROKEN) - 5
    body = BROKEN + b"\xfa\x07" + _sized(bytes(padding))
    assert len(body) == MOST_BYTES
    assert len(mend(body, MESSAGE)) == MOST_BYTES + 6
    with pytest.raises(DecodeError, match="too many"):
        mend(body + b"\0", MESSAGE)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_refusal(body: bytes) -> None:
    """Nothing else is raised, and what is mended can be read."""
    try:
        mended = mend(body, MESSAGE)
    except DecodeError:
        return
    assert mend(mended, MESSAGE) == mended


def test_the_receiver_takes_it_and_the_books_count_it() -> None:
    """One bad string costs no span; the dataflow reads the same bytes and counts a correction."""
    request = decode_protobuf(Signal.TRACES, BROKEN)
    assert isinstance(request, ExportTraceServiceRequest)
    assert len(request.resource_spans[0].scope_spans[0].spans) == 2

    def refuse(entry: Entry) -> None:
        raise AssertionError(entry)

    decoded = Decoder(Normaliser(NormaliseConfig(), b"salt"), refuse).decode(
        [Entry(Signal.TRACES, "t", "", NOON, BROKEN)]
    )
    assert len(decoded.spans) == 2
    assert decoded.tallies == {Tally("t", "", What.CORRECTION, "text_not_utf8"): 1}
