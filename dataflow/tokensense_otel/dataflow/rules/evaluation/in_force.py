"""The rules as they apply to one project of one tenant: looked up once, then for every call."""

from typing import Any

import msgspec

from tokensense_otel.dataflow.rules.call_rule import CallRule
from tokensense_otel.dataflow.rules.config import RulesConfig
from tokensense_otel.dataflow.rules.evaluation.table import Table
from tokensense_otel.dataflow.rules.rule import Rule


class InForce(msgspec.Struct, frozen=True):
    """One rule. `soft` are its thresholds while a finding is open."""

    table: Table
    rule: Rule[Any, Any]
    config: Any
    soft: Any


class Rules(msgspec.Struct, frozen=True):
    """All of them. `named` has those too that are off, so that what they said before can be closed."""

    named: dict[str, InForce]
    calls: dict[str, InForce]
    samples: dict[type[Any], list[InForce]]


def in_force(config: RulesConfig, tables: dict[str, Table]) -> Rules:
    """The rules that have a table, as `config` sets them."""
    rules = Rules({}, {}, {})
    for name, table in tables.items():
        rule, options = table.rule, config.of(name)
        each = rules.named[name] = InForce(table, rule, options, rule.softened(options))
        if not options.enabled:
            continue
        if isinstance(rule, CallRule):
            rules.calls[name] = each
        if rule.sample_type is not None:
            rules.samples.setdefault(rule.sample_type, []).append(each)
    return rules
