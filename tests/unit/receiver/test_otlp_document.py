"""docs/otlp.md keeps its word: every item is there, and every test that it names exists and is about that item."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs/otlp.md").read_text(encoding="utf-8")
ROWS = [
    (int(row[1]), row[2].strip(), row[3].strip())
    for row in re.finditer(r"^\| (\d+) \| (.*?) \| (.*) \|$", DOCUMENT, re.MULTILINE)
]
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def promises() -> dict[tuple[str, str], list[str]]:
    """The docstrings of all tests by file and name; files of one name are taken together."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[path.name, node.name].append(ast.get_docstring(node) or "")
    return found


PROMISES = promises()


def numbers(promise: str) -> set[int]:
    """The items that a docstring names: `OTLP checklist 1, 34–37: …`."""
    match = re.match(r"OTLP checklist ([\d ,–]+):", promise)
    found: set[int] = set()
    for part in match[1].split(",") if match else []:
        first, _, last = part.strip().partition("–")
        found.update(range(int(first), int(last or first) + 1))
    return found


def test_every_item_is_there_once_and_in_order() -> None:
    """102 rows, numbered from 1 without a gap, each saying what it is about and where it is tested or why not."""
    assert [number for number, _, _ in ROWS] == list(range(1, 103))
    assert all(what and where for _, what, where in ROWS)


def test_every_test_that_is_named_exists() -> None:
    """A test that is renamed or removed is missed here."""
    named = NAMED.findall(DOCUMENT)

    assert len(named) > 150
    assert [name for name in named if name not in PROMISES] == []


def test_the_tests_of_an_item_say_that_they_are() -> None:
    """Of the receiver's tests that a row names, at least one names the row's number."""
    elsewhere = {6, 88}  # what the dataflow makes of duplicates and of mended text
    silent = [
        number
        for number, _, where in ROWS
        if (tests := NAMED.findall(where))
        and number not in elsewhere
        and not any(number in numbers(promise) for test in tests for promise in PROMISES[test])
    ]

    assert silent == []


def test_no_test_speaks_of_an_item_that_is_none() -> None:
    """Numbers in docstrings are numbers of the table."""
    assert {number for found in PROMISES.values() for promise in found for number in numbers(promise)} <= set(
        range(1, 103)
    )
