"""Every built-in rule, rules in YAML and one in Python keep the contract that authors of rules test theirs against."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from pydantic.fields import FieldInfo

from tests.unit.service.test_rules_loading import PLUGIN
from tokensense_otel.core.call import Call
from tokensense_otel.core.insight import Status
from tokensense_otel.dataflow.rules.registry import RULES
from tokensense_otel.dataflow.rules.testing import RuleContract, Subject, busy, calls
from tokensense_otel.dataflow.rules.testing.contract import judge, subject_of
from tokensense_otel.dataflow.rules.testing.traffic import MINUTE

FIRE_ON_BUSY = {"MODEL_MISUSE", "LONG_PROMPTS", "CACHE_WASTE", "SPIKE", "UNPRICED"}


def eager(name: str) -> dict[str, Any]:
    """Options with every `min_*` as low as it may be, so that as much as possible fires."""
    fields = RULES[name].config_type.model_fields
    return {option: _least(info) for option, info in fields.items() if option.startswith("min_") and _least(info)}


def _least(info: FieldInfo) -> int | None:
    return next((each.ge for each in info.metadata if isinstance(getattr(each, "ge", None), int)), None)


class TestBuiltIn(RuleContract):
    @pytest.fixture(params=RULES)
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        return subject_of(RULES[request.param], eager(request.param))

    def test_it_fires(self, subject: Subject) -> None:
        """Traffic that has something for most rules makes those fire that need nothing more."""
        fired = {insight.rule for insight in judge(subject.shard(), busy()) if insight.status is Status.FIRING}
        assert fired == {subject.name} or subject.name not in FIRE_ON_BUSY


class TestYamlShare(RuleContract):
    rule: ClassVar = {
        "name": "FAILURES",
        "metric": "errors",
        "aggregate": "share",
        "window": "1h",
        "compare": {"above": "5%"},
    }

    def firing(self) -> Sequence[Call]:
        return calls(9, error_type="500", user="a")


class TestYamlBaseline(RuleContract):
    rule: ClassVar = {
        "name": "BUSIER",
        "metric": "calls",
        "window": "1h",
        "compare": {"above": "2x", "baseline": {"previous": 3}},
    }

    def firing(self) -> Sequence[Call]:
        usual = calls(40, step=6 * MINUTE)  # ten an hour for four hours
        return usual + calls(60, start=usual[-1].end_ns + MINUTE, first=500)


class TestYamlBudget(RuleContract):
    rule: ClassVar = {
        "name": "BUDGETED",
        "metric": "cost_usd",
        "compare": {"above": "50%", "budget": {"amount": 1, "per": "week"}},
    }

    def firing(self) -> Sequence[Call]:
        return calls(200)


class TestYamlQuantile(RuleContract):
    rule: ClassVar = {
        "name": "SLOW",
        "metric": "latency",
        "window": "30m",
        "group_by": ["model"],
        "compare": {"above": "500ms"},
    }

    def firing(self) -> Sequence[Call]:
        return calls(5)


class TestYamlUnboundedKeys(RuleContract):
    rule: ClassVar = {
        "name": "HEAVY_USERS",
        "metric": "calls",
        "group_by": ["team", "user"],
        "compare": {"above": 3},
        "min_samples": 2,
    }

    def firing(self) -> Sequence[Call]:
        return calls(5, user="a")


def plugin() -> Any:
    names: dict[str, Any] = {"__name__": "night"}
    exec(compile(PLUGIN, "night.py", "exec"), names)
    return names["Night"]


class TestPlugin(RuleContract):
    rule = plugin()

    def firing(self) -> Sequence[Call]:
        return calls(5)
