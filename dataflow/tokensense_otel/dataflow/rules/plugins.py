"""Rules that users write in Python: an entry point of the group `tokensense.rules`, or `./file.py:Class`.

A relative path is made absolute by who reads the configuration file; see `service.loading.plugins`.
"""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from tokensense_otel.core.config import refused
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.names import nearest
from tokensense_otel.core.plugins import Plugins
from tokensense_otel.dataflow.rules.call_rule import CallRule
from tokensense_otel.dataflow.rules.registry import RULES
from tokensense_otel.dataflow.rules.rule import Rule, RuleConfig

PLUGINS: Final = Plugins("tokensense.rules", "rule")
_WORDS: Final = ("name", "description", "scope", "thresholds", "config_type")


def load_plugins(names: Iterable[Any]) -> tuple[Rule[Any, Any], ...]:
    """The rules that are named.

    Raises:
        pydantic.ValidationError: at (plugins, index), for one that cannot be loaded or is no rule.
    """
    rules: list[Rule[Any, Any]] = []
    for index, name in enumerate(names):
        try:
            rule = _load(str(name))
        except ConfigError as error:
            raise refused(("plugins", index), str(error).removeprefix("plugin: ")) from None
        if rule.name in RULES or rule.name in [other.name for other in rules]:
            raise refused(("plugins", index), f"there is a rule {rule.name} already; give it another name")
        rules.append(rule)
    return tuple(rules)


def explained(error: ValidationError, rules: Iterable[Rule[Any, Any]]) -> ValidationError:
    """The error with what to write instead of an unknown option of a plugin, of which no schema tells."""
    known = {rule.name: rule.config_type.model_fields for rule in rules}
    lines: list[InitErrorDetails] = []
    for found in error.errors(include_url=False):
        where, kind, context = found["loc"], found["type"], found.get("ctx", {})
        if kind == "extra_forbidden" and len(where) == 2 and where[0] in known:
            text = f"there is no such key; {nearest(str(where[1]), known[str(where[0])])}"
            kind, context = "value_error", {"error": text}
        lines.append({"type": kind, "loc": where, "input": None, "ctx": context})
    return ValidationError.from_exception_data("rules", lines)


def _load(name: str) -> Rule[Any, Any]:
    cls: Any = PLUGINS.load(name, key="plugin", base_dir=Path.cwd())
    if not (inspect.isclass(cls) and issubclass(cls, Rule)):
        raise ConfigError(f"{name} is no rule; write a subclass of CallRule or WindowRule")
    if not issubclass(cls, CallRule) and cls.sample_type is None:
        raise ConfigError(f"{name} is about nothing; write a subclass of CallRule, or give it a sample_type")
    if inspect.isabstract(cls):
        raise ConfigError(
            f"{name} lacks the methods {', '.join(sorted(cls.__abstractmethods__))}; see docs/rules/plugins.md"
        )
    for word in _WORDS:
        if not hasattr(cls, word):
            raise ConfigError(f"{name} does not say its {word}; see docs/rules/plugins.md")
    try:
        rule: Rule[Any, Any] = cls()
        fits = issubclass(rule.config_type, RuleConfig) and rule.config_type() is not None
    except Exception as error:  # noqa: BLE001 - somebody else's code
        said = " ".join(str(error).split())
        raise ConfigError(f"{name} cannot be made: {type(error).__name__}: {said}") from None
    if not fits:
        raise ConfigError(f"{name}: its config_type has to be a subclass of RuleConfig or WindowConfig")
    return rule
