"""Rules of one's own in the configuration: YAML and Python, for tenants and projects; problems by file and line."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tokensense_otel.core import plugins
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.dataflow.rules.builtin.surges.spike import Spike
from tokensense_otel.service.handshake import encode_settings, read_settings
from tokensense_otel.service.loader import Loaded, load, load_rules

PLUGIN = '''
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.rules.plugin import CallSeries, Fact, WindowConfig, WindowRule, Words, team_of


class NightConfig(WindowConfig):
    severity: Severity = Severity.LOW
    min_calls: int = 3
    """Calls in the window before it fires."""


class Night(WindowRule[NightConfig]):
    name = "NIGHT"
    description = "A team calls models at night."
    scope = ("team",)
    fields = ("calls",)
    thresholds = ("min_calls",)
    config_type = NightConfig

    def observe(self, call, config, catalogue, /):
        return Fact((team_of(call),), (call.count,)) if call.end_ns // 3_600_000_000_000 % 24 < 5 else None

    def judge(self, series: CallSeries, config, /):
        return series.counts[0] if series.counts[0] >= config.min_calls else None

    def observed(self, series, /):
        return {"calls": series.counts[0]}

    def words(self, scope, series, config, catalogue, /):
        return Words(f"{scope['team']} works at night", f"{series.counts[0]} calls.", "Let them sleep.")


class Unfinished(WindowRule[NightConfig]):
    name = "UNFINISHED"


class Other:
    pass
'''


def loaded(folder: Path, text: str) -> Loaded:
    (folder / "night.py").write_text(PLUGIN)
    (folder / "tokensense.yaml").write_text(text)
    return load(folder / "tokensense.yaml", {})


def test_the_project_counts_more_than_the_tenant(tmp_path: Path) -> None:
    """`rules`, then the tenant's, then the project's: option by option the narrower one is in force."""
    text = """
rules: {SPIKE: {multiplier: 4, min_calls: 7}}
tenants: {acme: {rules: {SPIKE: {multiplier: 5, min_calls: 8}}}}
projects: {p: {rules: {SPIKE: {multiplier: 6}}}}
"""
    rules = loaded(tmp_path, text).settings.rule_set
    found = [rules.in_force(tenant, project).of(Spike()) for tenant in ("acme", "x") for project in ("p", "q")]
    assert [(each.multiplier, each.min_calls) for each in found] == [(6, 8), (5, 8), (6, 7), (4, 7)]


def test_a_plugin_is_a_rule_like_the_others(tmp_path: Path) -> None:
    """Found beside the configuration wherever the process runs, it has a section, overrides, and survives the pipe."""
    text = """
rules: {plugins: ['./night.py:Night'], NIGHT: {min_calls: 5}}
projects: {p: {rules: {NIGHT: {min_calls: 9}}}}
"""
    it = loaded(tmp_path, text)
    (tmp_path / "pipe").write_bytes(encode_settings(it.raw, it.base_dir, it.path))
    with (tmp_path / "pipe").open("rb") as pipe:
        again = read_settings(pipe)
    assert (again.base_dir, again.path) == (tmp_path, tmp_path / "tokensense.yaml")
    for each in (it, again):
        rules = each.settings.rule_set
        assert rules.rules["NIGHT"].description == "A team calls models at night."
        options = [rules.in_force("default", project).of("NIGHT").model_dump()["min_calls"] for project in ("p", "q")]
        assert options == [9, 5]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rules: {plugins: [./none.py:X]}", "1: rules.plugins.0: "),
        ("rules: {plugins: ['./night.py:Nigth']}", "has no 'Nigth'; did you mean Night?"),
        ("rules: {plugins: ['./night.py:Other']}", "is no rule; write a subclass of CallRule or WindowRule"),
        ("rules: {plugins: ['./night.py:Unfinished']}", "lacks the methods judge, observe, observed, words; see docs/"),
        ("rules: {plugins: [nightly]}", "no rule is called 'nightly'; There are: none"),
        (
            "rules: {plugins: ['./night.py:Night', './night.py:Night']}",
            "1: rules.plugins.1: there is a rule NIGHT already",
        ),
        (
            "rules:\n  plugins: ['./night.py:Night']\n  NIGHT: {min_cals: 1}",
            "3: rules.NIGHT.min_cals: there is no such key; write min_calls",
        ),
        (
            "rules:\n  plugins: ['./night.py:Night']\n  NIGHT: {min_calls: x}",
            "3: rules.NIGHT.min_calls: this is not a whole number",
        ),
        (
            "rules: {custom: [{name: A, metric: calls, compare: {above: x}}]}",
            "1: rules.custom.0.compare.above: 'x' is no number; write for instance 5000 or 5k",
        ),
        (
            "rules:\n  custom:\n    - {name: A, metric: calls}",
            "3: rules.custom.0.compare: the key is missing; write it",
        ),
        (
            "rules: {custom: [{name: A, metric: calls, compare: {above: 1}, windw: 5m}]}",
            "1: rules.custom.0.windw: there is no such key; write window",
        ),
        (
            "tenants:\n  acme:\n    rules: {SPIKE: {multiplyer: 1}}",
            "3: tenants.acme.rules.SPIKE.multiplyer: there is no such key; write multiplier",
        ),
        ("tenants: {acme: {rules: {SPYKE: {}}}}", "1: tenants.acme.rules.SPYKE: there is no such key; write SPIKE"),
        (
            (
                "rules: {custom: [{name: A, metric: calls, compare: {above: 1}}]}\n"
                "projects: {p: {rules: {A: {metric: errors}}}}"
            ),
            "2: projects.p.rules.A.metric: this is what the rule is; write one of compare, enabled",
        ),
        ("projects: {p: {rules: {custom: {}}}}", "1: projects.p.rules.custom: rules are the same for all; write"),
        (
            (
                "rules: {custom: [{name: A, metric: calls, window: 1h, compare: {above: 2x, window: 4h}}]}\n"
                "tenants: {acme: {rules: {A: {window: 2h}}}}\nprojects: {p: {rules: {A: {compare: {window: 3h}}}}}"
            ),
            "3: projects: with what a tenant says, A.compare.window does not fit: 3h is hardly longer than the window",
        ),
    ],
)
def test_problems_have_their_line(tmp_path: Path, text: str, line: str) -> None:
    """Whatever is wrong with a rule of one's own is told where it is written, with what to write."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    (said,) = str(caught.value).splitlines()
    assert said.startswith(f"{tmp_path / 'tokensense.yaml'}:")
    assert line in said


def test_a_file_of_rules_may_stand_alone(tmp_path: Path) -> None:
    """What stands beneath `rules` is enough, plugins and rules in YAML included."""
    (tmp_path / "night.py").write_text(PLUGIN)
    (tmp_path / "rules.yaml").write_text(
        "plugins: ['./night.py:Night']\ncustom: [{name: A, metric: calls, compare: {above: 1}}]\n"
    )
    assert load_rules(tmp_path / "rules.yaml", {}).rules.names[-2:] == ("NIGHT", "A")


def apart(folder: Path, rules: str, text: str = "rules: {file: mine/rules.yaml, SPIKE: {multiplier: 4}}") -> Loaded:
    (folder / "mine").mkdir(exist_ok=True)
    (folder / "mine" / "night.py").write_text(PLUGIN)
    (folder / "mine" / "rules.yaml").write_text(rules)
    (folder / "tokensense.yaml").write_text(text)
    return load(folder / "tokensense.yaml", {"LIMIT": "9"})


FAILURES = "custom: [{name: FAILURES, metric: errors, compare: {above: '${LIMIT}'}}]"


@pytest.mark.parametrize("nested", [False, True])
def test_rules_may_be_kept_apart(tmp_path: Path, nested: bool) -> None:
    """A file's rules hold as if they were written in the configuration, whose own word counts more; plugins are found
    beside the file."""
    text = f"SPIKE: {{multiplier: 9, min_calls: 5}}\nplugins: ['./night.py:Night']\n{FAILURES}\n"
    if nested:
        text = "rules:\n" + "".join(f"  {line}\n" for line in text.splitlines())
    it = apart(tmp_path, text)
    rules = it.settings.rules
    assert (rules.of(Spike()).multiplier, rules.of(Spike()).min_calls) == (4, 5)
    assert rules.names[-2:] == ("NIGHT", "FAILURES")
    assert rules.custom[0].compare.above == "9"
    assert rules.file == str(tmp_path / "mine" / "rules.yaml")
    assert load_rules(tmp_path / "tokensense.yaml", {"LIMIT": "9"}).rules.names == rules.names


@pytest.mark.parametrize(
    ("rules", "text", "line"),
    [
        (
            "SPIKE: {multiplyer: 1}",
            "rules: {file: mine/rules.yaml}",
            "mine/rules.yaml:1: rules.SPIKE.multiplyer: there is",
        ),
        (
            "\ncustom: [{name: A, compare: {above: 1}}]",
            "rules: {file: mine/rules.yaml}",
            "mine/rules.yaml:2: rules.custom.0.metric: the key is",
        ),
        (
            "custom: [{name: A, metric: calls, compare: {above: 1}}]",
            "rules:\n  file: mine/rules.yaml\n  custom: [{name: A, metric: calls, compare: {above: 1}}]",
            "tokensense.yaml:3: rules.custom.1.name: there is a rule A already",
        ),
        (
            "projects: {}",
            "rules: {file: mine/rules.yaml}",
            "mine/rules.yaml:1: projects: a file of rules has no projects",
        ),
        (
            "file: other.yaml",
            "rules: {file: mine/rules.yaml}",
            "mine/rules.yaml:1: file: a file of rules names no other",
        ),
        ("[a]", "rules: {file: mine/rules.yaml}", "mine/rules.yaml:1: this is not a mapping"),
        ("", "rules: {file: none.yaml}", "tokensense.yaml:1: rules.file: none.yaml cannot be read (No such file"),
        ("", "rules: {file: 5}", "tokensense.yaml:1: rules.file: this is not text; put it in quotes"),
    ],
)
def test_problems_of_a_file_of_rules_have_its_line(tmp_path: Path, rules: str, text: str, line: str) -> None:
    """Each problem is told where it is written, be that in the file or in the configuration."""
    with pytest.raises(ConfigError) as caught:
        apart(tmp_path, rules, text)
    (said,) = str(caught.value).splitlines()
    assert line in said


def test_an_installed_package_gives_rules_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in the group `tokensense.rules` is loaded; one that cannot be says whose it is."""
    (tmp_path / "night_rules.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = [
        EntryPoint("night", "night_rules:Night", "tokensense.rules"),
        EntryPoint("broken", "night_rules:Nothing", "tokensense.rules"),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point for point in found if point.group == group])
    assert loaded(tmp_path, "rules: {plugins: [night], NIGHT: {min_calls: 4}}").settings.rules.names[-1] == "NIGHT"
    with pytest.raises(ConfigError, match="broken of night_rules:Nothing cannot be loaded: AttributeError"):
        loaded(tmp_path, "rules: {plugins: [broken]}")
    with pytest.raises(ConfigError, match="no rule is called 'nigth'; did you mean night"):
        loaded(tmp_path, "rules: {plugins: [nigth]}")
