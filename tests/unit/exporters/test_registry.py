"""Finding and building exporters: every mistake is one line that names its key."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from tokensense_otel.core import plugins
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.exporters import registry
from tokensense_otel.exporters.console.exporter import ConsoleExporter
from tokensense_otel.exporters.registry import BUILT_IN, installed_types, load_exporters

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the Standard Webhooks specification's example

GOOD = """
from tokensense_otel.exporters import Context, ExporterConfig, Payload, Receipt

class MineConfig(ExporterConfig):
    greeting: str

class Mine:
    Config = MineConfig
    def __init__(self, config: MineConfig) -> None:
        self.greeting = config.greeting
    def render(self, insight): return Payload(insight.id, insight.episode_id, self.greeting)
    async def start(self, context: Context) -> None: ...
    async def send(self, payload, prior): return Receipt()
    async def aclose(self) -> None: ...
"""


def load(section: Any, *, name: str = "ops", base_dir: Path = Path("/nowhere")) -> Any:
    return load_exporters({name: section}, base_dir=base_dir)[0].exporter


def refusal(section: Any, **where: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(section, **where)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    "section",
    [
        {"type": "console"},
        {"type": "webhook", "url": "https://example.com/hook"},
        {"type": "webhook", "url": "http://127.0.0.1:8080/hook", "secret": SECRET, "allow_private": True},
        {"type": "webhook", "url": "https://example.com", "secret": [SECRET, SECRET], "headers": {"X-Team": "a"}},
        {"type": "slack", "webhook_url": "https://hooks.slack.com/services/T/B/x"},
        {"type": "pagerduty", "routing_key": "R0"},
    ],
)
def test_the_built_in_types_load(section: dict[str, Any]) -> None:
    """The shortest working sections, and the longer ones, build an exporter."""
    assert load(section) is not None


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({}, f"exporters.ops.type: it is missing; write one of {', '.join(sorted(BUILT_IN))}"),
        ({"type": 5}, "exporters.ops.type: it is missing"),
        ("console", "exporters.ops: this is not a mapping"),
        (
            {"type": "slak"},
            "exporters.ops.type: no exporter is called 'slak'; did you mean slack? There are: alertmanager",
        ),
        ({"type": "webhook"}, "exporters.ops.url: it is missing"),
        ({"type": "webhook", "url": "https://e.com", "secrt": 1}, "exporters.ops.secrt: there is no such key; did you"),
        ({"type": "webhook", "url": "ftp://e.com"}, "exporters.ops.url: not a URL that can be posted to; write https"),
        ({"type": "webhook", "url": "https://"}, "exporters.ops.url: not a URL"),
        ({"type": "webhook", "url": "https://e.com:99999/"}, "exporters.ops.url: not a URL"),
        ({"type": "webhook", "url": "https://e.com/a b"}, "exporters.ops.url: not a URL"),
        ({"type": "webhook", "url": "https://é.com/"}, "exporters.ops.url: not a URL"),
        ({"type": "webhook", "url": "https://u:p@e.com/"}, "exporters.ops.url: a URL may not hold a user name"),
        (
            {"type": "webhook", "url": "https://e.com", "secret": "x"},
            "exporters.ops.secret: it does not begin with whs",
        ),
        (
            {"type": "webhook", "url": "https://e.com", "secret": "whsec_??"},
            "exporters.ops.secret: what follows whsec_",
        ),
        (
            {"type": "webhook", "url": "https://e.com", "secret": [SECRET, "whsec_YQ=="]},
            "exporters.ops.secret: the key",
        ),
        ({"type": "webhook", "url": "https://e.com", "headers": {"a b": "x"}}, "exporters.ops.headers: 'a b' is not"),
        (
            {"type": "webhook", "url": "https://e.com", "headers": {"Host": "x"}},
            "exporters.ops.headers: Host is set by",
        ),
        (
            {"type": "webhook", "url": "https://e.com", "headers": {"A": "x\ny"}},
            "exporters.ops.headers: the value of A",
        ),
        ({"type": "slack"}, "exporters.ops.webhook_url: it is missing"),
        ({"type": "pagerduty", "routing_key": " "}, "exporters.ops.routing_key: it is empty or has white space"),
        ({"type": "console", "max_in_flight": 0}, "exporters.ops.max_in_flight: Input should be greater than"),
        ({"type": "./none.py:Mine"}, "exporters.ops.type: /nowhere/none.py is not a file"),
    ],
)
def test_a_mistake_is_one_line_with_its_key(section: Any, text: str) -> None:
    """The key's path, what is wrong, what to write."""
    assert refusal(section).startswith(text)


def test_a_refusal_does_not_show_the_value() -> None:
    """A secret that is refused is not printed."""
    for section in (
        {"type": "webhook", "url": "ftp://canary.example"},
        {"type": "webhook", "url": "https://e.com", "secret": "canary"},
        {"type": "webhook", "url": "https://e.com", "headers": {"A": "canary\n"}},
        {"type": "pagerduty", "routing_key": "canary canary"},
        {"type": "slack", "webhook_url": ["canary"]},
    ):
        assert "canary" not in refusal(section)


def test_names_are_plain() -> None:
    """A name stands in keys, metrics and logs: a dot in it is refused."""
    assert refusal({"type": "console"}, name="a.b").startswith("exporters.a.b: a name has letters")


def test_a_class_in_a_file_is_found(tmp_path: Path) -> None:
    """`./mine.py:Mine` is relative to the configuration's folder, with its own keys."""
    (tmp_path / "mine.py").write_text(GOOD, encoding="utf-8")
    section = {"type": "./mine.py:Mine", "greeting": "hello"}
    assert load(section, base_dir=tmp_path).greeting == "hello"
    assert refusal(section | {"greting": 1}, base_dir=tmp_path).endswith(
        "did you mean greeting? There are: digest_after_s, fallback, fallback_after_s, greeting, max_age_s, "
        "max_in_flight, merge_waiting, min_interval_s, routes, timeout_s, type"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("def render", "def rendr"), "./mine.py:Mine lacks the method render"),
        (("async def send", "async def sent"), "./mine.py:Mine lacks the method send"),
        (("async def aclose", "def aclose"), "./mine.py:Mine.aclose has to be async"),
        (("Config = MineConfig", "config = MineConfig"), "./mine.py:Mine lacks Config"),
        (("Config = MineConfig", "Config = dict"), "./mine.py:Mine lacks Config, a subclass of ExporterConfig"),
        (("class Mine:", "def Mine():"), "./mine.py:Mine is not a class"),
        (("class Mine:", "class Mien:"), "/mine.py has no 'Mine'; did you mean Mien?"),
        (("class Mine:", "class Mine"), "/mine.py cannot be loaded: SyntaxError"),
        (("self.greeting =", "raise OSError(config) #"), "./mine.py:Mine cannot be built: it raised OSError"),
        (("import Context", "import Contxt, Context"), "/mine.py cannot be loaded: ImportError"),
    ],
)
def test_a_broken_plugin_is_one_line(tmp_path: Path, change: tuple[str, str], text: str) -> None:
    """What is missing or wrong is said at the start, in one line."""
    assert change[0] in GOOD
    (tmp_path / "mine.py").write_text(GOOD.replace(*change), encoding="utf-8")
    said = refusal({"type": "./mine.py:Mine", "greeting": "hello"}, base_dir=tmp_path)
    assert said.startswith("exporters.ops")
    assert text in said


def points(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    found = [EntryPoint(name.rstrip("_"), value, registry.GROUP) for name, value in values.items()]
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point for point in found if point.group == group])


def test_an_installed_plugin_is_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry-point group `tokensense.exporters` names it, and only what is configured is imported."""
    points(monkeypatch, mine="tokensense_otel.exporters.console.exporter:ConsoleExporter", broken="no.such:Thing")
    assert isinstance(load({"type": "mine"}), ConsoleExporter)
    assert set(installed_types()) == {*BUILT_IN, "mine", "broken"}
    assert "cannot be loaded: ModuleNotFoundError" in refusal({"type": "broken"})


def test_two_plugins_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are named, so that one can be uninstalled."""
    points(monkeypatch, mine="a.b:C", mine_="d.e:F")
    assert refusal({"type": "mine"}) == "exporters.ops.type: mine is in a.b:C and d.e:F; uninstall one of them"


@pytest.mark.parametrize("fallback", ["nobody", "ops"])
def test_a_fallback_is_another_exporter(fallback: str) -> None:
    """One that is not configured, or the exporter itself, is refused with the names there are."""
    sections = {"ops": {"type": "console", "fallback": fallback}, "mail": {"type": "console"}}
    with pytest.raises(ConfigError, match=r"exporters\.ops\.fallback: there is no other exporter"):
        load_exporters(sections, base_dir=Path())
    sections["ops"]["fallback"] = "mail"
    assert len(load_exporters(sections, base_dir=Path())) == 2
