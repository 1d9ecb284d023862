"""A user's prices, factors and aliases over the list: which one applies, from both sides of each boundary."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.unit.dataflow.pricing.calls import call, ns
from tokensense_otel.core.call import Call, CostKind, Dimensions, Tokens
from tokensense_otel.core.money import nanos
from tokensense_otel.dataflow.pricing import Catalogue, PricesConfig
from tokensense_otel.dataflow.pricing.itemised import itemise

LIST = Catalogue.load()
USED = Tokens(1_000, 100, 0, 0)
"""On gpt-4o: 1,000 × 2.50 + 100 × 10 USD a million = 0.0035 USD."""
MILLION = Tokens(1_000_000, 0, 0, 0)


def laid(**sections: Any) -> Catalogue:
    return Catalogue.load(PricesConfig.model_validate(sections))


def usd(text: str) -> int:
    return nanos(Decimal(text))


def whose(each: Call, *, tenant: str = "default", project: str = "default", service: str = "") -> Call:
    return msgspec.structs.replace(each, tenant=tenant, project=project, dimensions=Dimensions(service=service))


def test_an_own_price_comes_before_the_list() -> None:
    """1,000 × 2 + 100 × 8 USD a million, and the price's id says that it is the user's."""
    cost = laid(models=[{"model": "gpt-4o", "provider": "openai", "input": 2, "output": 8}]).cost(call("gpt-4o", USED))
    assert (cost.kind, cost.low, cost.price_id) == (CostKind.KNOWN, usd("0.0028"), "user/openai/gpt-4o")


@pytest.mark.parametrize("provider", ["openai", "azure.ai.openai", "azure", "AZURE"])
def test_a_price_is_for_one_provider_by_either_name(provider: str) -> None:
    """Providers may be named as the telemetry does or as the list does; another provider's calls keep their price."""
    prices = laid(models=[{"model": "gpt-4o", "provider": provider, "input": 1, "output": 0}])
    azure = prices.cost(call("gpt-4o", MILLION, provider="azure.ai.openai")).low
    openai = prices.cost(call("gpt-4o", MILLION)).low
    assert (openai, azure) == ((usd("1"), usd("2.5")) if provider == "openai" else (usd("2.5"), usd("1")))


def test_a_model_that_no_list_has_can_be_priced_whole() -> None:
    """Every class has its own price: plain, read, written for 5 min and 1 h, reasoning, audio in and out, and a fee."""
    prices = laid(
        models=[
            {
                "model": "House-LLM",
                "input": 1,
                "output": 2,
                "cache_read": "0.1",
                "cache_write": "1.25",
                "cache_write_1h": 3,
                "reasoning": 4,
                "audio_output": 8,
                "request": "0.01",
            }
        ]
    )
    each = call("house-llm", Tokens(1_000, 100, 400, 300, 100, 30, None, 20), provider="vllm")

    cost = prices.cost(each)

    # 300 × 1 + 400 × 0.1 + 200 × 1.25 + 100 × 3 = 890; 50 × 2 + 30 × 4 + 20 × 8 = 380; 1,270 USD a million + 0.01
    assert (cost.kind, cost.low) == (CostKind.KNOWN, usd("0.01127"))
    assert sum(line.low for line in itemise(prices, each)) == Decimal("0.01127")


def test_what_an_own_price_leaves_out_costs_what_it_is_part_of() -> None:
    """Cached tokens are input, hours of cache are writes, reasoning is output: nothing is left open."""
    cost = laid(models=[{"model": "m", "input": 1, "output": 2}]).cost(
        call("m", Tokens(1_000, 100, 400, 300, None, 50))
    )
    assert (cost.kind, cost.low) == (CostKind.KNOWN, usd("0.0012"))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-31T23:59:59", "2.5"),
        ("2026-02-01T00:00:00", "2"),
        ("2026-02-28T23:59:59", "2"),
        ("2026-03-01T00:00:00", "1.5"),
        ("2026-03-31T23:59:59", "1.5"),
        ("2026-04-01T00:00:00", "2.5"),
    ],
)
def test_an_own_price_holds_from_its_first_to_its_last_day(moment: str, expected: str) -> None:
    """Two prices in turn, then the list's again; each changes with the first second of its UTC day."""
    prices = laid(
        models=[
            {"model": "gpt-4o", "input": 2, "output": 8, "since": date(2026, 2, 1), "through": "2026-03-31"},
            {"model": "gpt-4o", "input": "1.5", "output": 6, "since": "2026-03-01", "through": "2026-03-31"},
        ]
    )
    assert prices.cost(call("gpt-4o", MILLION, end_ns=ns(moment))).low == usd(expected)


def test_a_day_without_any_price_is_unknown() -> None:
    """A model that only the user prices costs nothing that is known on the day before, and never zero."""
    prices = laid(models=[{"model": "m", "input": 1, "output": 1, "since": "2026-02-01"}])
    before = prices.cost(call("m", USED, end_ns=ns("2026-01-31T23:59:59")))
    assert (before.kind, before.reason) == (CostKind.UNKNOWN, "model 'm' has no price on that day")
    assert prices.applied(call("m", USED, end_ns=ns("2026-01-31T23:59:59"))) is None
    assert prices.cost(call("m", USED, end_ns=ns("2026-02-01T00:00:00"))).kind is CostKind.KNOWN


@pytest.mark.parametrize(("count", "expected"), [(100_000, "0.05"), (100_001, "0.100001"), (200_001, "0.400002")])
def test_long_calls_have_their_own_price_whole(count: int, expected: str) -> None:
    """0.50 up to 100,000 tokens, 1 above, 2 above 200,000: of every token of the call."""
    bands = [{"tokens": 200_000, "input": 2}, {"tokens": 100_000, "input": 1}]
    prices = laid(models=[{"model": "m", "input": "0.5", "output": 1, "long_context": bands}])
    assert prices.cost(call("m", Tokens(count, 0, 0, 0))).low == usd(expected)


def test_a_tier_has_its_own_price_or_an_estimate_by_the_standard_one() -> None:
    """Batch is configured and priced so; flex is not, and the standard price is no more than an estimate for it."""
    prices = laid(
        models=[
            {"model": "m", "input": 2, "output": 2},
            {"model": "m", "input": 1, "output": 1, "service_tier": "batch"},
        ]
    )
    standard, batch, flex = (prices.cost(call("m", MILLION, tier=tier)) for tier in ("default", "batch", "flex"))
    assert (standard.low, standard.kind, batch.low, batch.kind) == (usd("2"), CostKind.KNOWN, usd("1"), CostKind.KNOWN)
    assert (flex.low, flex.kind) == (usd("2"), CostKind.ESTIMATED)
    assert flex.reason == "no flex price is configured; the standard one used"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [("2026-06-30T23:59:59", "2.5"), ("2026-07-01T00:00:00", "2.125"), ("2027-01-01T00:00:00", "2.5")],
)
def test_a_factor_multiplies_the_list_while_it_is_agreed(moment: str, expected: str) -> None:
    """15 % off from July to December, and both the day before and the day after at the list's price."""
    prices = laid(factors=[{"provider": "openai", "factor": 0.85, "since": "2026-07-01", "through": "2026-12-31"}])
    cost = prices.cost(call("gpt-4o", MILLION, end_ns=ns(moment)))
    assert cost.low == usd(expected)
    assert cost.price_id.endswith("*0.85") == (expected == "2.125")


def test_the_factor_that_began_last_applies_alone() -> None:
    """Factors are not multiplied with each other, and of those that began together the last one written applies."""
    general = {"factor": 0.9}
    special = {"factor": 0.5, "model": "gpt-4o*", "since": "2026-01-01"}
    assert laid(factors=[special, general]).cost(call("gpt-4o", MILLION)).low == usd("1.25")
    assert laid(factors=[general, {"factor": 0.8}]).cost(call("gpt-4o", MILLION)).low == usd("2")


def test_a_factor_for_one_tier_leaves_the_others() -> None:
    """An empty tier is the standard one."""
    prices = laid(factors=[{"factor": 0.5, "service_tier": ""}])
    moment = ns("2026-11-01T00:00:00")
    batch = call("gpt-4o", MILLION, tier="batch", end_ns=moment)
    assert prices.cost(call("gpt-4o", MILLION, end_ns=moment)).low == usd("1.25")
    assert prices.cost(batch).low == LIST.cost(batch).low


def test_own_prices_are_not_multiplied() -> None:
    """A factor is for listed prices: what the user wrote is what it costs."""
    prices = laid(models=[{"model": "gpt-4o", "input": 2, "output": 8}], factors=[{"factor": 0.5}])
    assert prices.cost(call("gpt-4o", MILLION)).low == usd("2")


@given(
    factor=st.decimals("0.01", "2", places=3),
    count=st.integers(0, 300_000),
    output=st.integers(0, 50_000),
    read=st.integers(0, 1_000),
    model=st.sampled_from(
        [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("gcp.gemini", "gemini-2.5-pro"), ("x_ai", "grok-3")]
    ),
)
def test_a_factor_is_a_factor_of_the_bill(
    factor: Decimal, count: int, output: int, read: int, model: tuple[str, str]
) -> None:
    """Whatever the model and usage, both ends of the bill are the list's times the factor, rounded once each."""
    each = call(model[1], Tokens(count, output, min(read, count), 0), provider=model[0])
    listed, ours = LIST.cost(each), laid(factors=[{"factor": factor}]).cost(each)
    assert ours.kind is listed.kind
    assert abs(ours.low - factor * listed.low) <= 1
    assert abs(ours.high - factor * listed.high) <= 1


@pytest.mark.parametrize("factor", [0.1, 3, "0.85"])
def test_a_factor_keeps_what_is_open_open(factor: Any) -> None:
    """The lifetime of cache writes stays unknown at a discount: both bounds are multiplied."""
    each = call("claude-sonnet-4-5", Tokens(1_000, 0, 0, 1_000), provider="anthropic")
    cost = laid(factors=[{"factor": factor}]).cost(each)
    # 1,000 × 3.75 … 1,000 × 6 USD a million
    assert cost.low == usd("0.00375") * Decimal(str(factor))
    assert cost.high == usd("0.006") * Decimal(str(factor))
    assert cost.kind is CostKind.ESTIMATED


@pytest.mark.parametrize(
    "name",
    [
        "prod-chat",
        "PROD-CHAT",
        "prod-*",
        "*",
    ],
)
def test_an_alias_names_what_a_deployment_is(name: str) -> None:
    """A deployment's name, in any case or by a pattern, costs what the model behind it does."""
    azure = call("prod-chat", USED, provider="azure.ai.openai")
    assert LIST.cost(azure).kind is CostKind.UNKNOWN
    cost = laid(aliases=[{"name": name, "model": "gpt-4o"}]).cost(azure)
    assert (cost.kind, cost.low, cost.price_id) == (CostKind.KNOWN, usd("0.0035"), "azure/gpt-4o")


ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/9x8y7z6w5v4u"
BEDROCK = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.mark.parametrize(("full", "short"), [(ARN, "9x8y7z6w5v4u"), ("", "9x8y7z6w5v4u")])
def test_an_alias_may_be_a_whole_arn(full: str, short: str) -> None:
    """An application's inference profile is found by its ARN, also where only its last part was kept."""
    each = msgspec.structs.replace(call(short, MILLION, provider="aws.bedrock"), full_model=full)
    cost = laid(aliases=[{"name": ARN, "model": BEDROCK}]).cost(each)
    assert (cost.kind, cost.low) == (CostKind.KNOWN, usd("3.3"))  # 3 × 1.1: a regional profile


def test_an_alias_may_lead_to_another_provider() -> None:
    """A gateway's name costs what a model of a provider behind it does."""
    alias = {"name": "smart", "model": "claude-haiku-4-5", "provider": "anthropic"}
    cost = laid(aliases=[alias]).cost(call("smart", MILLION, provider="litellm"))
    assert (cost.low, cost.price_id.partition("@")[0]) == (usd("1"), "anthropic/claude-haiku-4-5")


def test_an_alias_may_lead_to_an_own_price() -> None:
    """The user's names may stand for the user's models."""
    prices = laid(aliases=[{"name": "prod", "model": "house"}], models=[{"model": "house", "input": 1, "output": 1}])
    assert prices.cost(call("prod", MILLION, provider="vllm")).low == usd("1")


def test_a_fine_tune_may_cost_what_its_base_does() -> None:
    """A fine-tune is listed at 0.30; an alias may say that it costs what an untuned one does, 0.15."""
    tuned = call("ft:gpt-4o-mini-2024-07-18:acme::Ab12", MILLION)
    cost = laid(aliases=[{"name": "ft:gpt-4o-mini-*", "model": "gpt-4o-mini"}]).cost(tuned)
    assert cost.low == usd("0.15")


def test_the_answering_model_s_alias_comes_before_the_requested_one_s() -> None:
    """An Azure deployment that names the model in its answer needs no alias, and one does not change that."""
    each = call("prod-chat", USED, provider="azure.ai.openai", response_model="gpt-4o-2024-08-06")
    assert laid(aliases=[{"name": "prod-chat", "model": "gpt-4o-mini"}]).cost(each).price_id == LIST.cost(each).price_id


@pytest.mark.parametrize("written", ["claude-sonnet-4-5-20250929", BEDROCK])
def test_a_model_is_priced_by_its_name_in_usage_or_in_full(written: str) -> None:
    """A price and an alias fit a Bedrock call by the name that `usage` shows, and by the whole one."""
    each = msgspec.structs.replace(
        call("claude-sonnet-4-5-20250929", MILLION, provider="aws.bedrock"), full_model=BEDROCK
    )
    assert laid(models=[{"model": written, "input": 1, "output": 1}]).cost(each).low == usd("1")
    assert laid(aliases=[{"name": written, "model": "amazon.nova-lite-v1:0"}]).cost(each).low == usd("0.06")


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({}, "2.5"),
        ({"service": "search"}, "0.15"),
        ({"tenant": "acme"}, "2"),
        ({"tenant": "acme", "service": "search"}, "0.15"),
        ({"project": "beta"}, "0.1"),
    ],
)
def test_a_name_may_mean_something_else_in_a_service_tenant_or_project(scope: dict[str, str], expected: str) -> None:
    """The first alias that fits a call's scope applies, and those with a scope come before those without."""
    prices = laid(
        aliases=[
            {"name": "default", "model": "gpt-4o"},
            {"name": "default", "model": "gpt-4o-mini", "service": "search"},
            {"name": "default", "model": "gpt-4.1", "tenant": "acme"},
            {"name": "default", "model": "gpt-4.1-nano", "project": "beta"},
        ]
    )
    assert prices.cost(whose(call("default", MILLION), **scope)).low == usd(expected)


def test_a_whole_name_comes_before_a_pattern() -> None:
    """Whatever stands first."""
    prices = laid(aliases=[{"name": "my-*", "model": "gpt-4o"}, {"name": "my-mini", "model": "gpt-4o-mini"}])
    assert prices.cost(call("my-mini", MILLION)).low == usd("0.15")


def test_only_the_star_is_special() -> None:
    """Brackets and question marks are letters of a name."""
    prices = laid(aliases=[{"name": "m[1]?*", "model": "gpt-4o"}])
    assert prices.cost(call("m[1]?x", MILLION)).kind is CostKind.KNOWN
    assert prices.cost(call("m1yx", MILLION)).kind is CostKind.UNKNOWN


def test_rules_see_the_model_behind_an_alias() -> None:
    """Tier and cheaper sibling of a deployment are those of its model."""
    prices = laid(aliases=[{"name": "prod", "model": "claude-opus-4-1"}])
    assert LIST.tier("anthropic", "prod") is None
    assert prices.tier("anthropic", "prod") is LIST.tier("anthropic", "claude-opus-4-1")
    assert prices.cheaper("anthropic", "prod") == LIST.cheaper("anthropic", "claude-opus-4-1")


def test_the_catalogue_s_version_changes_with_the_user_s_prices() -> None:
    """Empty sections leave it, equal ones give the same, and any change another."""
    one = {"factors": [{"factor": 0.85}]}
    assert laid().version == laid(models=[]).version == LIST.version
    assert laid(**one).version == laid(**one).version
    assert laid(**one).version.startswith(f"{LIST.version}+user-")
    versions = {laid(**one).version, laid(factors=[{"factor": 0.86}]).version, LIST.version}
    assert len(versions) == 3


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"models": [{"model": "m"}]}, "has no price; write input and output"),
        ({"models": [{"model": "m", "input": -1}]}, "greater than or equal to 0"),
        ({"models": [{"model": "m", "input": 1, "since": "2026-02-02", "through": "2026-02-01"}]}, "swap since and"),
        ({"models": [{"model": "m", "input": 1}, {"model": "M", "input": 2}]}, "models 0 and 1 are about the same"),
        ({"models": [{"model": "m", "input": 1, "long_context": [{"tokens": 5}, {"tokens": 5}]}]}, "is there twice"),
        ({"factors": [{"factor": 0}]}, "greater than 0"),
        ({"aliases": [{"name": "a", "model": "b"}, {"name": "A", "model": "c"}]}, "aliases 0 and 1 are about the same"),
        ({"aliases": [{"name": "", "model": "b"}]}, "at least 1 character"),
    ],
)
def test_what_contradicts_itself_is_refused(sections: dict[str, Any], message: str) -> None:
    """Each mistake is said in words that tell what to do."""
    with pytest.raises(ValidationError, match=message):
        PricesConfig.model_validate(sections)
