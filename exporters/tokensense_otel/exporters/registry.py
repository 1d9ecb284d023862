"""Find an exporter by its `type` and build it from its keys. Only what is configured is loaded.

A type is a built-in's name, a name in the entry-point group `tokensense.exporters`, or `./file.py:Class` relative to
the configuration file. Every problem is a `ConfigError` of one line that begins with the key's path.
"""

import inspect
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.names import listed, meant
from tokensense_otel.core.plugins import Plugins
from tokensense_otel.exporters.config import ExporterConfig
from tokensense_otel.exporters.exporter import NamedExporter

GROUP = "tokensense.exporters"
BUILT_IN = {
    "console": "tokensense_otel.exporters.console.exporter:ConsoleExporter",
    "webhook": "tokensense_otel.exporters.webhook.exporter:WebhookExporter",
    "slack": "tokensense_otel.exporters.slack.exporter:SlackExporter",
    "pagerduty": "tokensense_otel.exporters.pagerduty.exporter:PagerDutyExporter",
    "teams": "tokensense_otel.exporters.teams.exporter:TeamsExporter",
    "alertmanager": "tokensense_otel.exporters.alertmanager.exporter:AlertmanagerExporter",
    "email": "tokensense_otel.exporters.email.exporter:EmailExporter",
    "file": "tokensense_otel.exporters.file.exporter:FileExporter",
}
_PLUGINS = Plugins(GROUP, "exporter", BUILT_IN)
_METHODS = ("render", "start", "send", "aclose")
_COROUTINES = ("start", "send", "aclose")


def load_exporters(
    raw: Mapping[str, Mapping[str, Any]], *, base_dir: Path, among: Collection[str] | None = None
) -> list[NamedExporter]:
    """The configured exporters, checked and built, not started. `base_dir` is the configuration file's folder.

    `among` are the names that a fallback may be of, where these are not all that are configured.

    Raises:
        ConfigError: `exporters.ops.secret: …`, at the first problem.
    """
    loaded = [_load(name, section, base_dir) for name, section in raw.items()]
    for named in loaded:
        _check_fallback(named, raw.keys() if among is None else among)
    return loaded


def installed_types() -> dict[str, str]:
    """The types that can be named, with where each comes from: `built in`, or a distribution and its version."""
    return _PLUGINS.installed()


def _load(name: str, section: Any, base_dir: Path) -> NamedExporter:
    key = f"exporters.{name}"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise ConfigError(f"{key}: a name has letters, digits, - and _; write for instance team-chat")
    if not isinstance(section, Mapping):
        raise ConfigError(f"{key}: this is not a mapping; write for instance {{type: console}}")
    kind = section.get("type")
    if not isinstance(kind, str) or not kind:
        raise ConfigError(f"{key}.type: it is missing; write one of {listed(installed_types())}")
    cls = _PLUGINS.load(kind, key=f"{key}.type", base_dir=base_dir)
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


def _check_fallback(named: NamedExporter, names: Collection[str]) -> None:
    fallback = named.config.fallback
    if fallback and (fallback == named.name or fallback not in names):
        others = [name for name in names if name != named.name]
        raise ConfigError(
            f"exporters.{named.name}.fallback: there is no other exporter {fallback!r}; {meant(fallback, others)}"
        )


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
        return f"{path}: there is no such key; {meant(names[-1], config.model_fields)}"
    if problem["type"] == "missing":
        return f"{path}: it is missing; this exporter needs it"
    return f"{path}: {problem['msg'].removeprefix('Value error, ')}"
