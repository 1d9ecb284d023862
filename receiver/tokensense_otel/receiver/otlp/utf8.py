"""Mend text that is not UTF-8, which costs one attribute its letters instead of a sender its whole request.

Protobuf demands UTF-8 and its parsers refuse a message with one bad byte, but senders in languages that do not check
cut strings in the middle of a letter. Bad bytes become U+FFFD; nothing else changes.
"""

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

MOST_BYTES = 1 << 20
"""Mending reads field by field, so what is larger is left as it is."""
_MOST_DEPTH = 64
_FIXED = {1: 8, 5: 4}


def mend(body: bytes, message: Descriptor) -> bytes:
    """The message with every string in UTF-8.

    Raises:
        DecodeError: when it is no protobuf, or more than is mended.
    """
    if len(body) > MOST_BYTES:
        raise DecodeError(f"text is not UTF-8, and {len(body)} bytes are too many to mend it")
    return _mended(body, message, 0)


def _mended(body: bytes, message: Descriptor, depth: int) -> bytes:
    if depth > _MOST_DEPTH:
        raise DecodeError("messages are nested too deep")
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        start = at
        tag, at = _varint(body, at)
        wire_type = tag & 7
        if wire_type == 0:
            _, at = _varint(body, at)
        elif wire_type in _FIXED:
            at += _FIXED[wire_type]
        elif wire_type == 2:
            length_at = at
            length, begin = _varint(body, at)
            at = begin + length
            field = message.fields_by_number.get(tag >> 3)
            if field is not None and at <= len(body):
                value = _value(body[begin:at], field, depth)
                if value is not None:
                    parts += (body[start:length_at], _encoded(len(value)), value)
                    continue
        else:
            raise DecodeError(f"wire type {wire_type} is not used")
        if at > len(body):
            raise DecodeError("the message is cut off")
        parts.append(body[start:at])
    return b"".join(parts)


def _value(value: bytes, field: FieldDescriptor, depth: int) -> bytes | None:
    """The value of a field that has text in it; `None` for another one."""
    if field.type == FieldDescriptor.TYPE_STRING:
        return value.decode("utf-8", "replace").encode()
    if field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type is not None:
        return _mended(value, field.message_type, depth + 1)
    return None


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(body) and shift < 64:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise DecodeError("a number is cut off")


def _encoded(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
