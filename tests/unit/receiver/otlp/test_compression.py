"""Bodies within a limit that holds after decompression."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.core.errors import Permanent, TooLarge
from tokensense_otel.receiver.otlp.compression import decompress
from tokensense_otel.receiver.otlp.status import Refused

BODY = b"telemetry " * 100


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("zlib", zlib.compress(BODY)),
    ],
)
def test_each_encoding_gives_the_body(encoding: str, body: bytes) -> None:
    """OTLP checklist 1, 37, 75: none, gzip and deflate, which means the zlib format."""
    assert decompress(encoding, body, len(BODY)) == BODY


@pytest.mark.parametrize("encoding", ["zstd", "snappy", "br", "gzip, gzip", "x" * 1000])
def test_other_encodings_are_refused_as_such(encoding: str) -> None:
    """OTLP checklist 75: what we do not speak is 415, and the answer names what we do."""
    with pytest.raises(Refused, match="use gzip, deflate, identity") as refused:
        decompress(encoding, BODY, len(BODY))

    assert refused.value.status == 415
    assert len(str(refused.value)) < 200


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=4), st.integers(0, 3))
def test_gzip_may_have_several_members_and_padding(parts: list[bytes], zeros: int) -> None:
    """OTLP checklist 76: members are joined, as Go's and Python's readers do."""
    body = b"".join(gzip.compress(part) for part in parts) + bytes(zeros)

    assert decompress("gzip", body, 1000) == b"".join(parts)


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_the_limit_holds_exactly(encoding: str) -> None:
    """OTLP checklist 10, 39: a body of the limit is taken, one byte more is not, compressed or not."""
    packed = {"": BODY, "gzip": gzip.compress(BODY), "deflate": zlib.compress(BODY)}[encoding]

    assert decompress(encoding, packed, len(BODY)) == BODY
    with pytest.raises(TooLarge, match=f"larger than {len(BODY) - 1} bytes"):
        decompress(encoding, packed, len(BODY) - 1)


def test_the_limit_counts_all_members() -> None:
    """OTLP checklist 76: many small members are no way around the limit."""
    packed = gzip.compress(b"x" * 600) * 2

    assert len(decompress("gzip", packed, 1200)) == 1200
    with pytest.raises(TooLarge):
        decompress("gzip", packed, 1199)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not gzip",
        gzip.compress(BODY)[:-1],
        gzip.compress(BODY)[:20],
        gzip.compress(BODY) + b"rest",
        gzip.compress(BODY)[:-8] + bytes(8),
    ],
    ids=["empty", "not gzip", "short by one", "cut", "rest", "wrong checksum"],
)
def test_a_damaged_gzip_body_is_refused(body: bytes) -> None:
    """OTLP checklist 53: undecodable is permanent, so that the sender does not repeat it."""
    with pytest.raises(Permanent, match="not valid gzip"):
        decompress("gzip", body, 10_000)


def test_a_bomb_costs_no_more_than_its_limit() -> None:
    """OTLP checklist 10: 256 MiB in 260 kB of gzip are refused after about the limit's worth of output."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    assert len(bomb) < 300_000
    limit = 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompress("gzip", bomb, limit)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * limit
