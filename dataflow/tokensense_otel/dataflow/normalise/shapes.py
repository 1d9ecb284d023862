"""What the keys of a span tell before any value is looked at.

Services send spans of few shapes, a shape being the keys in their order. So what keys alone decide is worked out once
for each: whether a span is about GenAI at all (most are not), which of its attributes can name whose it is, and which
hold a canonical field. Only those are looked at when the next span of that shape comes.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tokensense_otel.dataflow.normalise.aliases import Field, fields_of
from tokensense_otel.dataflow.normalise.classify import tells_genai
from tokensense_otel.dataflow.normalise.prompt import may_hold_prompt
from tokensense_otel.dataflow.normalise.tools import Answer, answers_of

_MAX_SHAPES: Final = 1_024
_MAX_KEYS: Final = 64
"""Messages that are spread over attributes give every span a shape of its own, so the longest are not remembered."""


class Shape(NamedTuple):
    genai: bool
    naming: frozenset[str]
    """The attributes that may name a dimension."""
    fields: tuple[Field, ...]
    """The canonical fields, each with the attributes that hold it, the best first."""
    prompt: bool
    """Whether an attribute may tell of the prompt."""
    answers: tuple[Answer, ...] = ()
    """Where an answer may be that asks for tools."""


class Shapes:
    """`naming` are all attributes that may name a dimension. Bounded: when it is full, it begins anew."""

    def __init__(self, naming: frozenset[str]) -> None:
        self._naming = naming
        self._known: dict[tuple[str, ...], Shape] = {}

    def of(self, attributes: Mapping[str, Any]) -> Shape:
        keys = tuple(attributes)
        shape = self._known.get(keys)
        if shape is None:
            shape = Shape(
                tells_genai(keys),
                self._naming.intersection(keys),
                fields_of(keys),
                may_hold_prompt(keys),
                answers_of(keys),
            )
            if len(keys) <= _MAX_KEYS:
                if len(self._known) >= _MAX_SHAPES:
                    self._known.clear()
                self._known[keys] = shape
        return shape
