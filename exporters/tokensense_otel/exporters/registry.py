"""Find an exporter by its `type` and build it from its keys. Only what is configured is loaded.

A type is a built-in's name, a name in the entry-point group `tokensense.exporters`, or `./file.py:Class` relative to
the configuration file. Every problem is a `ConfigError` of one line that begins with the key's path.
"""

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.exporters.config import ExporterConfig
from tokensense_otel.exporters.exporter import NamedExporter

GROUP = "tokensense.exporters"
BUILT_IN = {
    "console": "tokensense_otel.exporters.console.exporter:ConsoleExporter",
    "webhook": "tokensense_otel.exporters.webhook.exporter:WebhookExporter",
    "slack": "tokensense_otel.exporters.slack.exporter:SlackExporter",
    "pagerduty": "tokensense_otel.exporters.pagerduty.exporter:PagerDutyExporter",
}
_METHODS = ("render", "start", "send", "aclose")
_COROUTINES = ("start", "send", "aclose")


def load_exporters(raw: Mapping[str, Mapping[str, Any]], *, base_dir: Path) -> list[NamedExporter]:
    """The configured exporters, checked and built, not started. `base_dir` is the configuration file's folder.

    Raises:
        ConfigError: `exporters.ops.secret: …`, at the first problem.
    """
    return [_load(name, section, base_dir) for name, section in raw.items()]


def installed_types() -> dict[str, str]:
    """The types that can be named, with where each comes from: `built in`, or a distribution and its version."""
    found = dict.fromkeys(BUILT_IN, "built in")
    return found | {point.name: _origin(point) for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def _load(name: str, section: Any, base_dir: Path) -> NamedExporter:
    key = f"exporters.{name}"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise ConfigError(f"{key}: a name has letters, digits, - and _; write for instance team-chat")
    if not isinstance(section, Mapping):
        raise ConfigError(f"{key}: this is not a mapping; write for instance {{type: console}}")
    kind = section.get("type")
    if not isinstance(kind, str) or not kind:
        raise ConfigError(f"{key}.type: it is missing; write one of {_listed(installed_types())}")
    cls = _class(kind, f"{key}.type", base_dir)
    _check_shape(cls, kind, f"{key}.type")
    try:
        config = cls.Config.model_validate(dict(section))
    except ValidationError as error:
        raise ConfigError(_one_line(error, key, cls.Config)) from None
    try:
        return NamedExporter(name, cls(config), config)
    except Exception as error:  # noqa: BLE001 - somebody else's code
        said = str(error) if isinstance(error, ConfigError) else f"it raised {type(error).__name__}"
        raise ConfigError(f"{key}: {kind} cannot be built: {said}") from None


def _class(kind: str, key: str, base_dir: Path) -> Any:
    file, colon, attribute = kind.rpartition(":")
    if colon and file.endswith(".py"):
        return _from_file(base_dir / file, attribute, key)
    if kind in BUILT_IN:
        module, _, attribute = BUILT_IN[kind].partition(":")
        return getattr(importlib.import_module(module), attribute)
    points = [point for point in entry_points(group=GROUP) if point.name == kind]
    if not points:
        raise ConfigError(f"{key}: no exporter is called {kind!r}; {_nearest(kind, installed_types())}")
    if len(points) > 1:
        raise ConfigError(f"{key}: {kind} is in {' and '.join(map(_origin, points))}; uninstall one of them")
    try:
        return points[0].load()
    except Exception as error:  # noqa: BLE001 - somebody else's code
        raise ConfigError(f"{key}: {kind} of {_origin(points[0])} cannot be loaded: {_said(error)}") from None


def _from_file(path: Path, attribute: str, key: str) -> Any:
    if not path.is_file():
        raise ConfigError(f"{key}: {path} is not a file; a relative path starts at the configuration file's folder")
    try:
        module = _module(path)
    except Exception as error:  # noqa: BLE001 - somebody else's code
        raise ConfigError(f"{key}: {path} cannot be loaded: {_said(error)}") from None
    if not hasattr(module, attribute):
        classes = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise ConfigError(f"{key}: {path} has no {attribute!r}; {_nearest(attribute, classes)}")
    return getattr(module, attribute)


def _module(path: Path) -> ModuleType:
    """The file as a module, registered so that pydantic finds the names its annotations use."""
    name = f"tokensense_exporter_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _check_shape(cls: Any, kind: str, key: str) -> None:
    if not inspect.isclass(cls):
        raise ConfigError(f"{key}: {kind} is not a class")
    config = getattr(cls, "Config", None)
    if not (inspect.isclass(config) and issubclass(config, ExporterConfig)):
        raise ConfigError(f"{key}: {kind} lacks Config, a subclass of ExporterConfig or HttpExporterConfig")
    for method in _METHODS:
        if not callable(getattr(cls, method, None)):
            raise ConfigError(f"{key}: {kind} lacks the method {method}; see docs/exporters.md")
    for method in _COROUTINES:
        if not inspect.iscoroutinefunction(getattr(cls, method)):
            raise ConfigError(f"{key}: {kind}.{method} has to be async; write async def {method}")


def _one_line(error: ValidationError, key: str, config: type[BaseModel]) -> str:
    """The first problem, as `exporters.ops.url: …`; the value itself is never shown."""
    problem = error.errors(include_input=False, include_url=False)[0]
    names = [str(part) for part in problem["loc"] if isinstance(part, int) or str(part).isidentifier()]
    path = ".".join([key, *names])
    if problem["type"] == "extra_forbidden":
        return f"{path}: there is no such key; {_nearest(names[-1], config.model_fields)}"
    if problem["type"] == "missing":
        return f"{path}: it is missing; this exporter needs it"
    return f"{path}: {problem['msg'].removeprefix('Value error, ')}"


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"There are: {_listed(names)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
