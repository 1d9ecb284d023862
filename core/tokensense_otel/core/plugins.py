"""Find a class by the name that a configuration gives it. Only what is configured is loaded.

A name is that of something built in, a name in an entry-point group, or `./file.py:Class` relative to the
configuration file. Every problem is a `ConfigError` of one line that begins with the key's path.
"""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.names import meant


class Plugins(msgspec.Struct, frozen=True):
    """One kind of plugin: `noun` is what it is called, `built_in` the names that nobody else can take."""

    group: str
    noun: str
    built_in: Mapping[str, str] = {}

    def installed(self) -> dict[str, str]:
        """The names there are, with where each comes from: `built in`, or a distribution and its version."""
        found = dict.fromkeys(self.built_in, "built in")
        points = entry_points(group=self.group)
        return found | {point.name: _origin(point) for point in points if point.name not in self.built_in}

    def load(self, name: str, *, key: str, base_dir: Path) -> Any:
        """The class of that name.

        Raises:
            ConfigError: `key: …` when there is none, or it cannot be loaded.
        """
        file, colon, attribute = name.rpartition(":")
        if colon and file.endswith(".py"):
            return _from_file(base_dir / file, attribute, key)
        if name in self.built_in:
            module, _, attribute = self.built_in[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        points = [point for point in entry_points(group=self.group) if point.name == name]
        if not points:
            raise ConfigError(f"{key}: no {self.noun} is called {name!r}; {meant(name, self.installed())}")
        if len(points) > 1:
            raise ConfigError(f"{key}: {name} is in {' and '.join(map(_origin, points))}; uninstall one of them")
        try:
            return points[0].load()
        except Exception as error:  # noqa: BLE001 - somebody else's code
            raise ConfigError(f"{key}: {name} of {_origin(points[0])} cannot be loaded: {_said(error)}") from None


def is_file(name: str) -> bool:
    """Whether a name means a class in a file."""
    file, colon, _ = name.rpartition(":")
    return bool(colon) and file.endswith(".py")


def _from_file(path: Path, attribute: str, key: str) -> Any:
    if not path.is_file():
        raise ConfigError(f"{key}: {path} is not a file; a relative path starts at the configuration file's folder")
    try:
        module = _module(path)
    except Exception as error:  # noqa: BLE001 - somebody else's code
        raise ConfigError(f"{key}: {path} cannot be loaded: {_said(error)}") from None
    if not hasattr(module, attribute):
        classes = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise ConfigError(f"{key}: {path} has no {attribute!r}; {meant(attribute, classes)}")
    return getattr(module, attribute)


def _module(path: Path) -> ModuleType:
    """The file as a module, registered so that pydantic finds the names its annotations use."""
    name = f"tokensense_plugin_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
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


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
