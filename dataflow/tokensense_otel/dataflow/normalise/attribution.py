"""Whose call it was: dimensions from ordered, configurable lists of attribute keys.

A span names dimensions for itself and its descendants; accounting hands them down the trace. Here is only what one
set of attributes says.
"""

from typing import Any, Final

from tokensense_otel.core.call import Dimensions
from tokensense_otel.dataflow.normalise.attributes import Attributes, from_json, to_text, to_texts
from tokensense_otel.dataflow.normalise.config import AttributionConfig

NAMES: Final = Dimensions.__struct_fields__
NOBODY: Final = Dimensions()
PROJECT: Final = "tokensense.project"
_VERSIONS: Final = (
    "service.version",
    "langfuse.release",
    "vcs.ref.head.revision",
    "vcs.repository.ref.revision",
    "faas.version",
    "container.image.tags",
    "container.image.tag",
)
"""Resource attributes that tell one deployment from the next, the best first."""
_TAGS: Final = ("langfuse.trace.tags", "tag.tags", "langsmith.span.tags", "ai.telemetry.metadata.tags")
_MAX_VALUE: Final = 256
"""Longer values are cut: a dimension is a name, and somebody pays for keeping it."""


def version_of(attributes: Attributes) -> str:
    """The version of a service or of its deployment, empty where nothing names one."""
    for key in _VERSIONS:
        text = ",".join(to_texts(attributes[key])) if key in attributes else ""
        if text and text != "$LATEST":  # what a Lambda function has that is not published
            return text[:_MAX_VALUE]
    return ""


_NAMELESS: Final[tuple[str, ...]] = ()
_MAX_KNOWN: Final = 1_024

Plan = tuple[tuple[int, tuple[tuple[int, str], ...]], ...]
Named = tuple[Dimensions, tuple[str, ...]]
"""Dimensions, and which attribute named each."""


class Attribution:
    def __init__(self, config: AttributionConfig) -> None:
        self._keys: dict[str, tuple[tuple[int, int], ...]] = {}
        self._members: dict[str, list[tuple[str, int, int]]] = {}
        for dimension, name in enumerate(NAMES):
            for order, key in enumerate(getattr(config, name)):
                self._keys[key] = (*self._keys.get(key, ()), (dimension, order))
                parent, dot, member = key.rpartition(".")
                if dot:
                    self._members.setdefault(parent, []).append((member, dimension, order))
        self._objects = frozenset({"metadata", "ai.settings.context"} & self._members.keys())
        self.naming = frozenset(self._keys) | self._objects | frozenset(_TAGS)
        """All attributes that may name a dimension."""
        self._plans: dict[frozenset[str], Plan] = {}
        self._known: dict[tuple[frozenset[str], tuple[str, ...]], Named] = {}

    def read(self, attributes: Attributes) -> Dimensions:
        """The dimensions that these attributes name; the same object `NOBODY` where they name none."""
        return self.read_named(attributes)[0]

    def read_named(self, attributes: Attributes, hits: frozenset[str] | None = None) -> Named:
        """The dimensions, and which attribute named each. `hits` are those of the attributes that are in `naming`.

        One object for the same names, as long as it is remembered.
        """
        if hits is None:
            hits = self.naming.intersection(attributes)
        if not hits:
            return NOBODY, _NAMELESS
        told = tuple([attributes[key] for key in hits])
        try:
            "".join(told)
        except TypeError:  # numbers, and arrays of tags; and 1 is not the same name as 1.0
            return self._read(attributes, hits)
        known = self._known.get((hits, told))
        if known is None:
            known = self._read(attributes, hits)
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[hits, told] = known
        return known

    def _read(self, attributes: Attributes, hits: frozenset[str]) -> Named:
        values = [""] * len(NAMES)
        named = [""] * len(NAMES)
        orders = [1_000] * len(NAMES)
        for dimension, keys in self._plan(hits):
            for order, key in keys:
                text = to_text(attributes[key])
                if text:
                    values[dimension], named[dimension], orders[dimension] = text[:_MAX_VALUE], key, order
                    break
        for key in hits & self._objects:
            self._read_object(key, attributes[key], values, orders, named)
        for key in _TAGS:
            if key in hits:
                _read_tags(key, attributes[key], values, named)
        return (Dimensions(*values), tuple(named)) if any(values) else (NOBODY, _NAMELESS)

    def _plan(self, hits: frozenset[str]) -> Plan:
        """The dimensions that these attributes may name, each with them in order."""
        plan = self._plans.get(hits)
        if plan is None:
            told: dict[int, list[tuple[int, str]]] = {}
            for key in hits & self._keys.keys():
                for dimension, order in self._keys[key]:
                    told.setdefault(dimension, []).append((order, key))
            if len(self._plans) >= _MAX_KNOWN:
                self._plans.clear()
            plan = self._plans[hits] = tuple((dimension, tuple(sorted(keys))) for dimension, keys in told.items())
        return plan

    def _read_object(self, key: str, value: Any, values: list[str], orders: list[int], named: list[str]) -> None:
        """Members of a JSON object in one attribute, such as OpenInference's `metadata`."""
        if isinstance(value, str):
            wanted = any(f'"{member}"' in value for member, _, _ in self._members[key])
            value = from_json(value, 65_536) if wanted else None
        if not isinstance(value, dict):
            return
        for member, dimension, order in self._members[key]:
            text = to_text(value.get(member))
            if text and order < orders[dimension]:
                values[dimension], orders[dimension] = text[:_MAX_VALUE], order
                named[dimension] = f"{key}.{member}"


def _read_tags(key: str, value: Any, values: list[str], named: list[str]) -> None:
    """Tags like `team:search`, for dimensions that no key named."""
    for tag in to_texts(value):
        name, colon, text = tag.partition(":")
        if colon and text and name.strip().lower() in NAMES:
            dimension = NAMES.index(name.strip().lower())
            if not values[dimension]:
                values[dimension], named[dimension] = text.strip()[:_MAX_VALUE], key
