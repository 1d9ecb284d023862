import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service import main
from tokensense_otel.service.config import Settings
from tokensense_otel.service.loader import load_settings
from tokensense_otel.service.loading.reference import rewritten

DOCS = Path(__file__).parents[3] / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document, re.MULTILINE | re.DOTALL)


def test_every_key_is_documented_as_it_is() -> None:
    """docs/configuration.md names every key with its type, default and meaning, exactly as the models have them."""
    assert rewritten(CONFIGURATION, Settings) == CONFIGURATION, (
        "run python -m tokensense_otel.service.loading.reference docs/configuration.md"
    )


def test_every_key_has_a_meaning() -> None:
    """No key is without the docstring that the documentation is written from."""
    empty = [line for line in CONFIGURATION.splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert empty == []


@pytest.mark.parametrize("text", blocks(CONFIGURATION, "yaml"))
def test_each_example_is_a_good_configuration(text: str, tmp_path: Path) -> None:
    """What the document shows can be copied and loaded."""
    (tmp_path / "tokensense.yaml").write_text(text)
    settings = load_settings(tmp_path / "tokensense.yaml", {})
    assert (settings.rules.SPIKE.multiplier == 5) == ("multiplier: 5" in text)


def test_the_problems_shown_are_what_is_said(tmp_path: Path) -> None:
    """The document's example of problems is, but for the line numbers, what such a file gives."""
    (tmp_path / "tokensense.yaml").write_text(
        "receiver: {grpc: {endpoint: localhost}}\nrules: {SPIKE: {multiplyer: 5}}"
    )
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "tokensense.yaml", {})
    said = [line.partition(": ")[2] for line in str(caught.value).splitlines()]
    assert [line.partition(": ")[2] for line in blocks(CONFIGURATION, "text")[0].splitlines()] == said


def _commands(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, TyperGroup):
            yield from _commands(command, (*path, name))


def test_commands_that_operations_names_exist() -> None:
    """Every `tokensense …` in docs/operations.md and docs/configuration.md is a command there is."""
    root = get_command(main.app)
    assert isinstance(root, TyperGroup)
    known = set(_commands(root))
    named = re.findall(
        r"(?:`|^)tokensense ([a-z]+(?: (?:ls|show|replay|audit|list|test|check)\b)?)",
        OPERATIONS + CONFIGURATION,
        re.MULTILINE,
    )
    assert len(named) > 10
    assert [name for name in named if tuple(name.split()) not in known] == []


def test_metrics_that_operations_names_exist() -> None:
    """Every metric that docs/operations.md tells to watch is declared by a part, or read by the API when asked."""
    sources = [path.read_text(encoding="utf-8") for path in DOCS.parent.glob("*/tokensense_otel/*/**/events.py")]
    declared = {name for source in sources for name in re.findall(r'(?:Happening|Level)\(\s*"([a-z_]+)"', source)}
    made = [path.read_text(encoding="utf-8") for path in DOCS.parent.glob("service/tokensense_otel/service/api/*.py")]
    declared |= {name for source in made for name in re.findall(r'"tokensense_([a-z_]+)"', source)}
    named = {name.removesuffix("_total") for name in re.findall(r"`tokensense_([a-z_]+)`", OPERATIONS)}
    assert named
    assert named - declared == set()
