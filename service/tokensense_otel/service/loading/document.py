"""A YAML file as plain data that remembers where each key was written."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from tokensense_otel.core.errors import ConfigError

KeyPath = tuple[str | int, ...]

_MAX_VALUES = 50_000
"""Aliases can make a small file unfold without end; no honest configuration comes near this."""

_PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass
class Document:
    """`data` is the mapping, `places` tells where a key was written (`tokensense.yaml:12`)."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Where the key, or else the nearest one above it, was written; empty when it is a default."""
        for length in range(len(path), 0, -1):
            if found := self.places.get(path[:length]):
                return found
        return self.name


def dotted(path: Iterable[str | int]) -> str:
    """The key as users write it: `receiver.auth.keys.0.name`."""
    return ".".join(str(part) for part in path)


def parse(text: str, name: str) -> Document:
    """Parse one YAML mapping; an empty file is an empty mapping.

    Raises:
        ConfigError: not YAML, not a mapping, a key twice or a key that is not text; one line, with its place.
    """
    document = Document(name)
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return document
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{name}:{_line(root)}: this is not a mapping; write keys such as data_dir: ./data")
        document.data = _Reader(loader, document).value(root, ())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{name}:{line}: this is not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:  # a character that may not be in YAML at all
        raise ConfigError(f"{name}: this is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ConfigError(f"{name}: this is nested too deeply; no key needs that") from None
    except ValueError as error:  # a scalar that looks like a date and is none
        raise ConfigError(f"{name}: {error}; put the value in quotes") from None
    return document


class _Reader:
    """Turns nodes into plain data, noting lines as it goes."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._open: list[yaml.Node] = []
        self._count = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count += 1
        if node in self._open or self._count > _MAX_VALUES:
            raise self._error(node, path, "an alias unfolds without end; write the value out")
        self._open.append(node)
        try:
            if isinstance(node, yaml.CollectionNode) and node.tag not in _PLAIN_TAGS:
                raise self._error(node, path, "tags such as !!python are not taken; write plain values")
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._loader.construct_object(node)
        finally:
            self._open.pop()

    def _item(self, node: yaml.Node, path: KeyPath) -> Any:
        self._document.places[path] = f"{self._document.name}:{_line(node)}"
        return self.value(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        written = [str(key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for index, key in enumerate(written):
            if key in written[:index] and key != "<<":
                raise self._error(node.value[index][0], (*path, key), "the key is here twice; keep one of the two")
        self._loader.flatten_mapping(node)
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._loader.construct_object(key_node)
            if not isinstance(key, str):
                raise self._error(key_node, (*path, str(key)), "a key has to be text; put it in quotes")
            self._document.places[(*path, key)] = f"{self._document.name}:{_line(key_node)}"
            result[key] = self.value(value_node, (*path, key))
        return result

    def _error(self, node: yaml.Node, path: KeyPath, text: str) -> ConfigError:
        return ConfigError(f"{self._document.name}:{_line(node)}: {dotted(path)}: {text}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
