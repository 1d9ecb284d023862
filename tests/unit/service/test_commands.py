import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog

from tests.support.calls import NOON, a_call, an_insight, posted
from tests.support.captures import spans_of, trace_requests
from tests.support.spans import a_request, an_otlp_span, facts_of_span
from tokensense_otel.core.insight import Status
from tokensense_otel.core.tally import Tallies, Tally, What
from tokensense_otel.core.usage import Accounting, Usage, usage_key
from tokensense_otel.dataflow.explain.keep import to_kept
from tokensense_otel.service import main
from tokensense_otel.store.config import ExplainConfig
from tokensense_otel.store.database import open_database
from tokensense_otel.store.outbox import Outbox
from tokensense_otel.store.rollups import RollupWriter

CAPTURES = Path(__file__).parents[2] / "testdata" / "captures"
FIRST_TRACE = next(spans_of(trace_requests("openai_v2")[0])).trace_id.hex()


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Tokensense = Callable[..., Done]


@pytest.fixture
def tokensense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Tokensense]:
    """Runs the command in this process, in a folder of its own, and gives what it left behind."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["tokensense", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.run()
        out, err = capfd.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    yield run
    structlog.reset_defaults()  # the command's log goes to a standard error that ends with the test


@pytest.fixture
def filled(tmp_path: Path) -> None:
    """A store with one call of checkout, one unpriced call of search, a firing insight, and its delivery."""
    engine = open_database("sqlite", data_dir=tmp_path / "tokensense-data")
    outbox = Outbox(engine, lambda: NOON)
    outbox.register(["console"])
    usage: dict[Any, Usage] = {}
    unpriced = a_call(cost=a_call().cost.__class__(), dimensions=a_call().dimensions.__class__(team="search"))
    for posting in posted(a_call(), unpriced):
        usage.setdefault(usage_key(posting), Usage()).post(posting)
    insight = an_insight(estimated_monthly_savings_usd="0.008", scope={"team": "checkout", "model": "gpt-4o"})
    tallies = Tallies({Tally("default", "cart", What.CORRECTION, "tokens_negative"): 2})
    kept = [to_kept(facts_of_span(1, response_id="r-1", request_model="gpt-4o\x1b[2J"), NOON)]
    writer = RollupWriter(engine, "p0", None, lambda: NOON, ExplainConfig())
    writer.write(usage, {"default": Accounting(spans=2, calls=2)}, [insight], tallies, kept)
    outbox.enqueue(["console"])
    engine.dispose()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ("usage", ["usage"]),
        ("insights", ["insights"]),
        ("report --since 2026-01-01", ["cost_usd", "teams", "models", "insights"]),
        ("rules list", ["rules"]),
        ("rules show SPIKE", ["name", "options", "defaults"]),
        ("rules check", ["ok"]),
        ("exporters list", ["exporters", "types"]),
        ("exporters test console", ["name", "ok", "detail"]),
        ("outbox ls", ["deliveries"]),
        (f"outbox show {an_insight().id}", ["deliveries"]),
        ("outbox replay", ["replayed"]),
        ("outbox audit", ["balanced", "exporters"]),
        ("doctor", ["ok", "checks"]),
        ("version", ["version"]),
        (f"replay {CAPTURES / 'openai_v2'}", ["accounting", "usage", "insights", "corrections"]),
        ("usage --explain", ["usage", "accounting", "corrections", "dialects", "unattributed", "unpriced"]),
        ("explain r-1", ["what", "name", "traces", "remarks"]),
        (f"explain --from {CAPTURES / 'openai_v2'} {FIRST_TRACE}", ["what", "name", "traces", "remarks"]),
    ],
)
def test_json_is_one_document_and_nothing_else(tokensense: Tokensense, arguments: str, keys: list[str]) -> None:
    """With `--format json`, standard output parses as one JSON document with the command's keys."""
    done = tokensense(*arguments.split(), "--format", "json")
    assert done.code == (0 if done.document.get("ok", True) else 1)
    assert set(keys) <= set(done.document)


@pytest.mark.usefixtures("filled")
def test_usage_as_text_is_a_table(tokensense: Tokensense) -> None:
    """Without a terminal, usage is aligned plain text; what has no known price is a dash, not a zero."""
    lines = tokensense("usage", "--group-by", "team").out.splitlines()
    assert lines[0].split()[:3] == ["team", "calls", "errors"]
    assert lines[1].split() == ["checkout", "1", "0", "1000", "50", "0", "–", "0.01", "0", "0"]
    assert lines[2].split() == ["search", "1", "0", "1000", "50", "0", "–", "–", "1", "0"]


@pytest.mark.usefixtures("filled")
def test_usage_explained_as_text(tokensense: Tokensense) -> None:
    """Beneath the rows: what became of spans, what nothing attributes, what has no price, and what was corrected."""
    text = tokensense("usage", "--explain").out
    assert "2 spans, 2 calls, 0 duplicates, 0 wrappers, 0 not genai, 0 rejected" in text
    words = [line.split() for line in text.splitlines()]
    assert ["environment", "2", "100.0%"] in words
    assert ["openai", "gpt-4o-2024-08-06", "1"] in words
    assert ["2", "tokens_negative", "default", "cart"] in [line[:4] for line in words]


@pytest.mark.usefixtures("filled")
def test_an_explanation_as_text(tokensense: Tokensense) -> None:
    """Each span with its reason, then the call with its tokens, its bill and whose it is; nothing steers a terminal."""
    done = tokensense("explain", "r-1")
    lines = done.out.splitlines()
    assert lines[0] == (
        "trace 00000000000000000000000000000007 of tenant default: "
        "1 spans, 1 calls, 0 duplicates, 0 wrappers, 0 not_genai, 0 rejected"
    )
    assert any(line.startswith("0000000000000001") and "yes" in line for line in lines)
    assert "  input: 100 (this span)" in lines
    assert "  unattributed: team, feature, environment, service, user, session, agent" in lines
    assert "\x1b" not in done.out


def test_a_recorded_call_is_explained_to_the_dollar(tokensense: Tokensense) -> None:
    """`--from` needs no store, and shows what a call cost class by class."""
    done = tokensense("explain", "--from", str(CAPTURES / "openai_v2"), FIRST_TRACE)
    assert done.code == 0
    assert " × $2.5 a million = $" in done.out
    assert "(team of the resource of this span)" in done.out


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("explain nothing", "nothing that is kept has the id 'nothing'"),
        ("explain ab", "'ab' is too short"),
        ("explain --from nowhere abcd", "nowhere: there is no such file or folder"),
        ("explain 00000000000000000000000000000007 --tenant other", "nothing that is kept"),
    ],
)
def test_an_id_that_cannot_be_explained_is_one_line(tokensense: Tokensense, arguments: str, problem: str) -> None:
    """Exit code 2 and what to write instead."""
    done = tokensense(*arguments.split())
    assert (done.code, done.out) == (2, "")
    assert problem in done.err
    assert len(done.err.splitlines()) == 1


def test_replay_lists_what_it_corrected(tokensense: Tokensense, tmp_path: Path) -> None:
    """Bad input in a recording is counted by reason, in JSON and as text."""
    usage = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": -1}
    request = a_request(an_otlp_span(usage), resource={"service.name": "cart"})
    path = tmp_path / "0001.traces.pb"
    path.write_bytes(request.SerializeToString())
    (row,) = tokensense("replay", str(path), "--format", "json").document["corrections"]
    assert (row["service"], row["reason"], row["count"]) == ("cart", "tokens_negative", 1)
    assert "tokens_negative" in tokensense("replay", str(path)).out


@pytest.mark.usefixtures("filled")
def test_a_report_is_markdown(tokensense: Tokensense) -> None:
    """The report sums spend, names what is not in it, and lists open findings with what they save."""
    text = tokensense("report", "--since", "2026-01-01", "--until", "2026-01-02").out
    assert "2 calls (0 failed), $0.01.\n1 calls have no known cost and are not in it." in text
    assert "\n\n- Of 1 call (1,050 tokens) no price is known: they are in no sum of money" in text
    assert "| checkout | 1 | $0.01 |\n| search | 1 | unknown |" in text
    assert "| openai/gpt-4o-2024-08-06 | 2 | $0.01 |" in text
    assert "- **checkout calls 4× its usual** (low). Look for a retry loop. Saves about $0.01 a month." in text


@pytest.mark.usefixtures("filled")
def test_a_resolved_finding_is_not_in_the_report(tokensense: Tokensense, tmp_path: Path) -> None:
    """Only findings whose latest word is firing or update are open."""
    engine = open_database("sqlite", data_dir=tmp_path / "tokensense-data")
    writer = RollupWriter(engine, "p1", None, lambda: NOON)
    scope = {"team": "checkout", "model": "gpt-4o"}
    writer.write({}, {}, [an_insight(Status.RESOLVED, scope=scope)])
    engine.dispose()
    document = tokensense("report", "--since", "2026-01-01", "--format", "json").document
    assert (document["insights"], document["estimated_monthly_savings_usd"]) == ([], None)


@pytest.mark.usefixtures("filled")
def test_the_outbox_shows_what_waits(tokensense: Tokensense) -> None:
    """A delivery that nobody has sent is pending, and the books balance."""
    (delivery,) = tokensense("outbox", "ls", "--state", "pending", "--format", "json").document["deliveries"]
    assert (delivery["exporter"], delivery["insight_id"], delivery["state"]) == ("console", an_insight().id, "pending")
    (books,) = tokensense("outbox", "audit", "--format", "json").document["exporters"]
    assert books == {"exporter": "console", "accepted": 1, "delivered": 0, "dead": 0, "suppressed": 0, "pending": 1}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("up --config none.yaml", "none.yaml: the configuration cannot be read (No such file or directory); write"),
        ("receiver -c none.yaml", "none.yaml: the configuration cannot be read (No such file or directory); write"),
        ("usage --since never", "--since: 'never' is not a time; write 2026-01-31T08:00:00Z, Unix seconds"),
        ("usage --group-by teem", "--group-by: there is no dimension 'teem'; write team"),
        ("usage", "{tmp}/tokensense-data/store.db: there is no store yet; run `tokensense up` first"),
        ("insights --status gone", "--status: 'gone' is not known; write one of firing, resolved, update"),
        ("rules show SPYKE", "there is no rule 'SPYKE'; write SPIKE"),
        ("rules check none.yaml", "none.yaml: the configuration cannot be read"),
        ("exporters test opps", "exporters: there is no exporter 'opps'; write "),
        ("outbox ls --state lost", "--state: 'lost' is not known; write one of dead, delivered, pending"),
        ("replay none", "none: there is no such file or folder; write a path to recorded OTLP"),
        ("replay . --rules none.yaml", "none.yaml: the configuration cannot be read"),
    ],
)
def test_what_has_to_be_written_differently_is_one_line_and_exit_2(
    tokensense: Tokensense, tmp_path: Path, arguments: str, line: str
) -> None:
    """A wrong argument or file is one line on standard error, nothing on standard output, exit 2."""
    done = tokensense(*arguments.split())
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith(line.replace("{tmp}", str(tmp_path)))


def test_a_wrong_command_says_which_there_are(tokensense: Tokensense) -> None:
    """An unknown command or option is exit 2 with a hint, without a traceback."""
    for arguments in (["upp"], ["usage", "--sinc", "1h"]):
        done = tokensense(*arguments)
        assert (done.code, done.out) == (2, "")
        assert "Traceback" not in done.err


def test_an_unexpected_error_is_one_line(tokensense: Tokensense, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is one line and exit 1; TOKENSENSE_DEBUG=1 shows where it is."""

    def broken(*_: object) -> None:
        raise KeyError("two\nlines")

    monkeypatch.setattr("tokensense_otel.service.commands.doctor.print_table", broken)
    done = tokensense("doctor")
    assert (done.code, done.err) == (1, "tokensense: KeyError: 'two\\nlines'; TOKENSENSE_DEBUG=1 shows where\n")
    monkeypatch.setenv("TOKENSENSE_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["tokensense", "doctor"])
    with pytest.raises(KeyError):
        main.run()


def test_replay_of_nothing_readable_is_exit_1(tokensense: Tokensense, tmp_path: Path) -> None:
    """Files that hold no recording are named and counted as rejected; when nothing is left, the exit code is 1."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.pb").write_bytes(b"\xff\xff")
    done = tokensense("replay", "in", "--format", "json")
    assert done.code == 1
    assert (done.document["accounting"]["spans"], done.document["accounting"]["rejected"]) == (1, 1)
    assert done.err.startswith("in/a.pb: passed over: this is no OTLP request")


def test_replay_goes_on_after_what_it_cannot_read(tokensense: Tokensense, tmp_path: Path) -> None:
    """A broken file beside sound ones changes `rejected` and nothing else."""
    sound = tokensense("replay", str(CAPTURES / "openai_v2"), "--format", "json").document
    (tmp_path / "broken.json").write_text("{")
    done = tokensense("replay", str(CAPTURES / "openai_v2"), "broken.json", "--format", "json")
    assert done.code == 0
    sound["accounting"]["spans"] += 1
    sound["accounting"]["rejected"] += 1
    assert done.document == sound


def test_replay_gives_the_same_answer_every_time(tokensense: Tokensense) -> None:
    """The same recording gives the same document, ids included, whatever the order of its files."""
    folder = CAPTURES / "traceloop"
    files = sorted(str(path) for path in folder.iterdir() if path.suffix == ".pb" or ".json" in path.suffixes)
    files = [path for path in files if "expected" not in path]
    first = tokensense("replay", *files, "--format", "json").document
    assert first["accounting"]["calls"] > 0
    assert tokensense("replay", *reversed(files), "--format", "json").document == first


def test_replay_backtests_other_rules(tokensense: Tokensense, tmp_path: Path) -> None:
    """`--rules` judges with the file's thresholds, two calls are enough when it says so, beside those in force."""
    (tmp_path / "rules.yaml").write_text("MODEL_MISUSE: {min_calls: 2, max_output_tokens: 100000}")
    folder = str(CAPTURES / "openai_v2")
    assert tokensense("replay", folder, "--format", "json").document["insights"] == []
    document = tokensense("replay", folder, "--rules", "rules.yaml", "--format", "json").document
    assert {insight["rule"] for insight in document["insights"]} == {"MODEL_MISUSE"}
    (row,) = document["backtest"]["rules"]
    assert row["rule"] == "MODEL_MISUSE"
    assert (row["tried"]["notifications"], row["in_force"]["findings"]) == (len(document["insights"]), 0)
    assert row["tried"]["pages_per_week"] is None  # the recording is of a few seconds
    assert "together" in tokensense("replay", folder, "--rules", "rules.yaml").out


RULE_TESTS = """\
rules: {custom: [{name: MINE, metric: calls, window: 1h, compare: {above: 5}}]}
tests:
  - name: the sixth call
    calls: [{team: a, values: 1x7}]
    expect: [{at: 4m}, {at: 6m, insights: [{rule: MINE, scope: {team: %s}}]}]
"""


def test_rule_tests_pass_or_say_what_differs(tokensense: Tokensense, tmp_path: Path) -> None:
    """A file of tests is run: exit 0 when all is as promised, else 1 with where and in what it differs."""
    (tmp_path / "tests.yaml").write_text(RULE_TESTS % "a")
    assert tokensense("rules", "test", "tests.yaml").code == 0

    (tmp_path / "tests.yaml").write_text(RULE_TESTS % "b")
    done = tokensense("rules", "test", "tests.yaml")
    assert done.code == 1
    assert done.out.splitlines() == [
        "FAILED tests.yaml:3: the sixth call",
        "       at 6m:",
        "         expected MINE firing (team=b), but told was:",
        "           scope.team: expected 'b', told 'a'",
        "0 passed, 1 failed",
    ]
    document = tokensense("rules", "test", "tests.yaml", "--format", "json").document
    assert (document["ok"], document["tests"][0]["differences"][0]["at"]) == (False, "6m")


def test_rules_of_ones_own_are_listed_with_the_others(tokensense: Tokensense, tmp_path: Path) -> None:
    """A rule in YAML is in the list, is shown with what it compares, and is checked by line."""
    text = "rules:\n  custom:\n    - {name: MINE, metric: errors, aggregate: share, compare: {above: 5%}}\n"
    (tmp_path / "tokensense.yaml").write_text(text)
    rules = {rule["name"]: rule for rule in tokensense("rules", "list", "--format", "json").document["rules"]}
    assert rules["MINE"]["description"] == "Share of failed calls over 24h is above 5%."
    assert "compare={above: 5%}" in tokensense("rules", "list").out
    assert "judged for each team" in tokensense("rules", "show", "mine").out
    assert tokensense("rules", "check", "--format", "json").document["own"] == 1

    (tmp_path / "tokensense.yaml").write_text(text.replace("errors", "erors"))
    done = tokensense("rules", "check")
    assert done.code == 2
    assert done.err == "tokensense.yaml:3: rules.custom.0.metric: there is no metric 'erors'; write errors\n"


def test_rules_show_what_is_in_force(tokensense: Tokensense, tmp_path: Path) -> None:
    """`rules show` gives the options in force for a project beside the defaults; a name's case does not matter."""
    (tmp_path / "tokensense.yaml").write_text(
        "rules: {SPIKE: {multiplier: 4}}\nprojects: {p: {rules: {SPIKE: {min_calls: 7}}}}"
    )
    document = tokensense("rules", "show", "spike", "--project", "p", "--format", "json").document
    assert (document["options"]["multiplier"], document["options"]["min_calls"]) == (4.0, 7)
    assert (document["defaults"]["multiplier"], document["defaults"]["min_calls"]) == (3.0, 100)


def test_names_from_telemetry_cannot_steer_the_terminal(tokensense: Tokensense, tmp_path: Path) -> None:
    """Control characters in a team's name are shown as replacement characters."""
    engine = open_database("sqlite", data_dir=tmp_path / "tokensense-data")
    usage: dict[Any, Usage] = {}
    for posting in posted(a_call(dimensions=a_call().dimensions.__class__(team="a\x1b[2Jb\n"))):
        usage.setdefault(usage_key(posting), Usage()).post(posting)
    RollupWriter(engine, "p0", None, lambda: NOON).write(usage, {}, [])
    engine.dispose()
    out = tokensense("usage", "--group-by", "team").out
    assert "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}" in out
    assert "\x1b" not in out


def test_doctor_names_every_problem_of_the_configuration(tokensense: Tokensense, tmp_path: Path) -> None:
    """A broken configuration is a finding for each line, beside the checks that need none; exit 1."""
    (tmp_path / "tokensense.yaml").write_text("api: {endpoint: x}\nlog: {kind: kafka}")
    done = tokensense("doctor", "--format", "json")
    failed = [check["detail"] for check in done.document["checks"] if check["verdict"] == "fail"]
    assert (done.code, done.document["ok"]) == (1, False)
    assert [detail.split(": ")[0:2] for detail in failed] == [
        ["tokensense.yaml:1", "api.endpoint"],
        ["tokensense.yaml:2", "log.kind"],
    ]
