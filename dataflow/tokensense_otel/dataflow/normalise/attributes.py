"""OTLP attributes as Python values, and the coercions that real emitters make necessary.

Emitters send numbers as strings, booleans as `'True'`, structures as JSON or as Python's `repr` in a string, and 64-bit
integers as JavaScript `Long` objects (langfuse/langfuse#14047). What cannot be read is `None`.
"""

import ast
import math
import warnings
from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tokensense_otel.dataflow.normalise.corrections import Correction, Problems

MAX_ITEMS: Final = 64
"""Elements of an array that are read; longer ones are content or vectors, which accounting has no use for."""
MAX_DEPTH: Final = 6
MAX_COUNT: Final = 10**12
"""A token count above it is a mistake: no model has ever read a trillion tokens in one request."""
MAX_REPR_CHARS: Final = 32_768

Attributes = Mapping[str, Any]


def attributes_of(pairs: Collection[KeyValue], problems: Problems | None = None) -> dict[str, Any]:
    """Attributes as a dict; of a repeated key the last value counts. `problems` gets what had to be corrected."""
    found: dict[str, Any] = {}
    for pair in pairs:
        value = pair.value
        # Most attributes are strings, and asking for the string is cheaper than asking which kind it is.
        found[pair.key] = value.string_value or _value(value, 0, problems)
    if problems is not None and len(found) != len(pairs):
        problems.append(Correction.ATTRIBUTE_REPEATED)
    return found


def value_of(value: AnyValue, problems: Problems) -> Any:
    """The value of one attribute."""
    return _value(value, 0, problems)


def _value(value: AnyValue, depth: int, problems: Problems | None) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if depth > MAX_DEPTH:
        if problems is not None and Correction.VALUE_TOO_DEEP not in problems:
            problems.append(Correction.VALUE_TOO_DEEP)
        return None
    if kind == "array_value":
        items = value.array_value.values
        return [_value(item, depth + 1, problems) for item in items] if len(items) <= MAX_ITEMS else None
    if kind == "kvlist_value":
        pairs = value.kvlist_value.values
        return {pair.key: _value(pair.value, depth + 1, problems) for pair in pairs[: MAX_ITEMS * 4]}
    return getattr(value, kind)


def to_count(value: Any) -> int | None:
    """A whole number from 0 to a trillion, from whatever says one; `None` otherwise."""
    if type(value) is int:
        return value if 0 <= value <= MAX_COUNT else None
    number = None if value is None else to_number(value)
    if number is None or not number.is_integer() or not 0 <= number <= MAX_COUNT:
        return None
    return int(number)


def to_number(value: Any) -> float | None:
    """A finite number, from a number, its string, or a JavaScript `Long` as `{low, high}`."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        if len(value) > 40:
            return None
        try:
            value = float(value)
        except ValueError:
            return None
    elif isinstance(value, Mapping):
        low, high = value.get("low"), value.get("high")
        if type(low) is not int or type(high) is not int:
            return None
        value = (high << 32) + (low & 0xFFFFFFFF)
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def to_bool(value: Any) -> bool:
    """True for `True`, `'true'`, `'True'` and `'1'`."""
    return value is True or (isinstance(value, str) and value.lower() in ("true", "1"))


def to_text(value: Any) -> str:
    """A string without blanks around it; numbers as they print; empty for anything else."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def to_texts(value: Any) -> list[str]:
    """Strings from an array, a JSON array in a string, or a string with commas."""
    if isinstance(value, str):
        parsed = from_json(value, 4_096) if value.startswith("[") else None
        value = parsed if isinstance(parsed, list) else value.split(",")
    if not isinstance(value, list):
        return []
    return [text for item in value if (text := to_text(item))]


def from_json(value: Any, max_chars: int) -> Any:
    """What a JSON string holds, or a structure that came as one; `None` if it is none, is too long, or too deep."""
    if isinstance(value, dict | list):
        return value
    if not isinstance(value, str) or not value or len(value) > max_chars:
        return None
    try:
        return orjson.loads(value)
    except ValueError:
        return None


def from_repr(value: Any, max_chars: int = MAX_REPR_CHARS) -> Any:
    """What JSON or a Python literal in a string holds, or a structure that came as one; else `None`. No evaluation."""
    if isinstance(value, dict | list):
        return value
    if not isinstance(value, str) or not 2 <= len(value) <= max_chars or value[0] not in "{[":
        return None
    try:
        return orjson.loads(value)
    except ValueError:
        pass
    # The repr of plain dicts of numbers is JSON but for its spelling, and orjson is 50 times faster than `ast`.
    spelled = value.replace('"', "\\u0022").replace("'", '"')
    spelled = spelled.replace(": None", ": null").replace(": True", ": true").replace(": False", ": false")
    try:
        return orjson.loads(spelled)
    except ValueError:
        pass
    if sum(map(value.count, "([{")) > 1_000:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
