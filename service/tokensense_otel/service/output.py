"""What commands print: one JSON document, a Rich table on a terminal, plain aligned text elsewhere.

Standard output is the answer; everything else goes to standard error.
"""

import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

import orjson


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


def print_json(document: Any) -> None:
    """One JSON document and a newline, and nothing else."""
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
    sys.stdout.flush()


def say(text: str = "") -> None:
    """A line of the answer."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line beside the answer."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """A table; `right` names the columns that hold numbers. An absent value is a dash."""
    texts = [[_cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _rich(columns, texts, right)
        return
    widths = [max(len(column), *(len(row[at]) for row in texts), 0) for at, column in enumerate(columns)]
    for row in [list(columns), *texts]:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        say("  ".join(cells).rstrip())


def _rich(columns: Sequence[str], rows: list[list[str]], right: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    # Names come from telemetry.
    return clean(str(value))


def clean(text: str) -> str:
    """The text on one line, without anything that steers a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
