"""What may be written in a rule of one's own, and what is said of all else: each at its place, with what to write."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from tests.unit.dataflow.rules.language.support import rules_of
from tokensense_otel.dataflow.rules import RulesConfig
from tokensense_otel.dataflow.rules.language.metrics import MEMBERS, METRICS
from tokensense_otel.dataflow.rules.language.yaml_rule import describe

GOOD: dict[str, Any] = {"name": "MINE", "metric": "errors", "compare": {"above": 3}}


def problems(definition: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        RulesConfig.model_validate({"custom": [definition]})
    return [(each["loc"][2:], str(each.get("ctx", {}).get("error", each["msg"]))) for each in caught.value.errors()]


@pytest.mark.parametrize(
    ("change", "place", "say"),
    [
        ("{name: my rule}", ("name",), "write it in capitals, as MY_RULE"),
        ("{name: SPIKE}", ("name",), "there is a rule SPIKE already; choose another name"),
        ("{metric: erors}", ("metric",), "there is no metric 'erors'; write errors"),
        ("{aggregate: median}", ("aggregate",), "there is no aggregate 'median'; write"),
        ("{aggregate: p95}", ("aggregate",), "there is no p95 of errors; write one of count, sum, rate, share"),
        ("{metric: users, aggregate: sum}", ("aggregate",), "there is no sum of users; write one of distinct"),
        ("{group_by: [tema]}", ("group_by",), "calls have no field 'tema'; write team"),
        ("{group_by: [team, team]}", ("group_by",), "keep one of the two"),
        ("{where: {modle: x}}", ("where",), "calls have no field 'modle'; write model"),
        ("{unless: {x: y}}", ("unless",), "calls have no field 'x'; write one of agent"),
        ("{title: 'for {modl}'}", ("title",), "{modl} stands for nothing; write model"),
        ("{title: 'for {model}'}", ("title",), "{model} is not in group_by, so it has no one value"),
        ("{compare: {}}", ("compare",), "write one of above and below"),
        ("{compare: {above: 1, below: 2}}", ("compare",), "write one of above and below"),
        ("{compare: {above: soon}}", ("compare", "above"), "'soon' is no number; write for instance 5000 or 5k"),
        ("{aggregate: share, compare: {above: $5}}", ("compare", "above"), "is no share; write for instance 5%"),
        ("{compare: {above: 2, min_value: x}}", ("compare", "min_value"), "'x' is no number"),
        ("{compare: {above: 2x, baseline: {}}}", ("compare", "baseline"), "one of previous, days and weeks"),
        ("{compare: {above: 2x, baseline: {days: 7, weeks: 2}}}", ("compare", "baseline"), "one of previous, days"),
        ("{compare: {above: 2x, baseline: {days: 7}, window: 7d}}", ("compare",), "compare with one thing"),
        ("{window: 48h, compare: {above: 2x, baseline: {days: 7}}}", ("compare", "baseline"), "no time of day"),
        (
            "{window: 24h, compare: {above: 2x, baseline: {previous: 31}}}",
            ("compare", "baseline", "previous"),
            "write 30 or less",
        ),
        ("{window: 1h, compare: {above: 2x, window: 1h}}", ("compare", "window"), "write 2h or more"),
        ("{compare: {below: 80%, budget: {amount: 5, per: day}}}", ("compare", "below"), "write above"),
        (
            "{compare: {above: 80%, budget: {amount: 0, per: day}}}",
            ("compare", "budget", "amount"),
            "write what may be",
        ),
        (
            "{metric: latency, compare: {above: 80%, budget: {amount: 5s, per: day}}}",
            ("compare", "budget"),
            "for a sum",
        ),
        ("{metric: users, compare: {above: 2x, window: 30d}}", ("compare", "window"), "compared with a number only"),
        ("{min_samples: 0}", ("min_samples",), "greater than or equal to 1"),
        ("{window: 45s}", ("window",), "write 1m or more"),
        ("{windw: 5m}", ("windw",), "Extra inputs"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(change: str, place: tuple[str, ...], say: str) -> None:
    """Each mistake is one problem at the key where it stands, with what to write."""
    ((where, text),) = problems(GOOD | yaml.safe_load(change))
    assert where == place
    assert say in text


def test_names_are_different() -> None:
    """Two rules of one name are refused at the second."""
    with pytest.raises(ValidationError) as caught:
        RulesConfig.model_validate({"custom": [GOOD, GOOD]})
    assert caught.value.errors()[0]["loc"] == ("custom", 1, "name")


@pytest.mark.parametrize("metric", [*METRICS, *MEMBERS])
def test_each_metric_makes_a_rule(metric: str) -> None:
    """Every metric can be written alone and has an aggregate that suits it."""
    limit = "2s" if metric in ("latency", "time_to_first_token") else 2
    rules = rules_of(f"{{metric: {metric}, compare: {{above: {limit}}}}}")
    assert rules.rules["MINE"].description.endswith(".")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "{metric: errors, aggregate: share, window: 15m, compare: {above: 5%}}",
            "Share of failed calls over 15m is above 5%",
        ),
        (
            "{metric: cost_usd, window: 1h, compare: {above: 3x, baseline: {previous: 6}}}",
            "Dollars over 1h is above 3x the median of the 6 windows before",
        ),
        (
            "{metric: latency, window: 1h, compare: {above: 150%, baseline: {weeks: 4, statistic: mean}}}",
            "P95 of latency over 1h is above 1.5x the mean of the 4 weeks before at this time",
        ),
        (
            "{metric: calls, window: 1h, compare: {above: 4x, window: 24h}}",
            "Calls over 1h is above 4x what it is over 24h",
        ),
        (
            "{metric: cost_usd, compare: {above: 80%, budget: {amount: $500, per: month}}}",
            "Dollars is above 0.8x of $500 for the month",
        ),
    ],
)
def test_a_rule_says_what_it_does(text: str, sentence: str) -> None:
    """Where no description is written, one is made of what the rule compares."""
    definition = rules_of(text).defaults.custom[0]
    assert describe(definition) == sentence


def test_overrides_change_thresholds_and_nothing_else() -> None:
    """A project has its own threshold; what is measured is the rule, and saying it differently is refused."""
    rule = "{metric: errors, aggregate: share, compare: {above: 5%, min_value: 1%}}"
    rules = rules_of(rule, projects={"p": {"MINE": {"compare": {"below": "2%"}, "min_samples": 9}}})
    mine = rules.in_force("default", "p").of("MINE").model_dump(mode="json")
    assert (mine["compare"], mine["min_samples"]) == ({"below": "2%", "min_value": "1%"}, 9)
    for options, place in (
        ({"metric": "calls"}, ("MINE", "metric")),
        ({"compare": {"baseline": {"days": 3}}}, ("MINE", "compare", "baseline")),
        ({"windw": "5m"}, ("MINE", "windw")),
        ({"compare": {"above": "x"}}, ("MINE", "compare", "above")),
    ):
        with pytest.raises(ValidationError) as caught:
            rules_of(rule, tenants={"acme": {"MINE": options}})
        assert caught.value.errors()[0]["loc"] == place
