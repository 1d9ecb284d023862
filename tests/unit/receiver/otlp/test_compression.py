"""Bodies within a limit that holds after decompression."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.core.errors import Permanent, TooLarge
from tokensense_otel.receiver.otlp import compression
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
        ("zstd", zstd.compress(BODY)),
        ("ZSTD", zstd.compress(BODY, 19)),
    ],
)
def test_each_encoding_gives_the_body(encoding: str, body: bytes) -> None:
    """OTLP checklist 1, 37, 75: none, gzip, zstd and deflate, which means the zlib format."""
    assert decompress(encoding, body, len(BODY)) == BODY


@pytest.mark.parametrize("encoding", ["snappy", "lz4", "br", "gzip, gzip", "x" * 1000])
def test_other_encodings_are_refused_as_such(encoding: str) -> None:
    """OTLP checklist 75: what we do not speak is 415, and the answer names what we do."""
    with pytest.raises(Refused, match="use gzip, zstd, deflate, identity") as refused:
        decompress(encoding, BODY, len(BODY))

    assert refused.value.status == 415
    assert len(str(refused.value)) < 200


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=4), st.integers(0, 3))
def test_gzip_may_have_several_members_and_padding(parts: list[bytes], zeros: int) -> None:
    """OTLP checklist 76: members are joined, as Go's and Python's readers do."""
    body = b"".join(gzip.compress(part) for part in parts) + bytes(zeros)

    assert decompress("gzip", body, 1000) == b"".join(parts)


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=4))
def test_zstd_may_have_several_frames(parts: list[bytes]) -> None:
    """OTLP checklist 75: frames are joined, as Go's reader does."""
    assert decompress("zstd", b"".join(map(zstd.compress, parts)), 1000) == b"".join(parts)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}


@pytest.mark.parametrize("encoding", PACKERS)
def test_the_limit_holds_exactly(encoding: str) -> None:
    """OTLP checklist 10, 39: a body of the limit is taken, one byte more is not, compressed or not."""
    packed = PACKERS[encoding](BODY)

    assert decompress(encoding, packed, len(BODY)) == BODY
    with pytest.raises(TooLarge, match=f"larger than {len(BODY) - 1} bytes"):
        decompress(encoding, packed, len(BODY) - 1)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_the_limit_counts_all_members(encoding: str) -> None:
    """OTLP checklist 76: many small members are no way around the limit."""
    packed = PACKERS[encoding](b"x" * 600) * 2

    assert len(decompress(encoding, packed, 1200)) == 1200
    with pytest.raises(TooLarge):
        decompress(encoding, packed, 1199)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("size", [99, 100, 101, 350])
def test_what_is_large_is_measured_first_and_comes_whole(
    encoding: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body around and beyond what is kept at once is the same body, and the limit above it holds exactly."""
    monkeypatch.setattr(compression, "_KEPT_AT_ONCE", 100)
    body = bytes(i % 251 for i in range(size))
    packed = PACKERS[encoding](body)

    assert decompress(encoding, packed, size) == body
    with pytest.raises(TooLarge):
        decompress(encoding, packed, size - 1)


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


@pytest.mark.parametrize(
    "body",
    [b"", b"not zstd", zstd.compress(BODY)[:-1], zstd.compress(BODY)[:10], zstd.compress(BODY) + b"rest"],
    ids=["empty", "not zstd", "short by one", "cut", "rest"],
)
def test_a_damaged_zstd_body_is_refused(body: bytes) -> None:
    """OTLP checklist 53, 75: as for gzip."""
    with pytest.raises(Permanent, match="not valid zstd"):
        decompress("zstd", body, 10_000)


def test_a_zstd_frame_may_not_ask_for_any_memory() -> None:
    """A window of 8 MiB is granted, one of 16 MiB is refused before anything is allocated for it."""
    parameter = zstd.CompressionParameter

    def packed(window_log: int) -> bytes:
        packer = zstd.ZstdCompressor(options={parameter.window_log: window_log})
        return packer.compress(BODY) + packer.flush()

    assert decompress("zstd", packed(23), 10_000) == BODY
    with pytest.raises(Permanent, match="too much memory"):
        decompress("zstd", packed(24), 10_000)


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
