"""What stands under a table of usage."""

from tests.support.calls import a_call
from tokensense_otel.core.call import Call, Cost, CostKind, Posting, Tokens
from tokensense_otel.core.usage import Usage, usage_key, usage_rows
from tokensense_otel.service.footers import footers


def under(*calls: Call) -> list[str]:
    cells: dict[object, Usage] = {}
    keys = [usage_key(Posting(1, call)) for call in calls]
    for key, call in zip(keys, calls, strict=True):
        cells.setdefault(key, Usage()).post(Posting(1, call))
    return footers(usage_rows((key, cells[key]) for key in dict.fromkeys(keys)))


def test_where_all_is_known_there_is_nothing_to_add() -> None:
    """Known costs of known usage, that nobody else tells, and no rows at all."""
    assert under(a_call(), a_call()) == under() == []


def test_calls_without_a_price_are_counted_with_their_tokens() -> None:
    """Over all rows."""
    large = a_call(cost=Cost(), response_model="y", tokens=Tokens(500_000, 1))
    (line,) = under(a_call(), a_call(cost=Cost(), response_model="x"), large)
    assert line.startswith("of 2 calls (501,051 tokens) no price is known: they are in no sum of money")


def test_calls_without_usage_are_counted() -> None:
    """Apart from those without a price, and one is one."""
    (line,) = under(a_call(cost=Cost(), tokens=Tokens()))
    assert line == "of 1 call nobody reported usage: their cost is unknown"


def test_open_costs_are_between_bounds() -> None:
    """0.01 known, and 0.02 to 0.05 estimated."""
    (line,) = under(a_call(), a_call(cost=Cost(CostKind.ESTIMATED, 20_000_000, 50_000_000)))
    assert line == "cost is at least 0.03 and at most 0.06 USD: usage or prices leave something open"


def test_what_emitters_say_is_compared() -> None:
    """One agrees and one is half as much."""
    agrees, off = a_call(reported_cost=10_000_000), a_call(reported_cost=5_000_000)
    assert under(agrees) == [
        "of 1 call the emitter reported a cost, 0.01 USD in all; none of them more than 2 % off ours"
    ]
    assert under(agrees, off) == [
        "of 2 calls the emitter reported a cost, 0.015 USD in all; 1 of them more than 2 % off ours"
    ]
