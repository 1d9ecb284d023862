"""What a capture has to come to, and how far rows of usage are from it."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from tests.support.captures import CAPTURES

FIELDS: Mapping[str, str] = {
    "calls": "calls",
    "errors": "errors",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "reasoning": "reasoning_tokens",
}
"""The names in `expected.json`, and those in the rows of `replay`, `usage` and the API."""

_USAGE = ("calls", "errors", "input_tokens", "output_tokens")
ALONE: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("claude_code", "logs"): tuple(FIELDS),
    ("codex", "logs"): tuple(FIELDS),
    ("gemini_cli", "logs"): tuple(FIELDS),
    ("gemini_cli", "metrics"): tuple(FIELDS),
    ("official_genai", "metrics"): _USAGE,  # these have no classes but input and output
    ("pydantic_ai", "metrics"): _USAGE,
}
"""Where one signal of a capture tells of every call without the others, and what it tells."""

Sums = dict[str, int | None]

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@cache
def truth(folder: str) -> Mapping[str, Sums]:
    """By request model: what was really used; `None` where the instrumentation lost it."""
    loaded: dict[str, Sums] = json.loads((CAPTURES / folder / "expected.json").read_text())
    return loaded


def asked_for(folder: str, model: str) -> str:
    """The request model behind the `model` of a row, which may be the response's: `gpt-4o-2024-08-06` for `gpt-4o`."""
    return model if model in truth(folder) else _DATED.sub("", model)


def sums(folder: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, Sums]:
    """Rows of usage by request model, in the words of `expected.json`."""
    found: dict[str, Sums] = {}
    for row in rows:
        into = found.setdefault(asked_for(folder, row["model"]), dict.fromkeys(FIELDS))
        for name, column in FIELDS.items():
            if row[column] is not None:
                into[name] = (into[name] or 0) + row[column]
    return found


def differences(folder: str, found: Mapping[str, Sums], names: Iterable[str] = tuple(FIELDS)) -> list[str]:
    """Each non-null field of the truth that is not what was found, and each model that nobody asked for."""
    expected = truth(folder)
    wrong = [f"{folder}: {model or '(no model)'} was never asked" for model in sorted(found.keys() - expected.keys())]
    for model, fields in expected.items():
        got = found.get(model, {})
        wrong += [
            f"{folder}: {model or '(no model)'} {name} is {fields[name]}, found {got.get(name)}"
            for name in names
            if fields[name] is not None and got.get(name) != fields[name]
        ]
    return wrong


def calls_of(folder: str) -> int:
    """How many calls there were of all models."""
    return sum(fields["calls"] or 0 for fields in truth(folder).values())
