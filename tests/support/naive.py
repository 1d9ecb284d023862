"""What most readers do: add up `gen_ai.usage.*` over all spans that have it. A yardstick, and a generous one.

It knows the names of both generations of the conventions, takes numbers in text for numbers, and finds the model under
either name.
"""

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.truth import FIELDS, Sums, asked_for

_NAMES = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "cache_read": ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
    "cache_write": ("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens"),
    "reasoning": ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
}


def summed(folder: str, spans: Iterable[Span]) -> dict[str, Sums]:
    """By request model, in the words of `expected.json`; a call is a span with usage."""
    found: dict[str, Sums] = {}
    for span in spans:
        attributes = {each.key: _value(each) for each in span.attributes}
        if not any(key.startswith("gen_ai.usage.") for key in attributes):
            continue
        model = attributes.get("gen_ai.request.model") or attributes.get("gen_ai.response.model") or ""
        into = found.setdefault(asked_for(folder, str(model)), dict.fromkeys(FIELDS, 0))
        tokens = {name: _first(attributes, keys) for name, keys in _NAMES.items()}
        counts = {"calls": 1, "errors": int(span.status.code == Status.STATUS_CODE_ERROR)} | tokens
        for name, count in counts.items():
            into[name] = (into[name] or 0) + count
    return found


def _value(attribute: KeyValue) -> Any:
    kind = attribute.value.WhichOneof("value")
    return getattr(attribute.value, kind) if kind else None


def _first(attributes: dict[str, Any], keys: Iterable[str]) -> int:
    for key in keys:
        value = attributes.get(key)
        if isinstance(value, int | float) or (isinstance(value, str) and value.isdigit()):
            return int(value)
    return 0
