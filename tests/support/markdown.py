"""Read the documents as a person would who copies from them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def page(name: str) -> str:
    """A document by its path from the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def without_figures(text: str) -> str:
    """A line of output with each number as `#`, so that two runs can be compared by their words."""
    return " ".join(re.sub(r"\d+(?:[.,]\d+)*", "#", text).split())
