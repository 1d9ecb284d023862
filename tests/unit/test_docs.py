"""The documents are true: what they link to, name and show is there."""

import re
from pathlib import Path

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from tests.support.markdown import PAGES, ROOT, blocks, page
from tokensense_otel.dataflow.rules.registry import rule_infos
from tokensense_otel.service import main
from tokensense_otel.service.config import Settings
from tokensense_otel.service.loader import load_settings
from tokensense_otel.service.loading.rule_pages import OPTIONS

README = page("README.md")
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_links_lead_somewhere(path: Path) -> None:
    """Every link to a file of ours, and every heading that it names, exists."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_commands_exist(path: Path) -> None:
    """Every `tokensense …` that a page shows is a command, with options that it has."""
    text = path.read_text(encoding="utf-8")
    shown = [*re.findall(r"`(tokensense [^`]+)`", text), *re.findall(r"^(?:\S*/)?(tokensense .*)$", text, re.MULTILINE)]
    for line in shown:
        command = get_command(main.app)
        for word in line.replace("\n", " ").split()[1:]:
            if isinstance(command, TyperGroup) and word in command.commands:
                command = command.commands[word]
            elif word.startswith("--"):
                known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
                assert word.partition("=")[0].rstrip(",.") in known, line
            else:
                group = isinstance(command, TyperGroup) and not command.invoke_without_command
                assert not group or "|" in word, line
                break


def configurations() -> list[str]:
    """The YAML blocks of README and of the rules; others are loaded by the tests of the parts that they are about."""
    return [block for name in ("README.md", "docs/rules/README.md") for block in blocks(page(name), "yaml")]


@pytest.mark.parametrize("text", configurations())
def test_configurations_can_be_copied(text: str, tmp_path: Path) -> None:
    """What README and the rules' index show as configuration loads as it stands."""
    (tmp_path / "ntfy.py").write_text(ntfy(README))
    (tmp_path / "tokensense.yaml").write_text(text)
    environ = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x"}
    settings = load_settings(tmp_path / "tokensense.yaml", environ)
    assert settings.model_dump(mode="json").keys() >= yaml.safe_load(text).keys()
    assert settings != Settings()


def ntfy(text: str) -> str:
    return next(block for block in blocks(text, "python") if block.startswith("# ntfy.py"))


def test_the_exporter_in_the_readme_is_the_tested_one() -> None:
    """README's twenty lines are those of docs/exporters.md, which run against the exporters' contract."""
    assert ntfy(README) == ntfy(page("docs/exporters.md"))


def test_the_rules_are_those_of_the_product() -> None:
    """README's table has rules with their key and severity, and every threshold that is a number in it."""
    table = {row[0]: row for row in (line.strip("| ").split(" | ") for line in README.splitlines()) if len(row) == 4}
    listed = [info for info in rule_infos() if info.name in table]
    assert len(listed) >= 7
    for info in listed:
        _, key, fires, severity = table[info.name]
        assert severity == info.defaults["severity"]
        if info.name != "RAM_OVER_PROVISION":
            assert all(part.replace("_", " ") in key for part in info.scope), key
        for name in info.thresholds:
            number = info.defaults[name]
            if info.name == "RAM_OVER_PROVISION" and name == "max_utilisation":
                assert "40 %" in fires
            elif name in ("min_span_s", "min_history_days"):
                continue  # an hour, in words; and what the rule's page explains
            else:
                assert (number if isinstance(number, str) else f"{number:,g}") in fires.replace(" h", "h"), name


def test_the_rules_have_their_pages() -> None:
    """Every rule has a page that begins with its name, says what to do and has its options."""
    for name in (info.name for info in rule_infos()):
        text = page(f"docs/rules/{name}.md")
        assert text.startswith(f"# {name}"), name
        assert "What to do" in text, name
        assert all(marker in text for marker in OPTIONS), name


def test_the_tree_in_the_architecture_is_the_tree() -> None:
    """The folders of architecture.md are those that the distribution is built from, and its doors exist."""
    text = page("docs/architecture.md")
    rows = re.findall(r"^\| `(\w+)/` \| .* \| (.*) \|$", text, re.MULTILINE)
    folders = sorted(path.parent.name for path in ROOT.glob("*/tokensense_otel"))
    assert sorted(folder for folder, _ in rows) == folders
    for folder, doors in rows:
        for door in re.findall(r"`([^`]+)`", doors):
            assert (ROOT / folder / "tokensense_otel" / folder / door).exists(), door


def test_the_make_targets_exist() -> None:
    """Every `make …` that README names is a target."""
    targets = set(re.findall(r"^([a-z]+):", page("Makefile"), re.MULTILINE))
    assert set(re.findall(r"make (\w+)", README)) <= targets
