"""The bytes of a segment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.receiver.log.segment import (
    RECORD_HEADER_BYTES,
    marker_of,
    record_header,
    record_size,
    segment_header,
    whole_records,
)

MARKER = b"\x01\x02\x03\x04\x05\x06\x07\x08"


def framed(payloads: list[bytes]) -> bytes:
    return b"".join(record_header(MARKER, payload) + payload for payload in payloads)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.binary(max_size=30))
def test_records_come_back_up_to_the_first_that_is_not_whole(payloads: list[bytes], rest: bytes) -> None:
    """What was framed is found in order, whatever bytes stand behind it."""
    found = [bytes(payload) for payload, _ in whole_records(MARKER, framed(payloads) + rest)]

    assert found == payloads


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), st.data())
def test_one_changed_bit_is_noticed(payloads: list[bytes], data: st.DataObject) -> None:
    """Whichever bit of a record is turned, that record and no earlier one is missing."""
    whole = bytearray(framed(payloads))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    ends = [len(framed(payloads[: count + 1])) for count in range(len(payloads))]
    untouched = sum(end <= at for end in ends)

    found = [bytes(payload) for payload, _ in whole_records(MARKER, bytes(whole))]

    assert found == payloads[:untouched]


def test_a_record_says_its_size_from_its_header_alone() -> None:
    """Sixteen bytes of header tell how many bytes to read; fewer, or other bytes, tell nothing."""
    record = framed([b"abc"])

    assert RECORD_HEADER_BYTES == 16
    assert record_size(MARKER, record[:16]) == 16 + 3
    assert record_size(MARKER, record[:15]) is None
    assert record_size(b"\x09" * 8, record) is None


def test_a_length_beyond_reason_is_no_record() -> None:
    """An empty record and one above 1 GiB are damage, so a reader never waits for them."""
    header = bytearray(record_header(MARKER, b"abc"))
    header[8:12] = (0).to_bytes(4, "little")
    assert record_size(MARKER, bytes(header)) is None
    header[8:12] = (1 << 30).to_bytes(4, "little")
    assert record_size(MARKER, bytes(header)) == 16 + (1 << 30)
    header[8:12] = ((1 << 30) + 1).to_bytes(4, "little")
    assert record_size(MARKER, bytes(header)) is None


def test_a_segment_begins_with_its_marker() -> None:
    """The header gives the marker back; a shorter or a foreign one gives none."""
    header = segment_header(MARKER)

    assert marker_of(header) == MARKER
    assert marker_of(header[:-1]) is None
    assert marker_of(b"X" + header[1:]) is None
    with pytest.raises(ValueError, match="8 bytes"):
        segment_header(b"short")
