"""OTLP/JSON: bytes → the same request messages that protobuf gives.

Protobuf's own `json_format` cannot be used: it takes the hex ids for base64 and yields garbage without an error. This
decoder walks the message descriptors, so it knows every field that the installed opentelemetry-proto knows.

Source: OTLP specification 1.11, "JSON Protobuf Encoding" (checklist 58–64), and what real senders do: ids are hex in
either case, bytes base64, 64-bit integers strings or numbers, enums numbers (names are taken too), names in
lowerCamelCase (snake_case is taken too), unknown fields are ignored, `null` is absent.
"""

import base64
import binascii
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from tokensense_otel.core.errors import Permanent
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.otlp.signals import PROTOCOLS, Request

MAX_DEPTH: Final = 100
"""Messages within messages, the request included: what protobuf's own parser takes (its recursion limit)."""

_HEX_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})

_Convert = Callable[[Any], Any]
_Set = Callable[[Message, Any, str, int], None]


def decode_json(signal: Signal, body: bytes) -> Request:
    """Decode an `Export…ServiceRequest` from JSON.

    Raises:
        Permanent: when `body` is not one; the message names the path of the bad value.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Permanent(f"the body is not JSON: {error}") from error
    protocol = PROTOCOLS[signal]
    if not isinstance(document, dict):
        raise Permanent(f"the body is not a JSON object but {_kind(document)}")
    if protocol.json_key not in document:
        for other in PROTOCOLS.values():
            if other.json_key in document:
                raise Permanent(f"the body holds {other.signal}, not {signal}: send it to {other.http_path}")
    request = protocol.request()
    _fill(request, document, "", 1)
    return request


class _BadValue(Exception):
    """A value that its field cannot take; `_converted` adds the path."""


def _fill(message: Message, document: Any, path: str, depth: int) -> None:
    if not isinstance(document, dict):
        raise Permanent(f"{path}: expected an object, got {_kind(document)}")
    if depth > MAX_DEPTH:
        raise Permanent(f"{path[:80]}…: nested deeper than {MAX_DEPTH} messages")
    setters = _setters(message.DESCRIPTOR)
    for key, value in document.items():
        if value is not None and (setter := setters.get(key)) is not None:
            setter(message, value, f"{path}.{key}" if path else key, depth)


@cache
def _setters(descriptor: Descriptor) -> dict[str, _Set]:
    """What to do with each key of a message, under its JSON name and its proto name."""
    table: dict[str, _Set] = {}
    for field in descriptor.fields:
        table[field.json_name] = table[field.name] = _setter(field)
    return table


def _setter(field: FieldDescriptor) -> _Set:
    name = field.name
    if field.message_type is not None:
        return _set_messages(name) if field.is_repeated else _set_message(name)
    convert = _converter(field)

    def set_scalar(message: Message, value: Any, path: str, _depth: int) -> None:
        setattr(message, name, _converted(convert, value, path))

    def set_scalars(message: Message, value: Any, path: str, _depth: int) -> None:
        elements = _list(value, path)
        converted = [_converted(convert, element, f"{path}[{i}]") for i, element in enumerate(elements)]
        getattr(message, name).extend(converted)

    return set_scalars if field.is_repeated else set_scalar


def _set_message(name: str) -> _Set:
    def set_message(message: Message, value: Any, path: str, depth: int) -> None:
        inner = getattr(message, name)
        inner.SetInParent()
        _fill(inner, value, path, depth + 1)

    return set_message


def _set_messages(name: str) -> _Set:
    def set_messages(message: Message, value: Any, path: str, depth: int) -> None:
        add = getattr(message, name).add
        for i, element in enumerate(_list(value, path)):
            inner = add()
            # A null in a list keeps its place: an array's elements must not move.
            if element is not None:
                _fill(inner, element, f"{path}[{i}]", depth + 1)

    return set_messages


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise Permanent(f"{path}: expected an array, got {_kind(value)}")
    return value


def _converted(convert: _Convert, value: Any, path: str) -> Any:
    try:
        return convert(value)
    except _BadValue as error:
        raise Permanent(f"{path}: {error}") from error


def _converter(field: FieldDescriptor) -> _Convert:
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _hex if field.name in _HEX_FIELDS else _base64
    return _CONVERTERS[field.cpp_type]


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _BadValue(f"expected a string, got {_kind(value)}")


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _BadValue(f"expected true or false, got {_kind(value)}")


def _hex(value: Any) -> bytes:
    text = _string(value)
    try:
        return binascii.unhexlify(text)
    except (binascii.Error, ValueError):
        raise _BadValue(f"expected an id in hexadecimal, got {text[:40]!r}") from None


def _base64(value: Any) -> bytes:
    text = _string(value)
    try:
        # The URL-safe alphabet and missing padding are taken, as proto3 JSON does.
        standard = text.translate(_STANDARD_ALPHABET).rstrip("=")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _BadValue(f"expected base64, got {text[:40]!r}") from None


_STANDARD_ALPHABET: Final = str.maketrans("-_", "+/")


def _integer(low: int, high: int) -> _Convert:
    def convert(value: Any) -> int:
        if isinstance(value, str):
            number = _integer_text(value)
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _BadValue(f"expected an integer, got {_kind(value)}")
        elif isinstance(value, float) and not value.is_integer():
            raise _BadValue(f"expected an integer, got {value}")
        else:
            number = int(value)
        if not low <= number <= high:
            raise _BadValue(f"{number} is out of range {low}…{high}")
        return number

    return convert


def _integer_text(text: str) -> int:
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 20:
        raise _BadValue(f"expected an integer, got {text[:40]!r}")
    return int(text)


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _BadValue(f"expected a number, got {_kind(value)}")
    if isinstance(value, str) and value not in _NOT_FINITE and not _NUMBER_TEXT.issuperset(value):
        raise _BadValue(f"expected a number, got {value[:40]!r}")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise _BadValue(f"expected a number, got {value!r:.40}") from None


_NOT_FINITE: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_NUMBER_TEXT: Final = frozenset("0123456789+-.eE")


def _enum(enum: EnumDescriptor) -> _Convert:
    number_of = {value.name: value.number for value in enum.values}
    integer = _integer(-(1 << 31), (1 << 31) - 1)

    def convert(value: Any) -> int:
        if isinstance(value, str) and value in number_of:
            return number_of[value]
        try:
            return int(integer(value))
        except _BadValue:
            raise _BadValue(f"expected a number of {enum.name}, got {value!r:.40}") from None

    return convert


_CONVERTERS: Final[dict[int, _Convert]] = {
    FieldDescriptor.CPPTYPE_STRING: _string,
    FieldDescriptor.CPPTYPE_BOOL: _bool,
    FieldDescriptor.CPPTYPE_INT32: _integer(-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_UINT32: _integer(0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_INT64: _integer(-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT64: _integer(0, (1 << 64) - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: _double,
    FieldDescriptor.CPPTYPE_FLOAT: _double,
}


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
