"""Rules that stand apart from the configuration: the file that `rules.file` names, and Python files of plugins.

Both are brought in before the check of the keys, so that everything holds, and is told by its line, as if it were
written in the configuration.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.plugins import is_file
from tokensense_otel.dataflow.rules.config import RulesConfig
from tokensense_otel.service.loading.document import Document, KeyPath, parse
from tokensense_otel.service.loading.problems import Problems
from tokensense_otel.service.loading.references import References

_SECTION: Final = "rules"


def bring_in(document: Document, environ: Mapping[str, str], base_dir: Path, problems: Problems) -> None:
    """Put what the file says beneath what the configuration says: lists before its lists, options under its options.

    Paths of plugins become absolute, each from the folder of the file that names it. A mistake in the shape of things
    is left for the check of the keys.
    """
    section = document.data.get(_SECTION)
    if not isinstance(section, dict):
        return
    _find_plugins(section, base_dir)
    name = section.get("file")
    if not isinstance(name, str) or not name:
        return
    told = _read(document, base_dir, name, problems)
    if told is None:
        return
    References(told, environ, told_dir := (base_dir / name).absolute().parent, problems).resolve(RulesConfig)
    if "file" in told.data:
        problems.add(told.place(("file",)), ("file",), "a file of rules names no other; write its rules here")
        return
    _find_plugins(told.data, told_dir)
    for key, value in told.data.items():
        _lay_under(document, section, key, value, told)
    section["file"] = str(told_dir / Path(name).name)


def _read(document: Document, base_dir: Path, name: str, problems: Problems) -> Document | None:
    path = (_SECTION, "file")
    try:
        told = parse((base_dir / name).read_text(encoding="utf-8-sig"), str(base_dir / name))
    except OSError as error:
        problems.add(document.place(path), path, f"{name} cannot be read ({error.strerror}); write the path of a file")
    except UnicodeDecodeError:
        problems.add(document.place(path), path, f"{name} is not UTF-8 text; write the path of a text file")
    except ValueError as error:  # a null byte
        problems.add(document.place(path), path, f"this is no path ({error}); write the path of a file")
    except ConfigError as error:
        problems.add("", (), str(error))
    else:
        if set(told.data) == {_SECTION} and isinstance(told.data[_SECTION], dict):  # as in the configuration
            places = {key[1:]: place for key, place in told.places.items() if len(key) > 1}
            return Document(told.name, told.data[_SECTION], places)
        if unknown := [key for key in ("projects", "tenants") if key in told.data]:
            text = f"a file of rules has no {unknown[0]}; write them in the configuration"
            problems.add(told.place((unknown[0],)), (unknown[0],), text)
            return None
        return told
    return None


def _lay_under(document: Document, section: dict[str, Any], key: str, value: Any, told: Document) -> None:
    own = section.get(key)
    at: KeyPath = (_SECTION, key)
    added = {(_SECTION, *path): place for path, place in told.places.items() if path[:1] == (key,)}
    if own is None:
        section[key] = value
        document.places |= added
    elif isinstance(own, dict) and isinstance(value, dict):
        section[key] = {**value, **own}
        document.places = added | document.places
    elif isinstance(own, list) and isinstance(value, list):
        section[key] = [*value, *own]
        moved: dict[KeyPath, str] = {}
        for path, place in list(document.places.items()):
            if path[:2] == at and len(path) > 2:
                del document.places[path]
                moved[(*at, int(path[2]) + len(value), *path[3:])] = place
        document.places |= moved | added


def _find_plugins(section: dict[str, Any], base_dir: Path) -> None:
    names = section.get("plugins")
    if isinstance(names, list):
        section["plugins"] = [
            str(base_dir / name) if isinstance(name, str) and is_file(name) else name for name in names
        ]
