"""A shard in which one rule written in YAML is on."""

from typing import Any

import yaml

from tests.unit.dataflow.rules.traffic import Shard
from tokensense_otel.dataflow.rules import RulesConfig, RuleSet
from tokensense_otel.dataflow.rules.registry import RULES


def rules_of(text: str, **more: Any) -> RuleSet:
    """Only the rule that the YAML mapping is; it is called MINE where it does not say."""
    definition = {"name": "MINE", **yaml.safe_load(text)}
    off: dict[str, Any] = {name: {"enabled": False} for name in RULES}
    return RuleSet(RulesConfig.model_validate(off | {"custom": [definition]}), **more)


def shard_of(text: str) -> Shard:
    return Shard(rules_of(text))
