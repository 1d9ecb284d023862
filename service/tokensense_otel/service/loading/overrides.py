"""Environment overrides: `TOKENSENSE_RECEIVER__GRPC__ENDPOINT=0.0.0.0:4317` is `receiver: {grpc: {endpoint: …}}`."""

from collections.abc import Mapping
from typing import Any

import yaml

from tokensense_otel.core.names import nearest
from tokensense_otel.service.loading.document import Document, KeyPath, dotted
from tokensense_otel.service.loading.problems import Problems
from tokensense_otel.service.loading.schema import fields, is_mapping, is_text, plain, step

PREFIX = "TOKENSENSE_"


def apply(document: Document, model: Any, environ: Mapping[str, str], problems: Problems) -> None:
    """Put each `TOKENSENSE_…` variable over what the file says.

    Segments are joined by two underscores and match keys whatever their case. Text is taken as it stands; a list or a
    mapping is written as YAML or JSON. A variable of one segment that names no key is somebody else's and is passed
    over (`TOKENSENSE_DEBUG`).
    """
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        segments = name.removeprefix(PREFIX).split("__")
        if len(segments) == 1 and segments[0].lower() not in (fields(model) or {}):
            continue
        place = f"environment {name}"
        path = _path(segments, document.data, model)
        if isinstance(path, str):
            problems.add(place, (), path)
            continue
        _put(document, path, _parse(environ[name], _at(model, path)), place)


def _path(segments: list[str], data: Any, model: Any) -> KeyPath | str:
    """The key path that the segments mean, or what is wrong with them."""
    path: list[str] = []
    annotation: Any = model
    for segment in segments:
        annotation = plain(annotation)
        if annotation is not Any and not is_mapping(annotation):
            return f"{dotted(path)} has no keys beneath it; write {PREFIX}{'__'.join(path).upper()}"
        known = fields(annotation)
        existing = data if isinstance(data, dict) else {}
        spelled = {key.lower(): key for key in (known if known is not None else existing)}
        key = spelled.get(segment.lower())
        if key is None:
            if known is not None:
                return f"{dotted([*path, segment.lower()])}: there is no such key; {nearest(segment, known)}"
            key = segment.lower()
        path.append(key)
        annotation = step(annotation, key)
        data = existing.get(key)
    return tuple(path)


def _at(annotation: Any, path: KeyPath) -> Any:
    for key in path:
        annotation = step(annotation, key)
    return annotation


def _parse(text: str, annotation: Any) -> Any:
    if is_text(annotation):
        return text
    if text.lstrip().startswith(("[", "{")) or plain(annotation) is Any:
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            return text
    return text


def _put(document: Document, path: KeyPath, value: Any, place: str) -> None:
    target = document.data
    for key in path[:-1]:
        inner = target.get(str(key))
        if inner is None:
            inner = target[str(key)] = {}
        if not isinstance(inner, dict):
            return  # the file's own mistake, which is reported with its line
        target = inner
    target[str(path[-1])] = value
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
    document.places[path] = place
