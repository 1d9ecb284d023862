"""The rules: what a finding is, its life, and the shard that judges every call as it comes. Knows no Bytewax."""

from tokensense_otel.dataflow.rules.config import RulesConfig, RuleSet
from tokensense_otel.dataflow.rules.evaluation.routing import entity_shard, rule_shard, tenant_shard
from tokensense_otel.dataflow.rules.evaluation.shard import RuleShard
from tokensense_otel.dataflow.rules.evaluation.waiting import WaitingRoom
from tokensense_otel.dataflow.rules.registry import RuleInfo, rule_infos
from tokensense_otel.dataflow.rules.rule import Level

__all__ = [
    "Level",
    "RuleInfo",
    "RuleSet",
    "RuleShard",
    "RulesConfig",
    "WaitingRoom",
    "entity_shard",
    "rule_infos",
    "rule_shard",
    "tenant_shard",
]
