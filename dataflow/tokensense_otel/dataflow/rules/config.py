"""Configuration of the rules: defaults for every project, and what single tenants and projects override."""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, overload

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, create_model, model_validator

from tokensense_otel.core.config import Config, refused
from tokensense_otel.dataflow.rules.language.definition import RuleDefinition
from tokensense_otel.dataflow.rules.language.yaml_rule import rule_of
from tokensense_otel.dataflow.rules.overrides import override
from tokensense_otel.dataflow.rules.plugins import explained, load_plugins
from tokensense_otel.dataflow.rules.registry import BUILT_IN, RuleInfo, info_of
from tokensense_otel.dataflow.rules.rule import Level, Rule, RuleConfig

Overrides = Mapping[str, Mapping[str, Any]]
"""Rule name → option → value; only what differs."""

ConfigT = TypeVar("ConfigT", bound=RuleConfig)
_SectionsT = TypeVar("_SectionsT", bound="_Sections")


class _Sections(Config):
    file: str = ""
    """A YAML file with more of what stands beneath `rules`, so that rules may be kept apart; what is written here
    counts more. A relative path starts at the folder of the configuration file."""
    custom: tuple[RuleDefinition, ...] = ()
    """Rules of your own, written here. See docs/rules/language.md."""
    plugins: tuple[str, ...] = ()
    """Rules of your own in Python: a name that an installed package gives, or `./file.py:Class`. Each has a section
    under its name like all others. See docs/rules/plugins.md."""

    from_plugins: ClassVar[tuple[Rule[Any, Any], ...]] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _with_plugins(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """A configuration that names plugins has their sections too."""
        names = data.get("plugins") if isinstance(data, Mapping) else None
        if not isinstance(names, list | tuple) or not names or cls.from_plugins:
            return handler(data)
        rules = load_plugins(names)
        try:
            return extended(cls, rules).model_validate(data)
        except ValidationError as error:
            raise explained(error, rules) from None

    @model_validator(mode="after")
    def _different(self) -> Self:
        names = [rule.name for rule in (*BUILT_IN, *self.from_plugins)]
        for index, definition in enumerate(self.custom):
            if definition.name in names:
                text = f"there is a rule {definition.name} already; choose another name"
                raise refused(("custom", index, "name"), text)
            names.append(definition.name)
        return self

    @overload
    def of(self, rule: Rule[ConfigT, Any], /) -> ConfigT: ...
    @overload
    def of(self, rule: str, /) -> RuleConfig: ...
    def of(self, rule: Rule[Any, Any] | str, /) -> RuleConfig:
        """The section of a rule, by its name or, with the type that it has, by the rule itself."""
        name = rule if isinstance(rule, str) else rule.name
        for definition in self.custom:
            if definition.name == name:
                return definition
        config: RuleConfig = getattr(self, name)
        return config

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all rules, in the order in which they are judged and shown."""
        rules = (*BUILT_IN, *self.from_plugins)
        return (*(rule.name for rule in rules), *(definition.name for definition in self.custom))

    @property
    def rules(self) -> dict[str, Rule[Any, Any]]:
        """Every rule there is, by its name: those that come with TokenSense, plugins, and those written in YAML."""
        rules = (*BUILT_IN, *self.from_plugins, *(rule_of(definition) for definition in self.custom))
        return {rule.name: rule for rule in rules}

    @property
    def infos(self) -> list[RuleInfo]:
        """Every rule as it is shown. A rule written in YAML is its own default."""
        return [
            info_of(rule, self.of(rule) if isinstance(self.of(rule), RuleDefinition) else rule.config_type())
            for rule in self.rules.values()
        ]

    def overridden(self, overrides: Overrides) -> "RulesConfig":
        """These rules with some options replaced.

        Raises:
            pydantic.ValidationError: for an unknown rule or option, or a value out of range; its location is
                (rule, option).
        """
        changed = override({name: self.of(name) for name in self.names}, overrides)
        custom = tuple(changed.pop(definition.name, definition) for definition in self.custom)
        return self.model_copy(update=changed | {"custom": custom})  # type: ignore[return-value]


def _sections(rules: Iterable[Rule[Any, Any]]) -> dict[str, Any]:
    return {
        rule.name: (rule.config_type, Field(default=rule.config_type(), description=rule.description)) for rule in rules
    }


def extended(base: type[_SectionsT], rules: tuple[Rule[Any, Any], ...]) -> type[_SectionsT]:
    """A configuration with sections for more rules."""
    made: Any = create_model(base.__name__, __base__=base, __module__=__name__, **_sections(rules))
    made.from_plugins = rules
    return made  # type: ignore[no-any-return]


if TYPE_CHECKING:

    class RulesConfig(_Sections):
        """One section for each rule, by its name. It is made from the registry, so type checkers see it as `Any`."""

        def __getattr__(self, rule: str) -> Any: ...
else:
    RulesConfig = create_model(
        "RulesConfig",
        __base__=_Sections,
        __module__=__name__,
        **_sections(BUILT_IN),
    )


def _layer(rules: RulesConfig, overrides: Overrides) -> RulesConfig:
    return rules.overridden(overrides) if overrides else rules


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
                overrides = (self._tenants.get(tenant, {}), self._projects.get(project, {}))
                self._in_force[tenant, project] = reduce(_layer, overrides, self.defaults)
        self._levels = {
            rule.level
            for rule in self.rules.values()
            if any(config.of(rule).enabled for config in self._in_force.values())
        }

    def after(self, before: "RuleSet") -> "RuleSet":
        """These rules, and the YAML rules that are gone since, switched off: what they said can be closed."""
        names = {definition.name for definition in self.defaults.custom}
        gone = [each for each in before.defaults.custom if each.name not in names and each.name not in self.rules]
        if not gone:
            return self
        off = tuple(each.model_copy(update={"enabled": False}) for each in gone)
        defaults = self.defaults.model_copy(update={"custom": (*self.defaults.custom, *off)})
        return RuleSet(defaults, self._projects, self._tenants)

    def in_force(self, tenant: str, project: str) -> RulesConfig:
        """What applies to a project of a tenant; where nothing is overridden, the defaults."""
        return self._in_force[tenant if tenant in self._tenants else "", project if project in self._projects else ""]

    def has(self, level: Level) -> bool:
        """Whether any rule of a level is on for anybody."""
        return level in self._levels
