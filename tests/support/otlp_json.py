"""OTLP/JSON as senders write it, from protobuf messages: the counterpart that decoders are tested against."""

import base64
import json
import math
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_SIXTY_FOUR_BITS = {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}
_IDS = {"trace_id", "span_id", "parent_span_id"}


def to_otlp_json(message: Message, *, upper_case_ids: bool = False, numbers_as_strings: bool = True) -> bytes:
    """`message` as the OTLP specification says: hex ids, 64-bit integers as strings, enums as numbers."""
    return json.dumps(_object(message, upper_case_ids, numbers_as_strings)).encode()


def _object(message: Message, upper: bool, strings: bool) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.is_repeated:
            written[field.json_name] = [_value(field, element, upper, strings) for element in value]
        else:
            written[field.json_name] = _value(field, value, upper, strings)
    return written


def _value(field: FieldDescriptor, value: Any, upper: bool, strings: bool) -> Any:
    if field.message_type is not None:
        return _object(value, upper, strings)
    if field.type == FieldDescriptor.TYPE_BYTES:
        if field.name in _IDS:
            return value.hex().upper() if upper else value.hex()
        return base64.b64encode(value).decode()
    if field.cpp_type in _SIXTY_FOUR_BITS:
        return str(value) if strings else value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
