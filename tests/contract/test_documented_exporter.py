"""docs/exporters.md is true: its example loads as shown and keeps the contract, and its keys are all there are."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokensense_otel.exporters import ExporterConfig, HttpExporterConfig
from tokensense_otel.exporters.pagerduty.config import PagerDutyConfig
from tokensense_otel.exporters.registry import load_exporters
from tokensense_otel.exporters.slack.config import SlackConfig
from tokensense_otel.exporters.testing import HttpExporterContract
from tokensense_otel.exporters.webhook.config import WebhookConfig

PAGE = (Path(__file__).parents[2] / "docs" / "exporters.md").read_text(encoding="utf-8")


def block(start: str) -> str:
    """The fenced block that begins with this."""
    blocks: list[str] = re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL)
    return next(text for text in blocks if text.startswith(start))


def example() -> Any:
    names: dict[str, Any] = {"__name__": "ntfy"}
    exec(compile(block("# ntfy.py"), "ntfy.py", "exec"), names)  # the page's own text
    return names["Ntfy"]


class TestDocumentedExporter(HttpExporterContract):
    exporter = example()

    def section(self, url: str) -> dict[str, Any]:
        return {"topic_url": f"{url}/{self.canary}"}

    def test_loads_from_a_file(self, tmp_path: Path) -> None:
        """The file and the section of the page, as they stand, are a working exporter."""
        (tmp_path / "ntfy.py").write_text(block("# ntfy.py"), encoding="utf-8")
        section = next(text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "ntfy" in text)
        [named] = load_exporters(yaml.safe_load(section)["exporters"], base_dir=tmp_path)
        assert (named.name, type(named.exporter).__name__) == ("phone", "Ntfy")


def test_the_example_is_short() -> None:
    """A plugin takes 20 lines, blank ones and its name aside."""
    lines = [line for line in block("# ntfy.py").splitlines()[1:] if line.strip()]
    assert len(lines) <= 20


@pytest.mark.parametrize("config", [ExporterConfig, HttpExporterConfig, WebhookConfig, SlackConfig, PagerDutyConfig])
def test_every_key_is_documented(config: type[ExporterConfig]) -> None:
    """The table of keys names each field."""
    table = PAGE[PAGE.index("## Keys") : PAGE.index("## What arrives")]
    assert [name for name in config.model_fields if name != "type" and f"`{name}`" not in table] == []


def test_defaults_are_documented() -> None:
    """The numbers in the table are the defaults."""
    assert (WebhookConfig.model_fields["max_in_flight"].default, SlackConfig.model_fields["max_in_flight"].default) == (
        8,
        1,
    )
    for text, config, key in (
        ("`min_interval_s` (0; Slack 1, PagerDuty 0.5)", SlackConfig, "min_interval_s"),
        ("`max_age_s` (86400; Slack, PagerDuty 21600)", SlackConfig, "max_age_s"),
        ("`timeout_s` (15)", ExporterConfig, "timeout_s"),
    ):
        assert text in PAGE
        assert f"{config.model_fields[key].default:g}" in text
    assert f"{PagerDutyConfig.model_fields['min_interval_s'].default:g}" == "0.5"
