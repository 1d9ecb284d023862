import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_for_hypothesis
from hypothesis import strategies as st

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.config import Settings
from tokensense_otel.service.loader import load, load_rules, load_settings

FILES = Path(__file__).parents[2] / "testdata" / "config"
CANARY = "canary-7f3a-very-secret"

PROBLEMS = {
    "bad_endpoint": ["3: receiver.grpc.endpoint: 'localhost' is not an endpoint; write host:port, for instance 127"],
    "bad_exporter_key": ["5: exporters.ops.sekret: there is no such key; did you mean secret?"],
    "bad_exporter_type": ["2: exporters.chat.type: no exporter is called 'slak'; did you mean slack?"],
    "bad_home": ["1: data_dir: Could not determine home directory; write the folder out"],
    "bad_key_twice": ["3: api.endpoint: the key is here twice; keep one of the two"],
    "bad_list_at_the_top": ["1: this is not a mapping; write keys such as data_dir: ./data"],
    "bad_log_kind": ["1: log.kind: this is not known; write 'embedded'"],
    "bad_log_level": ["1: logging.level: this is not known; write 'debug', 'info', 'warning' or 'error'"],
    "bad_not_a_mapping": ["1: receiver: this is not a mapping; write its keys beneath it"],
    "bad_not_utf8": [" the configuration is not UTF-8 text (byte 11)"],
    "bad_number": ["3: rules.SPIKE.min_calls: this is not a whole number; write for instance 5"],
    "bad_open_api": ["1: api: 0.0.0.0:3001 can be reached from other machines and asks nobody for a key; write end"],
    "bad_open_to_all": ["1: receiver: grpc.endpoint 0.0.0.0:4317 is open to other machines without a key; write auth"],
    "bad_project_override": ["4: projects.proj_abc.rules.SPIKE.min_cals: there is no such key; write min_calls"],
    "bad_secret_and_file": ["6: receiver.auth.keys.0.key_file: key is given as well; keep one of the two"],
    "bad_secret_file_missing": ["5: receiver.auth.keys.0.key_file: ./no-such-file cannot be read (No such file or"],
    "bad_several_things": [
        "2: receiver.grpc.endpoint: 'here' is not an endpoint; write host:port",
        "3: receiver.htp: there is no such key; write http",
        "5: rules.SPIKE.multiplier: this is not a number; write for instance 1.5",
        "7: exporters.chat.type: it is missing; write one of ",
    ],
    "bad_store": ["1: store.url: only SQLite is supported; write sqlite, or sqlite:////absolute/path/to/file.db"],
    "bad_threshold_out_of_range": ["2: rules.SPIKE.multiplier: this should be greater than 1"],
    "bad_unknown_key": ["3: receiver.grpc.endpont: there is no such key; write endpoint"],
    "bad_unknown_rule": ["2: rules.SPKE: there is no such key; write SPIKE"],
    "bad_unknown_section": ["2: reciever: there is no such key; write receiver"],
    "bad_unknown_threshold": ["3: rules.SPIKE.multiplyer: there is no such key; write multiplier"],
    "bad_variable_not_closed": ["1: data_dir: this is no variable; write ${NAME}, ${NAME:-default}, or $${ for the c"],
    "bad_variable_not_set": ["4: receiver.auth.keys.0.key: NOT_SET_ANYWHERE is not set; set it, or write ${NOT_SET_"],
    "bad_yaml": ["2: this is not YAML: expected ',' or '}', but got '<scalar>'"],
}


def settings(text: str, tmp_path: Path, **environ: str) -> Settings:
    file = tmp_path / "tokensense.yaml"
    file.write_text(text)
    return load_settings(file, environ)


def problem(text: str, tmp_path: Path, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(text, tmp_path, **environ)
    return str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize("file", sorted(FILES.glob("bad_*.yaml")), ids=lambda file: file.stem)
def test_each_problem_is_one_line_that_says_where_and_what_to_write(file: Path) -> None:
    """A wrong configuration gives a line for each problem: file, line, key, what is wrong, what to write."""
    with pytest.raises(ConfigError) as caught:
        load_settings(file, {})
    lines = str(caught.value).splitlines()
    expected = PROBLEMS[file.stem]
    assert len(lines) == len(expected)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(f"{file}:{start}")


def test_a_configuration_of_every_section_is_taken_as_written() -> None:
    """Every contract key is understood, and what is not written is the component's default."""
    loaded = load_settings(FILES / "good_everything.yaml", {"CHECKOUT_KEY": "k1"})
    (key,) = loaded.receiver.auth.keys
    assert key.key is not None
    assert (key.name, key.tenant, key.project, key.key.get_secret_value()) == ("checkout", "acme", "proj_abc", "k1")
    assert (loaded.receiver.grpc.endpoint, loaded.receiver.http.endpoint) == ("0.0.0.0:4317", "[::1]:4318")
    assert loaded.data_dir == Path.cwd() / "data"
    assert sorted(loaded.exporters) == ["ops", "team-chat"]
    assert loaded.rules.SPIKE.multiplier == 5
    spike = loaded.rule_set.in_force("default", "proj_abc").SPIKE
    assert (spike.multiplier, spike.min_calls, spike.min_history_days) == (4, 10, 3)
    assert loaded.rule_set.in_force("default", "another").SPIKE == loaded.rules.SPIKE
    assert loaded.normalise.attribution.team == ("tokensense.team", "squad")
    assert (loaded.dataflow.epoch_interval_s, loaded.logging.format, loaded.logging.number) == (2.5, "json", 30)


@pytest.mark.parametrize("name", ["good_empty", "good_byte_order_mark", "good_sections_without_keys"])
def test_what_is_left_out_is_default(name: str) -> None:
    """An empty file, a byte order mark, and sections whose keys are all commented out are good configurations."""
    loaded = load_settings(FILES / f"{name}.yaml", {})
    assert loaded.receiver.grpc.endpoint == "127.0.0.1:4317"
    assert loaded.exporters == {"console": {"type": "console"}}


def test_without_a_file_everything_is_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --config and without ./tokensense.yaml, everything is default; with that file, it is read."""
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {}).api.endpoint == "127.0.0.1:3001"
    (tmp_path / "tokensense.yaml").write_text("api: {endpoint: '127.0.0.1:9'}")
    assert load_settings(None, {}).api.endpoint == "127.0.0.1:9"


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    """A missing file, a folder and a name that cannot be are refused with the reason."""
    for path, reason in ((tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as caught:
            load_settings(path, {})
        assert str(caught.value) == f"{path}: the configuration cannot be read ({reason}); write --config FILE"
    with pytest.raises(ConfigError, match="--config: embedded null byte"):
        load_settings(Path("a\0b"), {})


def test_variables_stand_in_text(tmp_path: Path) -> None:
    """`${NAME}` is replaced anywhere in text, `:-` gives a default (also an empty one), `$${` is a plain `${`."""
    text = """
    data_dir: "${ROOT}/${SUB:-x:-y}${EMPTY:-}"
    receiver: {auth: {keys: [{name: "$${PLAIN} $5", key: "${KEY:-}k"}]}}
    log: {partitions: "${N}"}
    """
    loaded = settings(text, tmp_path, ROOT="/r", N="3")
    assert loaded.data_dir == Path("/r/x:-y")
    assert loaded.receiver.auth.keys[0].name == "${PLAIN} $5"
    assert loaded.log.partitions == 3


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    """`key_file: path` is the file's content without the space around it; the path starts at the configuration."""
    (tmp_path / "secret.txt").write_text("  s3cret\n")
    text = "receiver: {auth: {keys: [{name: a, key_file: secret.txt}]}}"
    key = settings(text, tmp_path).receiver.auth.keys[0].key
    assert key is not None
    assert key.get_secret_value() == "s3cret"


def test_an_exporter_s_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    """An exporter's keys have `*_file` twins too."""
    (tmp_path / "url").write_text("https://hooks.slack.com/services/T0/B0/X\n")
    loaded = settings("exporters: {chat: {type: slack, webhook_url_file: ./url}}", tmp_path)
    assert loaded.exporters["chat"]["webhook_url"] == "https://hooks.slack.com/services/T0/B0/X"


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    """`TOKENSENSE_SECTION__KEY` wins over the file, whatever the case; lists are YAML, text stays as it is."""
    loaded = settings(
        "api: {endpoint: '127.0.0.1:1'}\nexporters: {ops: {type: webhook, url: 'https://a.example/'}}",
        tmp_path,
        TOKENSENSE_API__ENDPOINT="127.0.0.1:2",
        TOKENSENSE_DATA_DIR="/elsewhere",
        TOKENSENSE_RULES__SPIKE__MULTIPLIER="7",
        TOKENSENSE_ATTRIBUTION__TEAM="[squad, team]",
        TOKENSENSE_RECEIVER__AUTH__KEYS='[{"name": "a", "key": "123456"}]',
        TOKENSENSE_RECEIVER__HTTP__READ_TIMEOUT_S="1.5",
        TOKENSENSE_EXPORTERS__OPS__ALLOW_PRIVATE="true",
        TOKENSENSE_DEBUG="1",
    )
    assert loaded.api.endpoint == "127.0.0.1:2"
    assert loaded.data_dir == Path("/elsewhere")
    assert loaded.rules.SPIKE.multiplier == 7
    assert loaded.attribution.team == ("squad", "team")
    assert loaded.receiver.auth.keys[0].name == "a"
    assert loaded.receiver.http.read_timeout_s == 1.5
    assert loaded.exporters["ops"]["allow_private"] is True


def test_a_wrong_override_names_the_variable(tmp_path: Path) -> None:
    """What is wrong in the environment is said with the variable's name instead of a line."""
    assert problem("", tmp_path, TOKENSENSE_API__ENDPOINT="x").startswith(
        "environment TOKENSENSE_API__ENDPOINT: api.endpoint: 'x' is not an endpoint; write host:port"
    )
    assert problem("", tmp_path, TOKENSENSE_API__ENDPONT="x") == (
        "environment TOKENSENSE_API__ENDPONT: api.endpont: there is no such key; write endpoint"
    )
    assert problem("", tmp_path, TOKENSENSE_DATA_DIR__X="x") == (
        "environment TOKENSENSE_DATA_DIR__X: data_dir has no keys beneath it; write TOKENSENSE_DATA_DIR"
    )


@pytest.mark.parametrize(
    "text",
    [
        'api: {endpoint: "${CANARY}"}',
        'api: {endpont: "${CANARY}"}',
        'logging: {level: "${CANARY}"}',
        'rules: {SPIKE: {multiplier: "${CANARY}"}}',
        'receiver: {auth: {keys: [{name: a, key: "${CANARY}", key_sha256: "${CANARY}"}]}}',
        'exporters: {ops: {type: "${CANARY}"}}',
        'exporters: {ops: {type: webhook, url: "https://e.example", secret: "${CANARY}"}}',
        'exporters: {ops: {type: webhook, url: "${CANARY}", secret: "whsec_x"}}',
        "api: {endpoint_file: canary, endpoint: x}",
        "logging: {level_file: canary}",
    ],
)
def test_no_secret_is_ever_in_a_message(text: str, tmp_path: Path) -> None:
    """A value that came from a variable or a file is never shown, whatever is wrong with it."""
    (tmp_path / "canary").write_text(CANARY)
    assert CANARY not in problem(text, tmp_path, CANARY=CANARY)


def test_settings_print_no_secret(tmp_path: Path) -> None:
    """Neither settings nor what a supervisor holds give away a key when they are printed."""
    file = tmp_path / "tokensense.yaml"
    file.write_text(f"receiver: {{auth: {{keys: [{{name: a, key: {CANARY}}}]}}}}")
    loaded = load(file, {})
    assert CANARY in str(loaded.raw)  # it is there …
    assert CANARY not in repr(loaded) + str(loaded) + repr(loaded.settings) + loaded.settings.model_dump_json()


def test_rules_are_read_bare_or_whole(tmp_path: Path) -> None:
    """A file for a backtest is a whole configuration, or what stands beneath `rules`; problems keep their lines."""
    file = tmp_path / "rules.yaml"
    for text in ("rules:\n  SPIKE: {multiplier: 9}\n", "SPIKE: {multiplier: 9}\n"):
        file.write_text(text)
        assert load_rules(file, os.environ).rules.SPIKE.multiplier == 9
    file.write_text("LONG_PROMPTS: {}\nSPYKE: {multiplier: 9}\n")
    with pytest.raises(ConfigError, match=r"rules\.yaml:2: rules\.SPYKE: there is no such key; write SPIKE$"):
        load_rules(file, os.environ)


KEYS = st.sampled_from(
    ["receiver", "grpc", "http", "endpoint", "auth", "keys", "key", "key_file", "name", "log", "rules", "SPIKE",
     "multiplier", "projects", "exporters", "type", "url", "attribution", "team", "api", "dataflow", "accounting",
     "logging", "data_dir", "x_file", "", "a b"]
)  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["${A}", "${B:-x}", "${", "127.0.0.1:1", "console", "webhook", "./none.py:X"])
)  # fmt: skip
CONFIGURATIONS = st.dictionaries(
    KEYS,
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)),
    max_size=4,
)


@given(CONFIGURATIONS)
@settings_for_hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
def test_whatever_stands_in_the_file_is_settings_or_problems(tmp_path: Path, data: dict[str, Any]) -> None:
    """Any mapping at all loads, or is refused with lines that each name the file: nothing else escapes."""
    file = tmp_path / "tokensense.yaml"
    file.write_text(yaml.safe_dump(data))
    try:
        lines = [f"{file}: {load_settings(file, {'A': 'a'}).data_dir}"]
    except ConfigError as error:
        lines = str(error).splitlines()
    assert lines
    assert all(line.startswith(str(file)) for line in lines)
