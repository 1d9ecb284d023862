"""Configuration of the rules: defaults for every project, and what single tenants and projects override."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from pydantic import Field, create_model

from tokensense_otel.core.config import Config
from tokensense_otel.dataflow.rules.registry import BUILT_IN, RULES
from tokensense_otel.dataflow.rules.rule import Level, Rule, RuleConfig

Overrides = Mapping[str, Mapping[str, Any]]
"""Rule name → option → value; only what differs."""

ConfigT = TypeVar("ConfigT", bound=RuleConfig)


class _Sections(Config):
    @overload
    def of(self, rule: Rule[ConfigT, Any], /) -> ConfigT: ...
    @overload
    def of(self, rule: str, /) -> RuleConfig: ...
    def of(self, rule: Rule[Any, Any] | str, /) -> RuleConfig:
        """The section of a rule, by its name or, with the type that it has, by the rule itself."""
        config: RuleConfig = getattr(self, rule if isinstance(rule, str) else rule.name)
        return config

    @property
    def rules(self) -> dict[str, Rule[Any, Any]]:
        """Every rule that has a section, by its name."""
        return dict(RULES)

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


if TYPE_CHECKING:

    class RulesConfig(_Sections):
        """One section for each rule, by its name. It is made from the registry, so type checkers see it as `Any`."""

        def __getattr__(self, rule: str) -> Any: ...
else:
    RulesConfig = create_model(
        "RulesConfig",
        __base__=_Sections,
        __module__=__name__,
        **{
            rule.name: (rule.config_type, Field(default=rule.config_type(), description=rule.description))
            for rule in BUILT_IN
        },
    )


class RuleSet:
    """The rules there are, and what is in force for whom: the project's word counts more than the tenant's, and that
    more than the install's, option by option.

    Raises:
        pydantic.ValidationError: as `RulesConfig.overridden`.
    """

    def __init__(
        self,
        defaults: RulesConfig | None = None,
        projects: Mapping[str, Overrides] | None = None,
        tenants: Mapping[str, Overrides] | None = None,
    ) -> None:
        self.defaults = defaults or RulesConfig()
        self.rules: dict[str, Rule[Any, Any]] = self.defaults.rules
        """Every rule by its name, in the order in which they are judged."""
        self._projects = projects or {}
        self._tenants = tenants or {}
        self._in_force: dict[tuple[str, str], RulesConfig] = {}
        for tenant in ("", *self._tenants):
            for project in ("", *self._projects):
                layered = self.defaults.overridden(self._tenants.get(tenant, {}))
                self._in_force[tenant, project] = layered.overridden(self._projects.get(project, {}))
        self._levels = {
            rule.level
            for rule in self.rules.values()
            if any(config.of(rule).enabled for config in self._in_force.values())
        }

    def in_force(self, tenant: str, project: str) -> RulesConfig:
        """What applies to a project of a tenant; where nothing is overridden, the defaults."""
        return self._in_force[tenant if tenant in self._tenants else "", project if project in self._projects else ""]

    def for_project(self, project: str) -> RulesConfig:
        """What applies to a project of a tenant that overrides nothing."""
        return self.in_force("", project)

    def has(self, level: Level) -> bool:
        """Whether any rule of a level is on for anybody."""
        return level in self._levels
