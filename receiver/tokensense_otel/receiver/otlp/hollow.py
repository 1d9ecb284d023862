"""Requests that are large by number: millions of empty items, which take a hundred times their bytes once decoded.

No honest item is that small. A span has 28 bytes of ids alone, so a large request with more than an item for each few
bytes is refused before it is decoded. Small requests are not looked at: they are harmless, and many.
"""

import re
from typing import Final

from tokensense_otel.core.errors import TooLarge
from tokensense_otel.receiver.log.entry import Signal

_LOOKED_AT: Final = 1 << 20
_LEAST_BYTES: Final = {Signal.TRACES: 24, Signal.METRICS: 8, Signal.LOGS: 8}
_LEAST_JSON_BYTES: Final = 8
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_PATH: Final = (1, 2, 2)
"""Of resources in a request, scopes in a resource, items in a scope: the same numbers in each signal."""
_FIXED: Final = {1: 8, 5: 4}


def refuse_hollow_protobuf(signal: Signal, body: bytes) -> None:
    """Raises: TooLarge: when the request holds more items than its bytes can be honest for."""
    if len(body) <= _LOOKED_AT:
        return
    most = len(body) // _LEAST_BYTES[signal]
    if _items(body, 0, len(body), 0, most) > most:
        raise _hollow(len(body), most)


def refuse_hollow_json(body: bytes) -> None:
    """Raises: TooLarge: when the document holds more objects and arrays than its bytes can be honest for."""
    if len(body) <= _LOOKED_AT:
        return
    most = len(body) // _LEAST_JSON_BYTES
    # Text may be full of brackets; it is left out only where it could matter, because that takes its time.
    if _containers(body) > most and _containers(_STRING.sub(b"", body)) > most:
        raise _hollow(len(body), most)


def _containers(body: bytes) -> int:
    return body.count(b"{") + body.count(b"[")


def _hollow(size: int, most: int) -> TooLarge:
    return TooLarge(f"the request holds more than {most} items in {size} bytes; send smaller batches of whole items")


def _items(body: bytes, at: int, end: int, level: int, most: int) -> int:
    """How many envelopes and items there are, counted no further than just beyond `most`.

    What is no protobuf ends the count: the decoder says what is wrong with it.
    """
    wanted = _PATH[level]
    found = 0
    while at < end and found <= most:
        tag, at = _varint(body, at, end)
        kind = tag & 7
        if kind == 2:
            length, at = _varint(body, at, end)
            if tag >> 3 == wanted:
                found += 1
                if level < 2:
                    found += _items(body, at, min(at + length, end), level + 1, most - found)
            at += length
        elif kind == 0:
            _, at = _varint(body, at, end)
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            return found
    return found


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """The number and where it ends; the end of everything when it is cut off."""
    value = shift = 0
    while at < end:
        byte = body[at]
        at += 1
        if byte < 0x80:
            return value | byte << shift, at
        value |= (byte & 0x7F) << shift
        shift += 7
    return 0, end
