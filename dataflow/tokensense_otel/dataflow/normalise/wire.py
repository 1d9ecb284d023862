"""OTLP trace requests with the attributes of spans left as bytes, and those bytes as Python values.

Turning attributes into objects, one by one, is what reading OTLP with protobuf costs. So spans are parsed by a
projection of the OTLP schema, in which an attribute is `bytes` where the schema has a message: it reads the same
requests, a third as fast again. Services send few different attributes (`http.request.method=POST`), so an attribute
that was met before is looked up by its bytes; the common kinds of the others are taken apart here, and everything else
(arrays, maps, whatever is unusual) is left to protobuf. `attributes_of` on the official message gives the same.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tokensense_otel.dataflow.normalise.attributes import value_of
from tokensense_otel.dataflow.normalise.corrections import Correction, Problems

_PACKAGE: Final = "tokensense.otlp"
_MAX_BYTES: Final = 96
"""Longer attributes are content or ids, which do not come twice."""
_MAX_VALUES: Final = 128
"""Values of one key that are remembered; a key with more of them is an id or a count."""
_TEXT: Final = (
    *("message", "content", "prompt", "completion", "argument", "text", "input", "output"),
    *("value", "data", "body", "query", "statement"),
)
"""A key with one of these in it may hold what somebody wrote."""
_MAX_KEYS: Final = 4_096
_MAX_PAIRS: Final = 16_384
_KEY, _VALUE, _STRING, _BOOL, _INT, _DOUBLE = 0x0A, 0x12, 0x0A, 0x10, 0x18, 0x21
_double: Final = struct.Struct("<d").unpack_from

Pair = tuple[str, Any]


def _projection() -> type[ExportTraceServiceRequest]:
    """The class of trace requests whose spans have `attributes` as bytes."""
    field = descriptor_pb2.FieldDescriptorProto
    trace = descriptor_pb2.FileDescriptorProto()
    trace_pb2.DESCRIPTOR.CopyToProto(trace)
    file = descriptor_pb2.FileDescriptorProto(
        name="tokensense/otlp/trace.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[trace.name, *trace.dependency],
    )
    for message in trace.message_type:
        if message.name in ("Span", "ScopeSpans", "ResourceSpans"):
            projected = file.message_type.add(name=message.name)
            projected.field.extend(message.field)
            for each in projected.field:
                if message.name == "Span" and each.name == "attributes":
                    each.type = field.TYPE_BYTES
                    each.ClearField("type_name")
                elif each.type_name in (f".{trace.package}.Span", f".{trace.package}.ScopeSpans"):
                    each.type_name = f".{_PACKAGE}.{each.type_name.rpartition('.')[2]}"
    request = file.message_type.add(name="ExportTraceServiceRequest")
    request.field.add(
        name="resource_spans",
        number=1,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_REPEATED,
        type_name=f".{_PACKAGE}.ResourceSpans",
    )
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    made: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{request.name}"))
    return cast("type[ExportTraceServiceRequest]", made)


WireTraces: Final = _projection()
"""For the type checkers it is the official request: only the attributes of its spans differ."""


class _Key:
    """A key that was met, and how many of its values are remembered."""

    __slots__ = ("tells_text", "text", "values")

    def __init__(self, text: str) -> None:
        self.text = text
        self.values = 0
        name = text.lower()
        self.tells_text = any(part in name for part in _TEXT)


class WireAttributes:
    """Attributes from their bytes.

    What is remembered is bounded and is no text: numbers, and names (ASCII without blanks) under keys that hold none.
    """

    def __init__(self) -> None:
        self._pairs: dict[bytes, Pair] = {}
        self._keys: dict[bytes, _Key] = {}

    def read(self, attributes: Sequence[bytes], problems: Problems) -> dict[str, Any]:
        """Attributes as a dict; of a repeated key the last value counts. `problems` gets what had to be corrected.

        Raises:
            DecodeError: when one is no `KeyValue`, or its text is not UTF-8.
            UnicodeDecodeError: likewise.
        """
        known = self._pairs.get
        found: dict[str, Any] = {}
        pairs = attributes[:]  # a list at once: protobuf's own sequence takes twice as long to walk
        for raw in pairs:
            key, value = known(raw) or self._take(raw, problems)
            found[key] = value
        if len(pairs) != len(found):
            problems.append(Correction.ATTRIBUTE_REPEATED)
        return found

    @property
    def remembered(self) -> int:
        """How many attributes are looked up rather than read."""
        return len(self._pairs)

    def _take(self, raw: bytes, problems: Problems) -> Pair:
        """One attribute as protobuf's encoder writes it; any other encoding of it is protobuf's to read."""
        size = len(raw)
        if size < 4 or raw[0] != _KEY or raw[1] > 0x7F:
            return self._any(raw, problems)
        begin = raw[1] + 2
        if begin + 4 > size or raw[begin] != _VALUE:
            return self._any(raw, problems)
        length, at = raw[begin + 1], begin + 2
        if length > 0x7F:
            length, at = _varint(raw, begin + 1)
        if length < 2 or at + length != size:
            return self._any(raw, problems)
        kind, first = raw[at], raw[at + 1]
        value: Any
        if kind == _STRING:
            length, at = (first, at + 2) if first < 0x80 else _varint(raw, at + 1)
            if at + length != size:
                return self._any(raw, problems)
            value = raw[at:].decode()
        elif kind == _INT:
            value, at = (first, at + 2) if first < 0x80 else _varint(raw, at + 1)
            if at != size or value >> 64:
                return self._any(raw, problems)
            if value >= 1 << 63:
                value -= 1 << 64
        elif kind == _DOUBLE and length == 9:
            (value,) = _double(raw, at + 1)
        elif kind == _BOOL and length == 2 and first < 2:
            value = first == 1
        else:
            return self._any(raw, problems)
        key = self._keys.get(raw[2:begin]) or self._new_key(raw[2:begin])
        pair = key.text, value
        if key.values < _MAX_VALUES:
            self._remember(raw, key, pair)
        return pair

    def _any(self, raw: bytes, problems: Problems) -> Pair:
        message = KeyValue.FromString(raw)
        faults: Problems = []
        value = value_of(message.value, faults)
        problems += [fault for fault in faults if fault not in problems]
        name = message.key.encode()
        key = self._keys.get(name) or self._new_key(name)
        pair = key.text, value
        if not faults and key.values < _MAX_VALUES:
            self._remember(raw, key, pair)
        return pair

    def _new_key(self, raw: bytes) -> _Key:
        if len(self._keys) >= _MAX_KEYS:
            self._forget()
        key = self._keys[raw] = _Key(raw.decode())
        return key

    def _remember(self, raw: bytes, key: _Key, pair: Pair) -> None:
        value = pair[1]
        if len(raw) <= _MAX_BYTES and _is_name(value) and not (key.tells_text and isinstance(value, str | list)):
            if len(self._pairs) >= _MAX_PAIRS:
                self._forget()
            key.values += 1
            self._pairs[raw] = pair

    def _forget(self) -> None:
        self._keys.clear()
        self._pairs.clear()


def _is_name(value: Any) -> bool:
    """Whether it is a name, some names, or a number."""
    if isinstance(value, str):
        return " " not in value and value.isascii()
    return all(map(_is_name, value)) if isinstance(value, list) else not isinstance(value, dict | bytes)


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends; one that does not end within ten bytes ends nowhere."""
    value = raw[at]
    if value < 0x80:
        return value, at + 1
    value &= 0x7F
    for shift in range(7, 70, 7):
        at += 1
        if at >= len(raw):
            break
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
    return 0, -1
