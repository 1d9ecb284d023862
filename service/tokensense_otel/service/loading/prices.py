"""Bring in the prices file that `prices.file` names, so that its entries are checked, and hold, as if written here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.names import nearest
from tokensense_otel.dataflow.pricing.config import PricesConfig
from tokensense_otel.service.loading.document import Document, KeyPath, parse
from tokensense_otel.service.loading.problems import Problems
from tokensense_otel.service.loading.references import References

_SECTION = "prices"
_LISTS = tuple(name for name in PricesConfig.model_fields if name != "file")


def bring_in(document: Document, environ: Mapping[str, str], base_dir: Path, problems: Problems) -> None:
    """Put the lists of the file before those of the document; what is wrong goes to `problems`, by the file's lines."""
    section = document.data.get(_SECTION)
    name = section.get("file") if isinstance(section, dict) else None
    if not isinstance(section, dict) or not isinstance(name, str):
        return  # no file, or a mistake that the check of the keys reports
    path = (_SECTION, "file")
    try:
        text = (base_dir / name).expanduser().read_text(encoding="utf-8-sig")
        told = parse(text, str(base_dir / name))
    except OSError as error:
        problems.add(document.place(path), path, f"{name} cannot be read ({error.strerror}); write the path of a file")
        return
    except UnicodeDecodeError:
        problems.add(document.place(path), path, f"{name} is not UTF-8 text; write the path of a text file")
        return
    except (ValueError, RuntimeError) as error:  # a null byte, a home of nobody
        problems.add(document.place(path), path, f"this is no path ({error}); write the path of a file")
        return
    except ConfigError as error:
        problems.add("", (), str(error))
        return
    if set(told.data) == {_SECTION} and isinstance(told.data[_SECTION], dict):
        told = _beneath(told, _SECTION)  # written as it would stand in the configuration
    References(told, environ, base_dir, problems).resolve(PricesConfig)
    for key, value in told.data.items():
        if key not in _LISTS:
            problems.add(told.place((key,)), (key,), f"there is no such key in a prices file; {nearest(key, _LISTS)}")
        elif not isinstance(value, list):
            problems.add(told.place((key,)), (key,), "this is not a list; write each entry after a dash")
        else:
            _put_first(document, section, key, value, told)


def _beneath(told: Document, section: str) -> Document:
    places = {key[1:]: place for key, place in told.places.items() if len(key) > 1}
    return Document(told.name, told.data[section], places)


def _put_first(document: Document, section: dict[str, Any], key: str, entries: list[Any], told: Document) -> None:
    own = section.get(key) or []
    if not isinstance(own, list):
        return  # the check of the keys reports it
    section[key] = [*entries, *own]
    at: KeyPath = (_SECTION, key)
    moved: dict[KeyPath, str] = {}
    for path, place in list(document.places.items()):
        if path[:2] == at and len(path) > 2:
            del document.places[path]
            moved[(*at, int(path[2]) + len(entries), *path[3:])] = place
    document.places |= moved
    document.places |= {(_SECTION, *path): place for path, place in told.places.items() if path[:1] == (key,)}
