"""What is wrong with a configuration, one line each: place, key, what is wrong, what to write. No value of a secret."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.names import nearest
from tokensense_otel.service.loading.document import Document, KeyPath, dotted
from tokensense_otel.service.loading.schema import fields, plain, step

_TEXTS = {
    "int_parsing": "this is not a whole number; write for instance 5",
    "int_type": "this is not a whole number; write for instance 5",
    "int_from_float": "this is not a whole number; write for instance 5",
    "float_parsing": "this is not a number; write for instance 1.5",
    "float_type": "this is not a number; write for instance 1.5",
    "decimal_parsing": "this is not a number; write for instance 1.5",
    "decimal_type": "this is not a number; write for instance 1.5",
    "date_from_datetime_parsing": "this is no date; write for instance 2026-01-31",
    "date_from_datetime_inexact": "this is a time and no date; write for instance 2026-01-31",
    "date_type": "this is no date; write for instance 2026-01-31",
    "bool_parsing": "this is neither true nor false; write one of them",
    "bool_type": "this is neither true nor false; write one of them",
    "string_type": "this is not text; put it in quotes",
    "path_type": "this is not a path; write it in quotes",
    "list_type": "this is not a list; write it as [a, b]",
    "tuple_type": "this is not a list; write it as [a, b]",
    "dict_type": "this is not a mapping; write its keys beneath it",
    "model_type": "this is not a mapping; write its keys beneath it",
    "model_attributes_type": "this is not a mapping; write its keys beneath it",
    "missing": "the key is missing; write it",
}


class Problems:
    """Collects lines; `hidden` maps values that may not be shown to what stands for them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.hidden: dict[str, str] = {}
        self._paths: list[KeyPath] = []

    def concerns(self, path: KeyPath) -> bool:
        """Whether a problem is known at, above or beneath a key: what else is wrong there may only follow from it."""
        return any(known[: len(path)] == path[: len(known)] for known in self._paths if known)

    def add(self, place: str, path: KeyPath, text: str) -> None:
        for value, reference in self.hidden.items():
            text = text.replace(value, reference)
        line = ": ".join(part for part in (place, dotted(path), " ".join(text.split())) if part)
        if line not in self.lines:
            self.lines.append(line)
            self._paths.append(path)

    def raise_any(self) -> None:
        """Raises: ConfigError: with all lines, when there is one."""
        if self.lines:
            raise ConfigError("\n".join(self.lines))


def describe(
    error: ValidationError, model: type[BaseModel], document: Document, problems: Problems, beneath: KeyPath = ()
) -> None:
    """Add a line for each thing that pydantic found in `model`, which stands beneath a key of the document."""
    data: Any = document.data
    for key in beneath:
        data = data[key]
    for found in error.errors(include_url=False, include_input=False):
        path, annotation = _locate(found["loc"], model, data)
        path = (*beneath, *path)
        if problems.concerns(path):
            continue
        kind = found["type"]
        if kind == "extra_forbidden":
            known = fields(plain(annotation)) or {}
            text = f"there is no such key; {nearest(str(path[-1]), known)}"
        else:
            text = _text(kind, found["msg"], found.get("ctx", {}))
        problems.add(document.place(path), path, text)


def _text(kind: str, message: str, context: dict[str, Any]) -> str:
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", message))
    if kind == "literal_error":
        return f"this is not known; write {context['expected']}"
    return _TEXTS.get(kind) or message.replace("Input should be", "this should be")


def _locate(location: Sequence[str | int], model: type[BaseModel], data: Any) -> tuple[KeyPath, Any]:
    """The key path within a pydantic location (which also names union members), and the type that holds its end."""
    path: list[str | int] = []
    holder: Any = model
    annotation: Any = model
    for index, part in enumerate(location):
        last = index == len(location) - 1
        known = fields(plain(annotation)) or {}
        inside = (isinstance(data, dict) and part in data) or (isinstance(data, list) and isinstance(part, int))
        if not inside and part not in known and not (last and not path):
            continue
        path.append(part)
        holder, annotation = annotation, step(annotation, part)
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            data = None
    return tuple(path), holder
