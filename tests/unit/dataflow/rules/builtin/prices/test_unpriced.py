"""UNPRICED: thresholds from both sides, what is no gap in the books, and the end of a finding."""

from typing import Any

import msgspec
import pytest
import yaml

from tests.unit.dataflow.rules.traffic import HOUR, MINUTE, NOON, SECOND, Shard, a_call, calls, only
from tokensense_otel.core.call import Call, CostKind, Source, Tokens
from tokensense_otel.core.insight import Status
from tokensense_otel.dataflow.pricing import Catalogue, PricesConfig
from tokensense_otel.service.config import Settings

MODEL = "gpt-4o-mimi"


def unpriced(count: int, **changes: Any) -> list[Call]:
    """Calls of 1,050 tokens to a model that no list has."""
    plain: dict[str, Any] = {"request_model": MODEL}
    return calls(count, **plain | changes)


def test_it_fires_with_the_fifth_call() -> None:
    """Four calls without a price are no finding, the fifth is one, with counts, samples and no sum of money."""
    shard = Shard(only("UNPRICED"))
    assert shard.post(unpriced(4)) == []

    (insight,) = shard.post(unpriced(1, first=5, start=NOON + MINUTE))

    assert (insight.rule, insight.status, insight.severity.value) == ("UNPRICED", Status.FIRING, "medium")
    assert insight.scope == {"team": "checkout", "provider": "openai", "model": MODEL}
    assert insight.evidence["observed"] == {"unpriced_calls": 5, "unpriced_tokens": 5 * 1_050}
    assert len(insight.evidence["sample_trace_ids"]) == 5
    assert insight.evidence["spend_30d_usd"] is None
    assert insight.estimated_monthly_savings_usd is None


@pytest.mark.parametrize(
    ("provider", "model", "like"),
    [
        ("openai", MODEL, "gpt-4o-mini"),
        ("azure.ai.openai", "prod-gpt-4o", "gpt-4o"),
        ("aws.bedrock", "claude-sonnet-4-5-20250930", "claude-sonnet-4-5-20250929"),
        ("", MODEL, "gpt-4o-mini"),
    ],
)
def test_what_it_says_to_write_gives_the_calls_a_price(provider: str, model: str, like: str) -> None:
    """The nearest models are named, and the line of configuration, copied as it stands, prices the next call."""
    (insight,) = Shard(only("UNPRICED")).post(unpriced(5, provider=provider, request_model=model))
    lines = insight.evidence["configuration"]
    assert any(like in name for name in insight.evidence["nearest_models"])
    assert lines in insight.suggested_fix

    prices = Settings.model_validate(yaml.safe_load(lines)).prices

    (call,) = unpriced(1, provider=provider, request_model=model)
    assert Catalogue.load(prices).cost(call).low > 0


def test_a_provider_without_any_price_gets_a_price_of_its_own() -> None:
    """What other providers ask for a model of nearly that name is named, but is no price of this one."""
    (insight,) = Shard(only("UNPRICED")).post(unpriced(5, provider="ollama", request_model="llama-3.3-70b"))
    assert insight.evidence["nearest_models"]
    lines = insight.evidence["configuration"].replace("…", "0")

    prices = Settings.model_validate(yaml.safe_load(lines)).prices

    (call,) = unpriced(1, provider="ollama", request_model="llama-3.3-70b")
    cost = Catalogue.load(prices).cost(call)
    assert (cost.kind, cost.low) == (CostKind.KNOWN, 0)


def test_without_a_near_name_it_asks_for_prices() -> None:
    """A name like no other gets lines for a price of one's own; odd characters of the name are quoted."""
    name = 'zzzz: "#1'
    (insight,) = Shard(only("UNPRICED")).post(unpriced(5, request_model=name))
    assert insight.evidence["nearest_models"] == []
    lines = insight.evidence["configuration"].replace("…", "1.5")

    assert PricesConfig.model_validate(yaml.safe_load(lines)["prices"]).models[0].model == name


def test_calls_without_a_model_cannot_be_priced() -> None:
    """Where no model is named the advice is to name one, and there is nothing to configure."""
    (insight,) = Shard(only("UNPRICED")).post(unpriced(5, request_model=""))
    assert "gen_ai.request.model" in insight.suggested_fix
    assert "configuration" not in insight.evidence


@pytest.mark.parametrize(
    "tokens",
    [Tokens(), Tokens(0, 0), Tokens(200_000_000, 1)],
    ids=["nobody reported usage", "nothing was used", "no call uses 200 million"],
)
def test_what_needs_no_price_is_not_counted(tokens: Tokens) -> None:
    """Unknown, empty and impossible usage are no calls without a price."""
    model = "gpt-4o" if tokens.input else MODEL
    assert Shard(only("UNPRICED")).post(unpriced(9, tokens=tokens, request_model=model)) == []


def test_a_sum_of_calls_counts_as_many() -> None:
    """Five calls of which only metrics tell, in one line, are five."""
    metered = msgspec.structs.replace(unpriced(1)[0], count=5, source=Source.METER)
    (insight,) = Shard(only("UNPRICED")).post([metered])
    assert insight.evidence["observed"]["unpriced_calls"] == 5
    assert insight.evidence["sample_trace_ids"] == []


def test_it_resolves_once_the_model_has_a_price() -> None:
    """Priced calls of the model end the finding after 15 minutes, long before its window is empty."""
    shard = Shard(only("UNPRICED"))
    shard.post(unpriced(5))
    later = unpriced(2, first=50, start=NOON + HOUR, step=15 * MINUTE)
    priced = [msgspec.structs.replace(call, cost=a_call(1).cost) for call in later]

    told = shard.post(priced)

    assert [insight.status for insight in told] == [Status.RESOLVED]


def test_a_lull_does_not_resolve_it() -> None:
    """An hour without any call of the model says nothing about its price."""
    shard = Shard(only("UNPRICED"))
    shard.post(unpriced(5))
    told = [insight for quarter in range(4) for insight in shard.advance(NOON + quarter * 15 * MINUTE + 10 * SECOND)]
    assert told == []


def test_it_resolves_when_the_calls_are_a_day_old() -> None:
    """Without any more calls the finding ends when its window is empty."""
    shard = Shard(only("UNPRICED"))
    shard.post(unpriced(5))
    told = [insight for hour in range(1, 27) for insight in shard.advance(NOON + hour * HOUR)]
    assert [insight.status for insight in told] == [Status.RESOLVED]


def test_priced_calls_take_no_room() -> None:
    """A model that always had a price is not followed."""
    shard = Shard(only("UNPRICED"))
    shard.post(calls(20))
    assert len(shard.shard._tables["UNPRICED"]) == 0


def test_a_reversal_takes_the_call_back() -> None:
    """A call that turns out to be none is not counted, so the fifth of those that stay fires."""
    shard = Shard(only("UNPRICED"))
    shard.post(unpriced(4))
    shard.reverse(unpriced(1))
    assert shard.post(unpriced(1, first=10)) == []
    assert len(shard.post(unpriced(1, first=11))) == 1
