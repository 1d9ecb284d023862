"""What a tenant or a project says differently, laid over the sections of the rules."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from tokensense_otel.core.config import refused
from tokensense_otel.core.names import nearest
from tokensense_otel.dataflow.rules.language.definition import OVERRIDABLE, RuleDefinition
from tokensense_otel.dataflow.rules.rule import RuleConfig

_SAME_FOR_ALL: Final = ("file", "custom", "plugins")
_SIDES: Final = {"above", "below"}
_KINDS: Final = ("baseline", "window", "budget")


def override(sections: Mapping[str, RuleConfig], overrides: Mapping[str, Any]) -> dict[str, RuleConfig]:
    """The sections that change. What a rule written in YAML measures is not an option of it.

    Raises:
        pydantic.ValidationError: for an unknown rule or option, or a value out of range; its location is
            (rule, option).
    """
    changed: dict[str, RuleConfig] = {}
    wrong: list[InitErrorDetails] = []
    for rule, options in overrides.items():
        if rule in _SAME_FOR_ALL:
            raise refused((rule,), "rules are the same for all; write it beneath rules, and what is different here")
        section = sections.get(rule)
        if section is None:
            wrong.append({"type": "extra_forbidden", "loc": (rule,), "input": options})
            continue
        if not isinstance(options, Mapping):
            named = {"class_name": type(section).__name__}
            wrong.append({"type": "model_type", "loc": (rule,), "input": options, "ctx": named})
            continue
        try:
            changed[rule] = type(section).model_validate(_merged(section, options))
        except ValidationError as error:
            wrong += [
                InitErrorDetails(
                    type=found["type"], loc=(rule, *found["loc"]), input=found["input"], ctx=found.get("ctx", {})
                )
                for found in error.errors(include_url=False)
            ]
    if wrong:
        raise ValidationError.from_exception_data("rules", wrong)
    return changed


def _merged(section: RuleConfig, options: Mapping[str, Any]) -> dict[str, Any]:
    known = section.model_dump()
    if not isinstance(section, RuleDefinition):
        return {**known, **options}
    for name in options:
        if name not in OVERRIDABLE:
            text = "this is what the rule is" if name in RuleDefinition.model_fields else "there is no such key here"
            raise refused((str(name),), f"{text}; {nearest(str(name), OVERRIDABLE)}")
    compare = options.get("compare")
    if not isinstance(compare, Mapping):
        return {**known, **options}
    for kind in _KINDS:
        if kind in compare and kind != section.compare.kind:
            raise refused(("compare", kind), "this is what the rule is; write another rule for it")
    kept = {key: value for key, value in known["compare"].items() if not (key in _SIDES and _SIDES & set(compare))}
    return {**known, **options, "compare": {**kept, **compare}}
