"""Content encodings of request bodies, with the size limit holding after decompression (OTLP checklist 10, 39, 75, 76).

gzip (several members too) and deflate, which in OTLP's world means the zlib format, and identity. A body is never
inflated further than one byte beyond its limit, so a bomb costs no more memory than an honest request.
"""

from typing import Final, cast

from isal import isal_zlib

from tokensense_otel.core.errors import Permanent, TooLarge
from tokensense_otel.receiver.otlp.status import Refused

ENCODINGS: Final = ("gzip", "deflate", "identity")

_KNOWN: Final = {
    "": "identity",
    "identity": "identity",
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
    "zlib": "deflate",
}

# The stubs of isal declare an instance where there is a class.
_IsalError = cast("type[Exception]", isal_zlib.IsalError)

_GZIP_WINDOW: Final = 31
_ZLIB_WINDOW: Final = 15


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
    match _KNOWN[encoding.strip().lower()]:
        case "gzip":
            return _inflate(body, _GZIP_WINDOW, max_bytes, "gzip")
        case "deflate":
            return _inflate(body, _ZLIB_WINDOW, max_bytes, "deflate")
        case _:
            if len(body) > max_bytes:
                raise too_large(max_bytes)
            return body


def too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the request is larger than {max_bytes} bytes; send smaller batches or raise max_request_bytes")


def _inflate(body: bytes, window: int, max_bytes: int, name: str) -> bytes:
    chunks: list[bytes] = []
    room = max_bytes
    rest = body
    while True:
        inflater = isal_zlib.decompressobj(window)
        try:
            chunk: bytes = inflater.decompress(rest, room + 1)
        except _IsalError as error:
            raise Permanent(f"the body is not valid {name}: {error}") from error
        room -= len(chunk)
        if room < 0:
            raise too_large(max_bytes)
        chunks.append(chunk)
        if not inflater.eof:
            raise Permanent(f"the body is not valid {name}: it ends too early")
        # A gzip body may be several members one after the other, and may be padded with zeros.
        rest = inflater.unused_data.lstrip(b"\0") if window == _GZIP_WINDOW else b""
        if not rest:
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
