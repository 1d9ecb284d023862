"""The reference of every key, written from the models, so that docs/configuration.md is never behind them.

python -m tokensense_otel.service.loading.reference docs/configuration.md
"""

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tokensense_otel.service.loading.schema import is_model, plain

BEGIN = "<!-- begin: written by `python -m tokensense_otel.service.loading.reference docs/configuration.md` -->"
END = "<!-- end -->"

_HEAD = ("| key | takes | default | meaning |", "|---|---|---|---|")
_LONGEST_DEFAULT = 60
_KINDS = {
    "str": "text",
    "Path": "path",
    "SecretStr": "secret",
    "int": "whole number",
    "float": "number",
    "Decimal": "number",
    "date": "date",
    "bool": "true or false",
    "Duration": "duration",
}


def render(model: type[BaseModel]) -> str:
    """One Markdown section for each top-level key, with a table of the keys beneath it."""
    parts: list[str] = []
    for name, info in model.model_fields.items():
        parts += [f"### `{name}`", "", _one_line(info.description or ""), ""]
        rows = [_row((name,), info)] if not _beneath(info.annotation) else list(_rows((name,), info.annotation))
        parts += [*_HEAD, *rows, ""]
    return "\n".join(parts).rstrip()


def table(model: type[BaseModel]) -> str:
    """The keys of one model."""
    return "\n".join([*_HEAD, *_rows((), model)])


def rewritten(document: str, model: type[BaseModel]) -> str:
    """`document` with what stands between the markers written anew."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{render(model)}\n\n{END}{after}"


def _rows(path: tuple[str, ...], annotation: Any) -> Iterator[str]:
    for suffix, model in _beneath(annotation):
        for name, info in model.model_fields.items():
            inner = (*path, *suffix, name)
            if _beneath(info.annotation):
                yield from _rows(inner, info.annotation)
            else:
                yield _row(inner, info)


def _beneath(annotation: Any) -> list[tuple[tuple[str, ...], type[BaseModel]]]:
    """The models that stand beneath a key: directly, in a list (`[]`), or under names of the user's own (`NAME`)."""
    annotation = plain(annotation)
    if is_model(annotation):
        return [((), annotation)]
    element = "NAME" if get_origin(annotation) is dict else "[]"
    return [((element,), argument) for argument in get_args(annotation) if is_model(argument)]


def _row(path: tuple[str, ...], info: FieldInfo) -> str:
    key = ".".join(path).replace(".[]", "[]")
    return f"| `{key}` | {_kind(info)} | {_default(info)} | {_one_line(info.description or '')} |"


def _kind(info: FieldInfo) -> str:
    annotation = plain(info.annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    if get_origin(annotation) in (list, tuple):
        return "list"
    if get_origin(annotation) is dict:
        return "mapping"
    kind = _KINDS.get(getattr(annotation, "__name__", ""), "text")
    bounds = [
        f"{symbol} {getattr(limit, name)}"
        for limit in info.metadata
        for name, symbol in _BOUNDS
        if hasattr(limit, name)
    ]
    return ", ".join([kind, *bounds])


_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if value is None or value in ("", (), {}):
        return "–"
    text = str(value.value) if isinstance(value, Enum) else _yaml(value)
    return f"`{text}`" if len(text) <= _LONGEST_DEFAULT else f"`{text[:_LONGEST_DEFAULT].rpartition(', ')[0]}, …`"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_yaml(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(item)}' for key, item in value.items())}}}"
    return str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(path: Path) -> None:
    """Rewrite the reference within a document."""
    from tokensense_otel.service.config import Settings

    path.write_text(rewritten(path.read_text(encoding="utf-8"), Settings), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
