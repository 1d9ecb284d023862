"""The scorer: what is right, excused and wrong, at both sides of each boundary."""

from pathlib import Path

import pytest

from benchmarks.incidents.labels import DAY_NS, HOUR_NS, Incident, NearMiss, Truth, agree
from benchmarks.incidents.score import Alert, Score, delays, excusing, score_rules
from benchmarks.incidents.table import span, table

BEGIN, END = 20 * DAY_NS, 20 * DAY_NS + 6 * HOUR_NS
SECOND = 1_000_000_000


def a_truth(*labels: Incident | NearMiss) -> Truth:
    truth = Truth(seed=7, start_ns=0, end_ns=35 * DAY_NS, warm_ns=14 * DAY_NS)
    for label in labels:
        truth.add(label)
    return truth


def an_incident(rule: str = "SPIKE", **changes: object) -> Incident:
    fields = {"kind": "loop", "scope": {"team": "ads"}, "from_ns": BEGIN, "to_ns": END, "grace_ns": HOUR_NS} | changes
    return Incident(rule=rule, **fields)  # type: ignore[arg-type]


def an_alert(time_ns: int = BEGIN, rule: str = "SPIKE", *, opens: bool = True, **scope: str) -> Alert:
    return Alert(rule, time_ns, scope or {"team": "ads"}, opens=opens)


def scored(truth: Truth, *alerts: Alert, rule: str = "SPIKE") -> Score:
    return next(each for each in score_rules(truth, alerts, [rule]) if each.rule == rule)


@pytest.mark.parametrize(
    ("time_ns", "found"),
    [
        (BEGIN - 2 * SECOND, 0),
        (BEGIN - SECOND, 1),  # insights have whole seconds
        (END + HOUR_NS, 1),
        (END + HOUR_NS + 1, 0),
    ],
)
def test_an_incident_is_found_from_its_begin_to_the_end_of_its_window(time_ns: int, found: int) -> None:
    """An alert finds an incident between its begin, less a second, and its end with the grace; else it is wrong."""
    result = scored(a_truth(an_incident()), an_alert(time_ns))
    assert (result.found, result.wrong) == (found, 1 - found)


def test_an_incident_counts_once_however_often_it_is_told() -> None:
    """Three right alerts and a wrong one are a precision of a half, and the first one says how long it took."""
    truth = a_truth(an_incident())
    told = [an_alert(BEGIN + minutes * 60 * SECOND) for minutes in (30, 5, 90)]
    result = scored(truth, *told, an_alert(team="search"))
    assert (result.found, result.wrong, result.alerts) == (1, 1, 4)
    assert (result.precision, result.recall) == (0.5, 1.0)
    assert delays(result) == (300.0, 300.0)
    assert result.pages_a_week == pytest.approx(4 / 5)


def test_what_was_not_told_is_missed_by_name() -> None:
    """Recall is told over found incidents, and the missed one is named with what was injected."""
    result = scored(a_truth(an_incident(), an_incident(scope={"team": "hr"}, size={"calls": 900})), an_alert())
    assert result.recall == 0.5
    assert result.missed == ["seed 7 SPIKE loop hr day 20 0.0 h {'calls': 900}"]


def test_news_of_an_open_finding_finds_but_is_never_wrong() -> None:
    """An update within an incident finds it; one anywhere else is no alert."""
    truth = a_truth(an_incident())
    result = scored(truth, an_alert(opens=False), an_alert(opens=False, team="search"))
    assert (result.found, result.wrong, result.alerts) == (1, 0, 0)


def test_another_incident_may_give_the_reason() -> None:
    """An alert of a rule that a label allows, there and then, is neither right nor wrong; elsewhere it is wrong."""
    retries = an_incident("RETRY_WASTE", may=("SPIKE",))
    truth = a_truth(retries)
    assert excusing(truth, "SPIKE") == [retries]
    result = scored(truth, an_alert(), an_alert(team="search"))
    assert (result.excused, result.wrong, result.found) == (1, 1, 0)
    assert result.precision == 0.0


def test_near_misses_are_named_where_a_rule_fell_for_them() -> None:
    """A wrong alert says which near-miss it was, and that there was none where there was none."""
    calm = NearMiss(rule="SPIKE", kind="a busy day", scope={"team": "ads"}, from_ns=BEGIN, to_ns=END)
    result = scored(a_truth(calm), an_alert(), an_alert(team="hr"))
    assert "(near-miss: a busy day)" in result.mistakes[0]
    assert "(no label)" in result.mistakes[1]


@pytest.mark.parametrize(("rule", "wrong", "early"), [("SPIKE", 0, 1), ("LONG_PROMPTS", 1, 0)])
def test_rules_with_a_baseline_have_two_weeks_to_learn(rule: str, wrong: int, early: int) -> None:
    """Before the warm-up's end a wrong alert of a rule with a baseline is counted apart, of any other rule it is wrong;
    at its end it is wrong for all."""
    truth = a_truth()
    result = scored(truth, an_alert(truth.warm_ns - 1, rule), rule=rule)
    assert (result.wrong, result.early) == (wrong, early)
    assert scored(truth, an_alert(truth.warm_ns, rule), rule=rule).wrong == 1


@pytest.mark.parametrize(
    ("label", "told", "same"),
    [
        ({"team": "ads", "model": "gpt-4o"}, {"team": "ads"}, True),
        ({"team": "ads"}, {"team": "ads", "feature": "rank"}, True),
        ({"team": "ads"}, {"team": "hr"}, False),
        ({"team": "ads"}, {"service": "ads"}, False),
        ({}, {"team": "ads"}, True),
        ({"team": "ads"}, {}, True),
    ],
)
def test_scopes_agree_where_nothing_differs(label: dict[str, str], told: dict[str, str], same: bool) -> None:
    """Scopes agree where a name is in both and none of those has two values; a label without a scope is everybody's."""
    assert agree(label, told) is same


def test_seeds_add_up() -> None:
    """Scores of two seeds have the sums of both and the lists of both."""
    total = scored(a_truth(an_incident()), an_alert())
    total.add(scored(a_truth(an_incident()), an_alert(team="hr")))
    assert (total.incidents, total.found, total.wrong, total.weeks) == (2, 1, 1, 10.0)
    assert (total.precision, total.recall, len(total.missed)) == (0.5, 0.5, 1)


def test_a_rule_without_alerts_has_no_precision() -> None:
    """Silence where there is nothing is neither precise nor imprecise."""
    result = scored(a_truth())
    assert (result.precision, result.recall) == (None, None)


def test_truth_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A truth file holds everything that the truth does."""
    calm = NearMiss(rule="SPIKE", kind="a busy day", scope={}, from_ns=BEGIN, to_ns=END, may=("BUDGET",))
    truth = a_truth(an_incident(size={"calls": 900}), calm)
    truth.write(tmp_path / "truth.json")
    assert Truth.read(tmp_path / "truth.json") == truth


def test_the_table_has_a_row_for_each_score_with_something_to_say() -> None:
    """A row says incidents, precision, recall and delays; a rule without incidents and alerts has none."""
    shown = table([scored(a_truth(an_incident()), an_alert(BEGIN + 90 * SECOND)), Score("TRUNCATION")]).splitlines()
    assert shown[2:] == ["| SPIKE | statistical | 1 | 1 | 0 | 1.00 | 1.00 | 90 s | 90 s | 0.2 |"]
    assert [span(each) for each in (None, 119, 120, 7_199, 7_200)] == ["–", "119 s", "2 min", "120 min", "2.0 h"]
