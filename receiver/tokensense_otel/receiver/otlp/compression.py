"""Content encodings of request bodies, with the size limit holding after decompression (OTLP checklist 10, 39, 75, 76).

gzip and zstd (several members or frames too), deflate, which in OTLP's world means the zlib format, and identity. What
inflates beyond a few MiB is measured before it is kept, so that a bomb is refused in little memory whatever the limit.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol, cast

from backports import zstd
from isal import igzip_lib

from tokensense_otel.core.errors import Permanent, TooLarge
from tokensense_otel.receiver.otlp.status import Refused

ENCODINGS: Final = ("gzip", "zstd", "deflate", "identity")

_KEPT_AT_ONCE: Final = 8 << 20
"""What inflates to more is inflated twice: to measure it, and when it fits. Few honest requests are that large."""

_ZSTD_WINDOW_LOG: Final = 23
"""A frame says how much memory its reader needs; 8 MiB is what RFC 8878 (3.1.1.1.2) wants every reader to grant."""


# The stubs of isal declare an instance where there is a class.
_IsalError = cast("type[Exception]", igzip_lib.IsalError)


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...


class _Codec(NamedTuple):
    """One encoding: a reader of one member, and what may follow a member before the next."""

    name: str
    inflater: Callable[[], _Inflater]
    members: bool = False
    padding: bytes = b""


def _zstd() -> _Inflater:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


_GZIP: Final = _Codec("gzip", lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP), members=True, padding=b"\0")
_DEFLATE: Final = _Codec("deflate", lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_ZLIB))
_ZSTD: Final = _Codec("zstd", _zstd, members=True)

_KNOWN: Final[dict[str, _Codec | None]] = {
    "": None,
    "identity": None,
    "gzip": _GZIP,
    "x-gzip": _GZIP,
    "deflate": _DEFLATE,
    "zlib": _DEFLATE,
    "zstd": _ZSTD,
}


def check_encoding(encoding: str) -> None:
    """Raises: Refused: (415) when `encoding` is none that we speak; the message names those we do."""
    if encoding.strip().lower() not in _KNOWN:
        raise Refused(415, f"content encoding {encoding[:40]!r} is not supported; use {', '.join(ENCODINGS)}")


def decompress(encoding: str, body: bytes, max_bytes: int) -> bytes:
    """Undo `Content-Encoding: encoding` (empty is identity).

    Raises:
        Refused: when it is none of `ENCODINGS`.
        TooLarge: when the result is larger than `max_bytes`.
        Permanent: when `body` is damaged or incomplete.
    """
    check_encoding(encoding)
    codec = _KNOWN[encoding.strip().lower()]
    if codec is not None:
        return _inflate(codec, body, max_bytes)
    if len(body) > max_bytes:
        raise too_large(max_bytes)
    return body


def too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the request is larger than {max_bytes} bytes; send smaller batches or raise max_request_bytes")


def _inflate(codec: _Codec, body: bytes, max_bytes: int) -> bytes:
    kept: list[bytes] = []
    size = 0
    for piece in _pieces(codec, body, min(max_bytes, _KEPT_AT_ONCE) + 1):
        size += len(piece)
        if size > max_bytes:
            raise too_large(max_bytes)
        if size > _KEPT_AT_ONCE:
            kept.clear()
        else:
            kept.append(piece)
    if size > _KEPT_AT_ONCE:
        kept = list(_pieces(codec, body, size))
    return kept[0] if len(kept) == 1 else b"".join(kept)


def _pieces(codec: _Codec, body: bytes, most: int) -> Iterator[bytes]:
    """What is in the body, at most `most` bytes at a time."""
    rest = body
    while True:
        inflater = codec.inflater()
        data = rest
        while not inflater.eof:
            if data == b"" and inflater.needs_input:
                raise Permanent(f"the body is not valid {codec.name}: it ends too early")
            try:
                piece = inflater.decompress(data, most)
            except (_IsalError, zstd.ZstdError) as error:
                raise Permanent(f"the body is not valid {codec.name}: {error}") from error
            data = b""
            if piece:
                yield piece
        rest = inflater.unused_data.lstrip(codec.padding) if codec.padding else inflater.unused_data
        if not rest or not codec.members:
            return
