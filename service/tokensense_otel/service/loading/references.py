"""Resolve what a value refers to: `${ENV}`, `${ENV:-default}` and the file behind a `*_file` key."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokensense_otel.service.loading.document import Document, KeyPath
from tokensense_otel.service.loading.problems import Problems
from tokensense_otel.service.loading.schema import fields, plain, step

_REFERENCE = re.compile(r"(?P<escape>\$?)\$\{(?P<body>[^}]*)(?P<end>\}?)")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-(?P<text>.*))?", re.DOTALL)
_SHORTEST_HIDDEN = 4
"""A shorter value is no secret worth the name, and hiding it would garble messages."""


class References:
    """Replaces references within a document in place; what is wrong goes to `problems`."""

    def __init__(self, document: Document, environ: Mapping[str, str], base_dir: Path, problems: Problems) -> None:
        self._document = document
        self._environ = environ
        self._base_dir = base_dir
        self._problems = problems

    def resolve(self, model: Any) -> None:
        self._document.data = self._value(self._document.data, model, ())

    def _value(self, value: Any, annotation: Any, path: KeyPath) -> Any:
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, list):
            return [self._value(item, step(annotation, index), (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, dict):
            inner = {key: self._value(item, step(annotation, key), (*path, key)) for key, item in value.items()}
            return self._with_files(inner, annotation, path)
        if value is None and fields(plain(annotation)) is not None:
            return {}  # a section whose keys are all commented out
        return value

    def _text(self, text: str, path: KeyPath) -> str:
        def replace(match: re.Match[str]) -> str:
            if match["escape"]:
                return match.group().removeprefix("$")
            body = _BODY.fullmatch(match["body"])
            if body is None or not match["end"]:
                self._add(path, "this is no variable; write ${NAME}, ${NAME:-default}, or $${ for the characters ${")
                return ""
            default: str | None = body["text"]
            value = self._environ.get(body["name"], default)
            if value is None:
                self._add(path, f"{body['name']} is not set; set it, or write ${{{body['name']}:-default}}")
                return ""
            self._hide(value, f"${{{body['name']}}}")
            return value

        return _REFERENCE.sub(replace, text)

    def _with_files(self, mapping: dict[str, Any], annotation: Any, path: KeyPath) -> dict[str, Any]:
        """Replace each `x_file: path` by `x: what is in the file`, where `x` is a key and `x_file` is none itself."""
        known = fields(plain(annotation))
        result = dict(mapping)
        for key, value in mapping.items():
            target = key.removesuffix("_file")
            if target == key or not isinstance(value, str):
                continue
            if known is not None and (key in known or target not in known):
                continue
            del result[key]
            if target in mapping:
                self._add((*path, key), f"{target} is given as well; keep one of the two")
                continue
            result[target] = self._content(value, (*path, key))
            self._document.places[(*path, target)] = self._document.place((*path, key))
        return result

    def _content(self, name: str, path: KeyPath) -> str:
        try:
            content = (self._base_dir / name).expanduser().read_text(encoding="utf-8").strip()
        except OSError as error:
            self._add(path, f"{name} cannot be read ({error.strerror}); write the path of a readable file")
            return ""
        except UnicodeDecodeError:
            self._add(path, f"{name} is not UTF-8 text; write the path of a text file")
            return ""
        except (ValueError, RuntimeError) as error:  # a null byte, a home of nobody
            self._add(path, f"this is no path ({error}); write the path of a readable file")
            return ""
        if not content:
            self._add(path, f"{name} is empty; put the value in it")
        self._hide(content, f"the content of {name}")
        return content

    def _hide(self, value: str, reference: str) -> None:
        if len(value) >= _SHORTEST_HIDDEN:
            self._problems.hidden[value] = reference

    def _add(self, path: KeyPath, text: str) -> None:
        self._problems.add(self._document.place(path), path, text)
