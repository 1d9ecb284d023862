"""A small rule, and a rule set that knows nothing else."""

from typing import Any, ClassVar

from pydantic import Field

from tokensense_otel.core.call import Call
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RulesConfig, RuleSet
from tokensense_otel.dataflow.rules.call_rule import Fact, WindowRule, team_of
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import Rule, WindowConfig, Words


class ToyConfig(WindowConfig):
    """Thresholds of a toy."""

    min_calls: int = Field(default=3, ge=1)
    """Calls before it may fire."""
    min_tokens: int = Field(default=1_000, ge=1)
    """It fires from so many input tokens on, in all."""


class Toy(WindowRule[ToyConfig]):
    """Enough calls of a team with enough input tokens in all."""

    name = "TOY"
    description = "For tests."
    scope: ClassVar[tuple[str, ...]] = ("team",)
    fields: tuple[str, ...] = ("calls", "tokens")
    thresholds = ("min_calls", "min_tokens", "window")
    above = ("min_tokens",)
    config_type = ToyConfig

    def observe(self, call: Call, _config: ToyConfig, _catalogue: Catalogue, /) -> Fact | None:
        return Fact((team_of(call),), (1, call.tokens.input or 0)) if call.tokens.input is not None else None

    def judge(self, series: CallSeries, config: ToyConfig, /) -> int | None:
        calls, tokens = series.counts
        return tokens if calls >= config.min_calls and tokens >= config.min_tokens else None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        return dict(zip(self.fields, series.counts, strict=True))

    def words(self, _scope: dict[str, str], _series: CallSeries, _config: ToyConfig, _catalogue: Catalogue, /) -> Words:
        return Words("a", "b", "c")


class Prompts(Toy):
    """The same for each prompt, of which there is any number. One of 13 tokens forbids that its prompt fires."""

    name = "PROMPTS"
    scope = ("team", "prompt")
    fields = ("calls", "tokens", "forbidden")
    unbounded = True

    def observe(self, call: Call, _config: ToyConfig, _catalogue: Catalogue, /) -> Fact | None:
        tokens = call.tokens.input or 0
        return Fact((team_of(call), call.prompt_hash), (1, tokens, int(tokens == 13)))

    def judge(self, series: CallSeries, config: ToyConfig, /) -> int | None:
        calls, tokens, forbidden = series.counts
        return tokens if calls >= config.min_calls and tokens >= config.min_tokens and not forbidden else None

    def forbids(self, fact: Fact, /) -> bool:
        return fact.counts[2] != 0

    def unfit(self, series: CallSeries, /) -> bool:
        return series.counts[2] != 0

    def mark_unfit(self, series: CallSeries, time_ns: int, /) -> None:
        series.window.add(time_ns, (0, 0, 1, 0, 0, 0, 0))


def rule_set(rule: Rule[Any, Any], **options: Any) -> RuleSet:
    """A rule set in which there is one rule, with these options."""
    config = rule.config_type.model_validate(options)

    class One(RulesConfig):
        @property
        def rules(self) -> dict[str, Any]:
            return {rule.name: rule}

        def of(self, _rule: Any, /) -> Any:
            return config

    return RuleSet(One())
