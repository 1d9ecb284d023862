"""The bytes of a segment: a header, then records one after the other. Pure; knows no file.

    segment  = "TSLOG" 0 0 1 · marker (8 random bytes)
    record   = marker · length (u32) · crc32 (u32, over length and payload) · payload        integers little-endian

A record is whole when its marker, length and checksum agree. The marker differs from segment to segment and cannot be
guessed by a sender, so a reader that lost its way finds the next record by searching for it, and no payload can
pretend to contain one.
"""

import struct
import zlib
from collections.abc import Iterator

_MAGIC = b"TSLOG\x00\x00\x01"
MARKER_BYTES = 8
SEGMENT_HEADER_BYTES = len(_MAGIC) + MARKER_BYTES
_LENGTH = struct.Struct("<I")
_LENGTH_CRC = struct.Struct("<II")
RECORD_HEADER_BYTES = MARKER_BYTES + _LENGTH_CRC.size
MAX_PAYLOAD_BYTES = 1 << 30
"""Larger than any request can be: a length above it is damage, not a record."""


def segment_header(marker: bytes) -> bytes:
    """The first bytes of a segment.

    Raises:
        ValueError: when `marker` is not 8 bytes.
    """
    if len(marker) != MARKER_BYTES:
        raise ValueError(f"a marker has {MARKER_BYTES} bytes, not {len(marker)}")
    return _MAGIC + marker


def marker_of(header: bytes) -> bytes | None:
    """The marker in a segment's first bytes, `None` when they are no (whole) header."""
    if len(header) < SEGMENT_HEADER_BYTES or not header.startswith(_MAGIC):
        return None
    return header[len(_MAGIC) : SEGMENT_HEADER_BYTES]


def record_header(marker: bytes, payload: bytes) -> bytes:
    """What is written before `payload`."""
    length = len(payload)
    return marker + _LENGTH_CRC.pack(length, zlib.crc32(payload, zlib.crc32(_LENGTH.pack(length))))


def record_size(marker: bytes, buffer: bytes, at: int = 0) -> int | None:
    """Bytes of the record that claims to begin at `at`, header included; `None` when no header is there."""
    if len(buffer) - at < RECORD_HEADER_BYTES or not buffer.startswith(marker, at):
        return None
    length = int(_LENGTH.unpack_from(buffer, at + MARKER_BYTES)[0])
    return RECORD_HEADER_BYTES + length if 0 < length <= MAX_PAYLOAD_BYTES else None


def whole_records(marker: bytes, buffer: bytes) -> Iterator[tuple[memoryview, int]]:
    """(payload, where its record ends) of each record from the start of `buffer`, up to the first that is not whole."""
    view = memoryview(buffer)
    at = 0
    while (size := record_size(marker, buffer, at)) is not None and at + size <= len(buffer):
        length, checksum = _LENGTH_CRC.unpack_from(buffer, at + MARKER_BYTES)
        payload = view[at + RECORD_HEADER_BYTES : at + size]
        if zlib.crc32(payload, zlib.crc32(_LENGTH.pack(length))) != checksum:
            return
        at += size
        yield payload, at
