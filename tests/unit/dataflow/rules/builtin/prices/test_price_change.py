"""PRICE_CHANGE: dated list prices before and after their day, and another version of the list."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.dataflow.rules.traffic import CATALOGUE, DAY, HOUR, NOON, SECOND, Shard, calls, observed, only, statuses
from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.core.insight import Severity, Status
from tokensense_otel.dataflow.pricing import Catalogue, PricesConfig
from tokensense_otel.dataflow.rules import RuleShard

TERRA = "gpt-5.6-terra"
"""2.50, 0.25 (cached) and 15 USD a million tokens; from 30 July 2026 on 2, 0.20 and 12."""
CUT = int(datetime(2026, 7, 30, tzinfo=UTC).timestamp()) * SECOND
ARGON = "gemini-4-argon"
"""2 and 10 USD a million tokens; from 1 December 2026 on 4 and 20."""
RISE = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) * SECOND


def shard(**options: float | str) -> Shard:
    return Shard(only("PRICE_CHANGE", **options))


def terra(count: int, start: int, **changes: Any) -> list[Call]:
    """Calls that cost 2 cents less after the cut: 10,000 × 0.50 and 5,000 × 3 by the million."""
    plain: dict[str, Any] = {"request_model": TERRA, "tokens": Tokens(10_000, 5_000)}
    return calls(count, start=start, **plain | changes)


def argon(count: int, start: int, **changes: Any) -> list[Call]:
    """Calls that cost 2 cents more after the rise: 10,000 × 2 by the million."""
    plain: dict[str, Any] = {"provider": "google", "request_model": ARGON, "tokens": Tokens(10_000, 0)}
    return calls(count, start=start, **plain | changes)


def by_class(sent: str, cached: str, answered: str) -> dict[str, str]:
    return {"input": sent, "cache_read": cached, "output": answered, "reasoning": answered}


def test_a_rise_is_told_before_its_day() -> None:
    """The 50th call in November makes a dollar a month more from December on, and that is told at once."""
    rules = shard()
    assert rules.post(argon(49, RISE - 10 * DAY)) == []

    (insight,) = rules.post(argon(1, RISE - 9 * DAY, first=50))

    assert (insight.status, insight.severity) == (Status.FIRING, Severity.LOW)
    assert insight.scope == {"provider": "google", "model": ARGON}
    assert observed(insight) == {
        "changes_at": "2026-12-01T00:00:00Z",
        "ahead": True,
        "because_of": "a dated list price",
        "catalogues": [],
        "old": {"price_id": "google/gemini-4-argon", **by_class("2", "0.1", "10")},
        "new": {"price_id": "google/gemini-4-argon@2026-12-01", **by_class("4", "0.2", "20")},
        "monthly_effect_usd": "1",
        "calls_30d": 50,
        "tokens_30d": {"input": 500_000},
    }
    assert insight.estimated_monthly_savings_usd is None
    assert insight.title == "gemini-4-argon of google will cost more"
    assert insight.summary == (
        "On 2026-12-01 the price per million changes: input from $2 to $4, cache read from $0.1 to $0.2, "
        "output from $10 to $20. The traffic of the last 30 days would cost $1.00 more at the new price."
    )


def test_a_cut_is_told_after_its_day_with_the_other_sign() -> None:
    """Traffic of the days before and after the cut costs so much less at the new price."""
    rules = shard(ahead="0s")
    assert rules.post(terra(40, CUT - DAY)) == []

    (insight,) = rules.post(terra(10, CUT + HOUR, first=100))

    assert observed(insight)["monthly_effect_usd"] == "-1"
    assert observed(insight)["ahead"] is False
    assert insight.title == f"{TERRA} of openai costs less"
    assert "Lower the budget" in insight.suggested_fix


@pytest.mark.parametrize(("offset", "fires"), [(30 * DAY, True), (30 * DAY + SECOND, False)])
def test_it_looks_thirty_days_ahead(offset: int, fires: bool) -> None:
    """What is listed for the day in thirty days is told; a second earlier it is too far off."""
    assert bool(shard().post(argon(50, RISE - offset, step=0))) == fires


@pytest.mark.parametrize(("offset", "fires"), [(7 * DAY, True), (7 * DAY + 1, False)])
def test_it_is_news_for_a_week(offset: int, fires: bool) -> None:
    """Seven days after its day a change is still told to those who first use the model; then it is the price."""
    assert bool(shard().post(terra(50, CUT + offset, step=0))) == fires


def test_it_is_over_a_week_after_its_day() -> None:
    """An open finding ends seven days after the change, with traffic or without."""
    rules = shard()
    rules.post(argon(50, RISE - DAY))
    assert statuses(rules.advance(RISE + 7 * DAY)) == []
    assert statuses(rules.advance(RISE + 8 * DAY)) == [Status.RESOLVED]


@pytest.mark.parametrize(
    "changes",
    [
        {"request_model": "gemini-2.5-flash"},
        {"service_tier": "batch"},
        {"tokens": Tokens()},
        {"tokens": Tokens(None, 5_000)},
        {"tokens": Tokens(10_000, 50, 20_000)},
        {"tokens": Tokens(10_000, 0, audio_input=10)},
        {"tokens": Tokens(200_000_000, 0)},
        {"provider": "somebody"},
    ],
    ids=["no change", "another tier", "no usage", "no input", "impossible", "audio", "absurd", "no price"],
)
def test_what_it_cannot_tell_keeps_it_silent(changes: dict[str, Any]) -> None:
    """Calls that do not have the price that changes are none of its business, however many."""
    assert shard().post(argon(500, RISE - 10 * DAY, **changes)) == []


@pytest.mark.parametrize(("tokens", "fires"), [(272_000, True), (272_001, False)])
def test_long_contexts_have_another_price(tokens: int, fires: bool) -> None:
    """Above 272,000 tokens a call of this model has the price of a long context, which is not compared."""
    assert bool(shard().post(terra(50, CUT - DAY, tokens=Tokens(tokens, 0)))) == fires


def test_a_model_that_nobody_says_who_sells_is_told_by_its_name() -> None:
    """Where the provider is not named the list tells it by the model, and the finding goes without."""
    (insight,) = shard().post(argon(50, RISE - DAY, provider=""))
    assert insight.scope == {"model": ARGON}
    assert insight.title == "gemini-4-argon will cost more"


def test_every_class_of_tokens_has_its_price() -> None:
    """Cached tokens move by their own price: 40 million of them by 5 cents a million are 2 dollars."""
    (insight,) = shard(min_usd=2).post(terra(400, CUT - DAY, tokens=Tokens(100_000, 0, 100_000)))
    assert observed(insight)["monthly_effect_usd"] == "-2"
    assert observed(insight)["tokens_30d"] == {"cache_read": 40_000_000}


def test_teams_meet() -> None:
    """The finding is about the install's traffic, whoever sent it; models are kept apart."""
    rules = shard()
    rules.post(argon(30, RISE - DAY, team="a"))
    assert rules.post(terra(30, CUT - DAY, first=1_000)) == []
    assert len(rules.post(argon(20, RISE - DAY, team="b", first=2_000))) == 1


def test_a_reversal_takes_the_call_back() -> None:
    """Calls that turn out to be none bring no tokens."""
    rules = shard()
    some = argon(49, RISE - DAY)
    rules.post(some)
    rules.reverse(some[:1])
    assert rules.post(argon(1, RISE - HOUR, first=100)) == []
    assert len(rules.post(argon(1, RISE - HOUR, first=101))) == 1


def another_list(rules: Shard, factor: str, **more: Any) -> Catalogue:
    """The shard after a restart with a list in which every price is multiplied."""
    prices = PricesConfig.model_validate({"factors": [{"factor": Decimal(factor), **more}]})
    catalogue = Catalogue.load(prices)
    rules.shard = RuleShard.restore(rules.rules, catalogue, rules.shard.snapshot())
    return catalogue


def test_another_list_after_a_restart_is_compared_with_the_one_before() -> None:
    """A month at 3 dollars costs 4.50 by the new list: told with the first call, with both versions and price ids."""
    rules = shard()
    assert rules.post(calls(999)) == []
    catalogue = another_list(rules, "1.5")

    (insight,) = rules.post(calls(1, first=2_000, start=NOON + DAY))

    seen = observed(insight)
    assert seen["because_of"] == "another price list"
    assert seen["catalogues"] == [CATALOGUE.version, catalogue.version]
    assert (seen["old"]["price_id"], seen["new"]["price_id"]) == ("openai/gpt-4o", "openai/gpt-4o*1.5")
    # 1,000 × (1,000 × 1.25 + 50 × 5) by the million
    assert seen["monthly_effect_usd"] == "1.5"
    assert seen["changes_at"] == "2026-11-03T12:00:00Z"


def test_a_new_version_with_the_same_price_is_no_news() -> None:
    """Another version of the list in which this model costs what it did says nothing."""
    rules = shard()
    rules.post(calls(999))
    another_list(rules, "1.5", provider="anthropic")
    assert rules.post(calls(999, first=2_000, start=NOON + DAY)) == []


def test_a_dated_change_between_two_versions_is_not_the_lists() -> None:
    """When the list is renewed just as a dated price comes into force, the date is what is told."""
    rules = shard(ahead="0s", min_usd=0.5)
    rules.post(terra(50, CUT - DAY))
    another_list(rules, "1.5", provider="anthropic")
    (insight,) = rules.post(terra(1, CUT + HOUR, first=100))
    assert observed(insight)["because_of"] == "a dated list price"


def test_a_crash_loses_neither_price_nor_tokens() -> None:
    """What was counted and learnt before a restart is there after it."""
    rules = shard()
    rules.post(argon(49, RISE - DAY))
    rules.crash()
    (insight,) = rules.post(argon(1, RISE - HOUR, first=50))
    assert observed(insight)["monthly_effect_usd"] == "1"
    rules.crash()
    assert statuses(rules.advance(RISE + 8 * DAY)) == [Status.RESOLVED]
