"""Configuration of the rules: defaults for every project, and what single projects override."""

from collections.abc import Mapping
from typing import Any

from tokensense_otel.core.config import Config
from tokensense_otel.dataflow.rules.builtin.cache_waste import CacheWasteConfig
from tokensense_otel.dataflow.rules.builtin.long_prompts import LongPromptsConfig
from tokensense_otel.dataflow.rules.builtin.model_downgrade import ModelDowngradeConfig
from tokensense_otel.dataflow.rules.builtin.model_misuse import ModelMisuseConfig
from tokensense_otel.dataflow.rules.builtin.ram_over_provision import RamOverProvisionConfig
from tokensense_otel.dataflow.rules.builtin.spike import SpikeConfig
from tokensense_otel.dataflow.rules.builtin.unpriced import UnpricedConfig
from tokensense_otel.dataflow.rules.rule import RuleConfig

Overrides = Mapping[str, Mapping[str, Any]]
"""Rule name → option → value; only what differs."""


class RulesConfig(Config):
    """One section for each rule, by its name."""

    MODEL_MISUSE: ModelMisuseConfig = ModelMisuseConfig()
    """A premium model on very short answers."""
    MODEL_DOWNGRADE: ModelDowngradeConfig = ModelDowngradeConfig()
    """A flagship model where a smaller one would do."""
    LONG_PROMPTS: LongPromptsConfig = LongPromptsConfig()
    """Long prompts on average."""
    CACHE_WASTE: CacheWasteConfig = CacheWasteConfig()
    """One prompt bought many times."""
    SPIKE: SpikeConfig = SpikeConfig()
    """Far more calls than on the days before."""
    UNPRICED: UnpricedConfig = UnpricedConfig()
    """Calls that have no price."""
    RAM_OVER_PROVISION: RamOverProvisionConfig = RamOverProvisionConfig()
    """More memory than is used."""

    def of(self, rule: str) -> RuleConfig:
        """The section of a rule."""
        config: RuleConfig = getattr(self, rule)
        return config

    def overridden(self, overrides: Overrides) -> "RulesConfig":
        """These rules with some options replaced.

        Raises:
            pydantic.ValidationError: for an unknown rule or option, or a value out of range; its location is
                (rule, option).
        """
        merged: dict[str, Any] = self.model_dump()
        for rule, options in overrides.items():
            known = merged.get(rule)
            merged[rule] = {**known, **options} if known is not None and isinstance(options, Mapping) else options
        return RulesConfig.model_validate(merged)


class RuleSet:
    """The rules in force for each project.

    Raises:
        pydantic.ValidationError: as `RulesConfig.overridden`.
    """

    def __init__(self, defaults: RulesConfig | None = None, projects: Mapping[str, Overrides] | None = None) -> None:
        self.defaults = defaults or RulesConfig()
        self._projects = {name: self.defaults.overridden(each) for name, each in (projects or {}).items()}

    def for_project(self, project: str) -> RulesConfig:
        """What applies to a project; one that overrides nothing has the defaults."""
        return self._projects.get(project, self.defaults)
