"""UNPRICED: calls that used tokens and have no price, so that every sum of money is less than was spent."""

import json
from typing import Any, Final

from pydantic import Field

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.dataflow.pricing import BAD_USAGE, Catalogue
from tokensense_otel.dataflow.rules.call_rule import Fact, WindowRule, team_of
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words

_NO_MODEL: Final = "unknown"


class UnpricedConfig(WindowConfig):
    """Thresholds of UNPRICED."""

    min_calls: int = Field(default=5, ge=1)
    """Calls without a price in the window before the rule may fire."""


class Unpriced(WindowRule[UnpricedConfig]):
    """Priced calls of a model that is found count as nothing, but show that it has a price by now."""

    name = "UNPRICED"
    description = "A team's calls to a model used tokens and have no price, so that no sum of money has them."
    scope = ("team", "provider", "model")
    fields = ("calls", "tokens")
    takes_sums = True
    thresholds = ("min_calls", "window")
    floors = ("min_calls",)
    config_type = UnpricedConfig

    def observe(self, call: Call, _config: UnpricedConfig, _catalogue: Catalogue, /) -> Fact | None:
        cost = call.cost
        key = (team_of(call), call.provider, call.model or _NO_MODEL)
        if cost.kind is not CostKind.UNKNOWN:
            return Fact(key, (0, 0), matters=False, opens=False)
        tokens = (call.tokens.input or 0) + (call.tokens.output or 0)
        if not tokens or cost.reason == BAD_USAGE:
            return None
        return Fact(key, (call.count, tokens))

    def judge(self, series: CallSeries, config: UnpricedConfig, /) -> int | None:
        calls, _ = series.counts
        last = series.window.last()
        if calls < config.min_calls or last is None or not series.window.at(last)[0]:
            return None
        return calls

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        calls, tokens = series.counts
        return {"unpriced_calls": calls, "unpriced_tokens": tokens}

    def money(self, _series: CallSeries, _config: UnpricedConfig, catalogue: Catalogue, /) -> dict[str, Any]:
        return {"spend_30d_usd": None, "catalogue": catalogue.version}

    def savings(self, _series: CallSeries, /) -> int | None:
        return None

    def evidence(self, scope: dict[str, str], catalogue: Catalogue, /) -> dict[str, Any]:
        model, provider = scope["model"], scope.get("provider", "")
        if model == _NO_MODEL:
            return {}
        return {
            "nearest_models": catalogue.nearest(provider, model),
            "configuration": _lines(provider, model, catalogue),
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, config: UnpricedConfig, catalogue: Catalogue, /
    ) -> Words:
        model, provider = scope["model"], scope.get("provider", "")
        calls, tokens = series.counts
        named = model if not provider else f"{model} of {provider}"
        return Words(
            title=f"No price is known for {named}",
            summary=f"{calls:,} calls of {scope['team']} in {config.window} used {tokens:,} tokens that no sum "
            "of money has: what is shown as spent is less than was spent.",
            suggested_fix=_fix(provider, model, catalogue),
        )


def _fix(provider: str, model: str, catalogue: Catalogue) -> str:
    if model == _NO_MODEL:
        return "Let the instrumentation name the model (`gen_ai.request.model`); nothing can be priced without it."
    nearest = catalogue.nearest(provider, model)
    told = f" The nearest names with a price: {', '.join(nearest)}." if nearest else ""
    lines = _lines(provider, model, catalogue)
    return f"Say in the configuration what it is, or what it costs (USD for a million tokens): {lines}.{told}"


def _lines(provider: str, model: str, catalogue: Catalogue) -> str:
    """What to write, as YAML in one line: names come from outside, so they are quoted.

    An alias where the same provider has a price for the nearest name, else a price of one's own to fill in.
    """
    name = json.dumps(model)
    meant = next((near for near in catalogue.nearest(provider, model) if catalogue.lists(provider, near)), "")
    if meant:
        return f"prices: {{aliases: [{{name: {name}, model: {json.dumps(meant)}}}]}}"
    of = f"provider: {json.dumps(provider)}, " if provider else ""
    return f"prices: {{models: [{{model: {name}, {of}input: …, output: …}}]}}"
