"""The rules that come with TokenSense, by name. A new one is a file in `builtin/` and a line here."""

from typing import Any, Final

import msgspec

from tokensense_otel.dataflow.rules.builtin.batch.batch_eligible import BatchEligible
from tokensense_otel.dataflow.rules.builtin.budget.budget import BudgetRule
from tokensense_otel.dataflow.rules.builtin.caching.cache_waste import CacheWaste
from tokensense_otel.dataflow.rules.builtin.caching.prefix_cache_miss import PrefixCacheMiss
from tokensense_otel.dataflow.rules.builtin.coverage.telemetry_silent import TelemetrySilent
from tokensense_otel.dataflow.rules.builtin.coverage.unattributed import Unattributed
from tokensense_otel.dataflow.rules.builtin.latency.latency_regression import LatencyRegression
from tokensense_otel.dataflow.rules.builtin.memory.ram_over_provision import RamOverProvision
from tokensense_otel.dataflow.rules.builtin.prices.price_change import PriceChange
from tokensense_otel.dataflow.rules.builtin.prices.unpriced import Unpriced
from tokensense_otel.dataflow.rules.builtin.sessions.runaway_session import RunawaySession
from tokensense_otel.dataflow.rules.builtin.sizing.long_prompts import LongPrompts
from tokensense_otel.dataflow.rules.builtin.sizing.model_downgrade import ModelDowngrade
from tokensense_otel.dataflow.rules.builtin.sizing.model_misuse import ModelMisuse
from tokensense_otel.dataflow.rules.builtin.surges.cost_spike import CostSpike
from tokensense_otel.dataflow.rules.builtin.surges.spike import Spike
from tokensense_otel.dataflow.rules.builtin.waste.error_spend import ErrorSpend
from tokensense_otel.dataflow.rules.builtin.waste.reasoning_overspend import ReasoningOverspend
from tokensense_otel.dataflow.rules.builtin.waste.retry_waste import RetryWaste
from tokensense_otel.dataflow.rules.builtin.waste.truncation import Truncation
from tokensense_otel.dataflow.rules.rule import Rule, RuleConfig

BUILT_IN: Final[tuple[Rule[Any, Any], ...]] = (
    ModelMisuse(),
    ModelDowngrade(),
    LongPrompts(),
    CacheWaste(),
    PrefixCacheMiss(),
    Spike(),
    CostSpike(),
    BudgetRule(),
    LatencyRegression(),
    Unpriced(),
    ErrorSpend(),
    RetryWaste(),
    Truncation(),
    ReasoningOverspend(),
    BatchEligible(),
    Unattributed(),
    PriceChange(),
    RunawaySession(),
    TelemetrySilent(),
    RamOverProvision(),
)
"""In the order in which they are shown and judged. Their sections of `RulesConfig` are made from this list."""

RULES: Final[dict[str, Rule[Any, Any]]] = {rule.name: rule for rule in BUILT_IN}


class RuleInfo(msgspec.Struct, frozen=True):
    """One rule as `tokensense rules list` and `rules show` describe it."""

    name: str
    description: str
    scope: tuple[str, ...]
    thresholds: tuple[str, ...]
    config_type: type[RuleConfig]
    defaults: dict[str, Any]

    def option_docs(self) -> dict[str, str]:
        """What each option means, by name."""
        return {name: field.description or "" for name, field in self.config_type.model_fields.items()}


def info_of(rule: Rule[Any, Any], defaults: RuleConfig) -> RuleInfo:
    return RuleInfo(
        name=rule.name,
        description=rule.description,
        scope=rule.scope,
        thresholds=rule.thresholds,
        config_type=rule.config_type,
        defaults=defaults.model_dump(mode="json"),
    )


def rule_infos() -> list[RuleInfo]:
    """Every built-in rule, in the order in which they are shown."""
    return [info_of(rule, rule.config_type()) for rule in BUILT_IN]
