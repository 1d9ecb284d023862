"""docs/rules is true: its configurations load, its rule in Python keeps the contract, its tests run as shown."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.markdown import blocks, page
from tokensense_otel.core.call import Call
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.language.fields import FIELDS
from tokensense_otel.dataflow.rules.language.metrics import MEMBERS, METRICS
from tokensense_otel.dataflow.rules.registry import rule_infos
from tokensense_otel.dataflow.rules.testing import RuleContract, calls
from tokensense_otel.dataflow.rules.testing.contract import subject_of
from tokensense_otel.service.fixtures.load import load as load_tests
from tokensense_otel.service.fixtures.run import run
from tokensense_otel.service.loader import load_settings
from tokensense_otel.service.loading.rule_pages import rewritten

LANGUAGE, PLUGINS, TESTING = (page(f"docs/rules/{name}.md") for name in ("language", "plugins", "testing"))
FOLDER = Path(__file__).parents[2] / "docs" / "rules"


@pytest.mark.parametrize("text", [*blocks(LANGUAGE, "yaml"), *blocks(PLUGINS, "yaml")])
def test_configurations_can_be_copied(text: str, tmp_path: Path) -> None:
    """What the pages show as configuration loads as it stands, and has a rule of one's own."""
    (tmp_path / "night.py").write_text(blocks(PLUGINS, "python")[0])
    (tmp_path / "tokensense.yaml").write_text(text)
    settings = load_settings(tmp_path / "tokensense.yaml", {})
    assert len(settings.rule_set.rules) > len(rule_infos())


def test_every_metric_and_field_is_named() -> None:
    """The language's page has each metric with all its aggregates, and each field."""
    table = dict(re.findall(r"^\| (`.*?) \| (.*?) \|", LANGUAGE, re.MULTILINE))
    rows = {name: kinds for names, kinds in table.items() for name in re.findall(r"`(\w+)`", names)}
    assert set(rows) == set(METRICS) | set(MEMBERS)
    many = set(re.findall(r"`(\w+)`", rows["cost_usd"]))
    for name, metric in METRICS.items():
        told = set(re.findall(r"`(\w+)`", rows[name])) | (many if "the same" in rows[name] else set())
        assert told == set(metric.aggregates) - ({"sum"} if "count" in metric.aggregates else set()), name
    assert all(f"`{name}`" in LANGUAGE for name in FIELDS)


class TestDocumentedRule(RuleContract):
    @staticmethod
    def _night() -> Any:
        names: dict[str, Any] = {"__name__": "night"}
        exec(compile(blocks(PLUGINS, "python")[0], "night.py", "exec"), names)  # the page's own text
        return names["Night"]

    rule = _night()

    def firing(self) -> Sequence[Call]:
        return calls(5)


def test_the_test_of_the_rule_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's test file defines a class that keeps the contract for the page's rule."""
    (tmp_path / "night.py").write_text(blocks(PLUGINS, "python")[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, Any] = {"__name__": "test_night"}
    exec(compile(blocks(PLUGINS, "python")[1], "test_night.py", "exec"), names)
    made = names["TestNight"]()
    assert made.rule.name == "NIGHT"
    made.test_it_fires(subject_of(made.rule, made.options, made.firing()))


def test_the_test_file_runs_as_it_is_shown(tmp_path: Path) -> None:
    """The example passes, and with the severity of the page's second output it differs in just those words."""
    text = blocks(TESTING, "yaml")[0]
    shown = blocks(TESTING, "text")
    (tmp_path / "rules_test.yaml").write_text(text)
    loaded = load_tests(tmp_path / "rules_test.yaml", {})
    (name,) = [each.name for each in loaded.fixture.tests]
    assert f"rules_test.yaml:{loaded.places[0].rpartition(':')[2]}: {name}" in shown[0]
    assert run(loaded.fixture.tests[0], loaded.fixture, loaded.rules, Catalogue.load()) == []

    (tmp_path / "rules_test.yaml").write_text(text.replace("severity: medium", "severity: high"))
    other = load_tests(tmp_path / "rules_test.yaml", {})
    (difference,) = run(other.fixture.tests[0], other.fixture, other.rules, Catalogue.load())
    assert [line.strip() for line in shown[1].splitlines()[2:]] == [line.strip() for line in difference.lines]


def test_the_tables_are_what_the_rules_say() -> None:
    """The index and each page's options are as `python -m …loading.rule_pages docs/rules` writes them."""
    for path, text in rewritten(FOLDER).items():
        now = path.read_text(encoding="utf-8")
        assert now == text, f"{path.name}: run python -m tokensense_otel.service.loading.rule_pages docs/rules"


def test_no_page_is_of_a_rule_that_is_not_there() -> None:
    """Each page in capitals is a rule's."""
    assert {path.stem for path in FOLDER.glob("[A-Z]*.md")} == {info.name for info in rule_infos()} | {"README"}
