"""One call out of two reports: the name that its price depends on, and what an emitter says that it cost."""

import msgspec
import pytest

from tests.support.calls import a_call
from tokensense_otel.core.call import Call
from tokensense_otel.dataflow.accounting.merge import complete

MODEL = "claude-sonnet-4-5-20250929"
FULL = f"global.anthropic.{MODEL}-v1:0"
BARE = a_call(provider="aws.bedrock", request_model=MODEL, response_model="")
NAMED = msgspec.structs.replace(BARE, full_model=FULL)


def test_a_full_name_is_taken_over_with_the_tokens() -> None:
    """The region that only the other report names decides the price."""
    assert complete(BARE, NAMED, tokens=True).full_model == FULL


@pytest.mark.parametrize(
    "call",
    [
        msgspec.structs.replace(BARE, full_model=f"us.anthropic.{MODEL}-v1:0"),
        msgspec.structs.replace(BARE, response_model="claude-haiku-4-5-20251001"),
    ],
    ids=["has its own", "another model answered"],
)
def test_a_full_name_of_another_model_is_not(call: Call) -> None:
    """A report keeps its own full name, and gets none of a model that it does not name."""
    assert complete(call, NAMED, tokens=True) == call


def test_nothing_that_a_price_depends_on_changes_without_the_tokens() -> None:
    """Joined in another trace, a call keeps its cost, and so its names."""
    assert complete(BARE, NAMED, tokens=False) == BARE


@pytest.mark.parametrize("tokens", [True, False])
def test_a_reported_cost_is_taken_over_where_there_is_none(tokens: bool) -> None:
    """The best witness's own, else the other's; never their sum."""
    told = msgspec.structs.replace(BARE, reported_cost=5)
    assert complete(BARE, told, tokens=tokens).reported_cost == 5
    assert complete(msgspec.structs.replace(BARE, reported_cost=7), told, tokens=tokens).reported_cost == 7
