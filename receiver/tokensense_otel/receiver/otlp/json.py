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
from typing import Any, Final

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from tokensense_otel.core.errors import Permanent
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.otlp.signals import PROTOCOLS, Request

MAX_DEPTH: Final = 100
"""Messages within messages, the request included: what protobuf's own parser takes (its recursion limit)."""

_MAX_PATH: Final = 200
_HEX_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})

_Convert = Callable[[Any], Any]
_Set = Callable[[Message, Any, int], None]
_Table = dict[str, _Set]


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
    try:
        _fill(request, document, _table(request.DESCRIPTOR), 1)
    except _BadValue as bad:
        raise Permanent(str(bad)) from bad
    return request


class _BadValue(Exception):
    """A value that its field cannot take. Each level that it passes on its way out adds its part of the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self._reason = reason
        self._path: list[str] = []

    def under(self, part: str) -> None:
        self._path.append(part)

    def __str__(self) -> str:
        path = "".join(reversed(self._path)).removeprefix(".")
        shown = path if len(path) <= _MAX_PATH else f"{path[:_MAX_PATH]}…"
        return f"{shown}: {self._reason}"


def _fill(message: Message, document: Any, table: _Table, depth: int) -> None:
    if not isinstance(document, dict):
        raise _BadValue(f"expected an object, got {_kind(document)}")
    if depth > MAX_DEPTH:
        raise _BadValue(f"nested deeper than {MAX_DEPTH} messages")
    for key, value in document.items():
        if value is not None and (setter := table.get(key)) is not None:
            try:
                setter(message, value, depth)
            except _BadValue as bad:
                bad.under(f".{key}")
                raise


_tables: dict[str, _Table] = {}


def _table(descriptor: Descriptor) -> _Table:
    """What to do with each key of a message, under its JSON name and its proto name.

    It is registered before it is filled, because messages hold themselves: an AnyValue has arrays of them.
    """
    known = _tables.get(descriptor.full_name)
    if known is not None:
        return known
    table = _tables[descriptor.full_name] = {}
    for field in descriptor.fields:
        table[field.json_name] = table[field.name] = _setter(field)
    return table


def _setter(field: FieldDescriptor) -> _Set:
    if field.message_type is not None:
        table = _table(field.message_type)
        return _set_messages(field.name, table) if field.is_repeated else _set_message(field.name, table)
    convert = _converter(field)
    return _set_scalars(field.name, convert) if field.is_repeated else _set_scalar(field.name, convert)


def _set_scalar(name: str, convert: _Convert) -> _Set:
    def set_scalar(message: Message, value: Any, _depth: int) -> None:
        setattr(message, name, convert(value))

    return set_scalar


def _set_scalars(name: str, convert: _Convert) -> _Set:
    def set_scalars(message: Message, value: Any, _depth: int) -> None:
        add = getattr(message, name).append
        for i, element in enumerate(_list(value)):
            try:
                add(convert(element))
            except _BadValue as bad:
                bad.under(f"[{i}]")
                raise

    return set_scalars


def _set_message(name: str, table: _Table) -> _Set:
    def set_message(message: Message, value: Any, depth: int) -> None:
        inner = getattr(message, name)
        inner.SetInParent()
        _fill(inner, value, table, depth + 1)

    return set_message


def _set_messages(name: str, table: _Table) -> _Set:
    def set_messages(message: Message, value: Any, depth: int) -> None:
        add = getattr(message, name).add
        for i, element in enumerate(_list(value)):
            inner = add()
            # A null in a list keeps its place: an array's elements must not move.
            if element is not None:
                try:
                    _fill(inner, element, table, depth + 1)
                except _BadValue as bad:
                    bad.under(f"[{i}]")
                    raise

    return set_messages


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _BadValue(f"expected an array, got {_kind(value)}")
    return value


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


for _protocol in PROTOCOLS.values():
    # All tables are made here, whole, before any thread can use one.
    _table(_protocol.request.DESCRIPTOR)
