"""From a YAML file and an environment to checked settings, before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.dataflow.rules.config import RulesConfig
from tokensense_otel.service.config import Settings
from tokensense_otel.service.loading import overrides, prices, rules
from tokensense_otel.service.loading.document import Document, dotted, parse
from tokensense_otel.service.loading.problems import Problems, describe
from tokensense_otel.service.loading.references import References

DEFAULT_FILE = Path("tokensense.yaml")


@dataclass(frozen=True)
class Loaded:
    """Checked settings, and the resolved mapping that they were made of.

    A supervisor hands `raw` to its parts through a pipe, so that all run on what was checked although the file may
    change meanwhile. It holds secrets in plain text: it is never printed and never written to disk.
    """

    settings: Settings
    raw: dict[str, Any]
    base_dir: Path
    """The folder that relative paths of secrets, exporters and rules start from."""
    path: Path | None = None
    """The file, where there is one: its rules are read again when it changes."""

    def __repr__(self) -> str:
        return f"Loaded({self.settings!r})"


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of `load`, for those who need nothing else."""
    return load(path, environ).settings


def load(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Settings from `path`, else from `./tokensense.yaml` where it exists, else from defaults and the environment.

    Raises:
        ConfigError: with one line for each problem: place, key, what is wrong and what to write.
    """
    document, base_dir = _read(path)
    problems = Problems()
    References(document, environ, base_dir, problems).resolve(Settings)
    overrides.apply(document, Settings, environ, problems)
    prices.bring_in(document, environ, base_dir, problems)
    rules.bring_in(document, environ, base_dir, problems)
    settings = _check(document, base_dir, problems)
    return Loaded(settings, document.data, base_dir, Path(document.name).absolute() if document.name else None)


def restore(raw: dict[str, Any], base_dir: Path, path: Path | None = None) -> Loaded:
    """Settings that a supervisor has checked before."""
    return Loaded(Settings.model_validate(raw), raw, base_dir, path)


def reload_rules(path: Path, environ: Mapping[str, str]) -> Settings:
    """The configuration again, of which `rules`, `tenants` and `projects` count, with what the environment overrides.

    Raises:
        ConfigError: as `load` does.
    """
    document, base_dir = read_document(path)
    problems = Problems()
    overrides.apply(document, Settings, environ, problems)
    problems.raise_any()
    return check_rules(document, base_dir, environ)


def load_rules(path: Path, environ: Mapping[str, str]) -> Settings:
    """A configuration of which `rules`, `tenants` and `projects` count; or a file of just what stands beneath `rules`.

    Raises:
        ConfigError: as `load` does.
    """
    document, base_dir = read_document(path)
    return check_rules(document, base_dir, environ)


def check_rules(document: Document, base_dir: Path, environ: Mapping[str, str]) -> Settings:
    """As `load_rules`, of a document that was read already."""
    if not set(document.data) & set(Settings.model_fields):
        places = {("rules", *key): place for key, place in document.places.items()}
        document = Document(document.name, {"rules": document.data}, places)
    problems = Problems()
    References(document, environ, base_dir, problems).resolve(Settings)
    rules.bring_in(document, environ, base_dir, problems)
    settings = _validate(document, problems)
    problems.raise_any()
    assert settings is not None  # noqa: S101 - otherwise there was a problem
    return settings


def _read(path: Path | None) -> tuple[Document, Path]:
    if path is None and not DEFAULT_FILE.is_file():
        return Document(""), Path.cwd()
    return read_document(path or DEFAULT_FILE)


def read_document(path: Path) -> tuple[Document, Path]:
    """A YAML file and its folder, by whose lines problems are told.

    Raises:
        ConfigError: when it cannot be read or is no YAML mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"{path}: the configuration cannot be read ({reason}); write --config FILE") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the configuration is not UTF-8 text (byte {error.start})") from None
    except ValueError as error:  # a null byte in the name
        raise ConfigError(f"--config: {error}") from None
    return parse(text, str(path)), path.absolute().parent


def _check(document: Document, base_dir: Path, problems: Problems) -> Settings:
    settings = _validate(document, problems)
    _check_exporters(settings, document, base_dir, problems)
    problems.raise_any()
    assert settings is not None  # noqa: S101 - otherwise there was a problem
    return settings


def _validate(document: Document, problems: Problems) -> Settings | None:
    try:
        settings = Settings.model_validate(document.data)
    except ValidationError as error:
        describe(error, Settings, document, problems)
        return None
    said = {("tenants", name): tenant.rules for name, tenant in settings.tenants.items()}
    said |= {("projects", name): project.rules for name, project in settings.projects.items()}
    for place, options in said.items():
        try:
            settings.rules.overridden(options)
        except ValidationError as error:
            describe(error, RulesConfig, document, problems, (*place, "rules"))
    if not problems.lines:
        _check_together(settings, document, problems)
    return settings


def _check_together(settings: Settings, document: Document, problems: Problems) -> None:
    """What a tenant and a project say may each be right and not fit together."""
    try:
        settings.rule_set  # noqa: B018 - it is made to see whether it can be
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        text = found.get("ctx", {}).get("error", found["msg"])
        path = ("projects",)
        problems.add(
            document.place(path), path, f"with what a tenant says, {dotted(found['loc'])} does not fit: {text}"
        )


def _check_exporters(settings: Settings | None, document: Document, base_dir: Path, problems: Problems) -> None:
    """Exporters check their own part, one by one, so that each problem gets its line."""
    from tokensense_otel.exporters.registry import load_exporters

    sections = document.data.get("exporters") if settings is None else settings.exporters
    if not isinstance(sections, dict):
        return
    for name, section in sections.items():
        if problems.concerns(("exporters", name)):
            continue
        try:
            load_exporters({name: section}, base_dir=base_dir, among=sections)
        except ConfigError as error:
            key, _, text = str(error).partition(": ")
            path = tuple(key.split("."))
            if text and path[0] == "exporters":
                problems.add(document.place(path), path, text)
            else:
                problems.add(document.place(("exporters", name)), ("exporters", name), str(error))
