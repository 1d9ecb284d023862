"""What moved: the change of spend between two periods as a sum of five causes, exact to the nano-dollar.

The spend of a period is, over its models,

    calls × share of the model × units per call × price of a unit

where a unit is a token of fresh input, and other tokens count by what they are priced at in proportion to one: `units
per call` = input × (1 − cached share) + input × cached share × (price of cached ÷ price of input) + output × (price of
output ÷ price of input). So there are five factors: the number of calls (*volume*), the models' shares of them (*mix*),
input and output tokens per call (*tokens*), the cached share of the input (*cache*) and what was really paid for a unit
(*price*: list prices, tiers, cache writes and whatever else made a token dearer).

Each cause is given its Shapley value: what the change of its factor brings, averaged over all orders in which the five
could have changed (L. S. Shapley 1953; for the decomposition of changes A. F. Shorrocks, "Decomposition procedures for
distributional analysis", 2013). The values depend on no order and add up to the change. A model that is missing from
one period has no tokens and prices there; it is given those of the other one, so that its coming or going is mix alone.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from math import factorial
from typing import Final, NamedTuple, TypeVar

CAUSES: Final = ("volume", "mix", "tokens", "cache", "price")
_COUNT: Final = len(CAUSES)
_ORDERS: Final = [Fraction(factorial(size) * factorial(_COUNT - 1 - size), factorial(_COUNT)) for size in range(_COUNT)]
"""The share of all orders in which one certain set of so many other causes has changed when a given one does."""
_State = tuple[int, ...]
_STATES: Final[list[_State]] = list(product((0, 1), repeat=_COUNT))

T = TypeVar("T")


class Sums(NamedTuple):
    """What the calls of one model in one period add up to. `input` includes `cached`; `nanos` are nano-dollars."""

    calls: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    nanos: int = 0


class Weights(NamedTuple):
    """Price of a token in proportion to one of fresh input."""

    cached: Fraction = Fraction(1)
    output: Fraction = Fraction(1)


class _PerCall(NamedTuple):
    input: Fraction
    output: Fraction
    cached: Fraction
    price: Fraction


_NOTHING: Final = _PerCall(Fraction(0), Fraction(0), Fraction(0), Fraction(0))


def decompose(
    before: Mapping[str, Sums],
    now: Mapping[str, Sums],
    weights: Mapping[str, Weights],
    scale: Fraction = Fraction(1),
) -> dict[str, int]:
    """Nano-dollars by cause. They add up to the spend of `now` less `scale` × that of `before`, rounded.

    `scale` makes periods comparable that are not equally long: `before` counts as `scale` times as many calls.
    """
    # What was taken back altogether is as if it had never been.
    periods = [{model: sums for model, sums in period.items() if sums.calls > 0} for period in (before, now)]
    totals = [sum(each.calls for each in period.values()) for period in periods]
    volume = (scale * totals[0], Fraction(totals[1]))
    parts = [Fraction(0)] * _COUNT
    for model in sorted(before.keys() | now.keys()):
        sums = [period.get(model, Sums()) for period in periods]
        weight = weights.get(model, Weights())
        share = [Fraction(each.calls, total) if total else None for each, total in zip(sums, totals, strict=True)]
        per_call = [_per_call(each, weight) for each in sums]
        spend = _spend(volume, _filled(share, Fraction(0)), _filled(per_call, _NOTHING), weight)
        parts = [part + _value(spend, cause) for cause, part in enumerate(parts)]
    spent = [sum(each.nanos for each in period.values()) for period in periods]
    return dict(zip(CAUSES, _rounded(parts, spent[1] - round(scale * spent[0])), strict=True))


def _filled(pair: list[T | None], neither: T) -> tuple[T, T]:
    """A pair in which what is missing is as in the other period."""
    first, second = pair
    if first is None:
        first = neither if second is None else second
    return first, first if second is None else second


def _per_call(sums: Sums, weight: Weights) -> _PerCall | None:
    if sums.calls <= 0:
        return None
    cached = Fraction(sums.cached, sums.input) if sums.input > 0 else Fraction(0)
    found = _PerCall(Fraction(sums.input, sums.calls), Fraction(sums.output, sums.calls), cached, Fraction(0))
    return found._replace(price=Fraction(sums.nanos, sums.calls) / _units(found, found.cached, weight))


def _units(tokens: _PerCall, cached: Fraction, weight: Weights) -> Fraction:
    """Units of a call; what is paid for without tokens (an image, a search) is one unit."""
    return tokens.input * (1 - cached + cached * weight.cached) + tokens.output * weight.output or Fraction(1)


def _spend(
    volume: tuple[Fraction, Fraction],
    share: tuple[Fraction, Fraction],
    per_call: tuple[_PerCall, _PerCall],
    weight: Weights,
) -> dict[_State, Fraction]:
    """What would have been spent on a model with each factor as before (0) or as now (1)."""
    return {
        state: volume[state[0]]
        * share[state[1]]
        * _units(per_call[state[2]], per_call[state[3]].cached, weight)
        * per_call[state[4]].price
        for state in _STATES
    }


def _value(spend: Mapping[_State, Fraction], cause: int) -> Fraction:
    """The Shapley value of a cause."""
    value = Fraction(0)
    for state in _STATES:
        if not state[cause]:
            changed = (*state[:cause], 1, *state[cause + 1 :])
            value += _ORDERS[sum(state)] * (spend[changed] - spend[state])
    return value


def _rounded(parts: list[Fraction], target: int) -> list[int]:
    """Whole numbers next to `parts` that add up to `target`: those with the largest fractions are rounded up."""
    whole = [math.floor(part) for part in parts]
    order = sorted(range(len(parts)), key=lambda at: whole[at] - parts[at])
    for step in range(target - sum(whole)):
        whole[order[step % len(order)]] += 1
    return whole
