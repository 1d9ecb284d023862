"""A call's bill line by line, for people: the arithmetic is `bill.bounds`, asked for each class of tokens alone.

Bills are linear but for audio, images and what is not certain; what those change is a line of its own, so that the
lines always add up to the bill.
"""

from decimal import Decimal
from typing import Final

import msgspec

from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.dataflow.pricing.bill import MILLION, bounds
from tokensense_otel.dataflow.pricing.catalogue import Catalogue
from tokensense_otel.dataflow.pricing.rates import Rates

_NANO: Final = Decimal(1).scaleb(-9)


class Line(msgspec.Struct, frozen=True):
    """`low` and `high` are exact USD; `price` is USD for a million tokens, `None` where the class has none of its own.

    `tokens` is `None` for what is not counted in tokens.
    """

    item: str
    tokens: int | None
    price: Decimal | None
    low: Decimal
    high: Decimal


def itemise(catalogue: Catalogue, call: Call) -> list[Line]:
    """The lines of a call's bill; none where it has no known price. Their sum, rounded once, is `Catalogue.cost`."""
    applied = catalogue.applied(call)
    if applied is None:
        return []
    rates, other = applied
    lines = [line for line in _classes(rates, call.tokens) if line.tokens]
    if rates.request:
        lines.append(Line("request", None, None, _usd(rates.request * MILLION), _usd(rates.request * MILLION)))
    low, high, _ = bounds(rates, call.tokens, generates=False)
    _add_rest(lines, "audio, images and what was not reported", low, high)
    if other is not None:
        other_low, other_high, _ = bounds(other, call.tokens, generates=False)
        _add_rest(lines, "if the other price applied", min(low, other_low), max(high, other_high))
    return lines


def _classes(rates: Rates, tokens: Tokens) -> list[Line]:
    read, write, output = tokens.cache_read or 0, tokens.cache_write or 0, tokens.output or 0
    plain = max((tokens.input or 0) - read - write, 0)
    reasoning = min(tokens.reasoning or 0, output) if rates.reasoning is not None else 0
    long = min(tokens.cache_write_1h or 0, write)
    lines = [
        _line(rates, "input", plain, rates.input, Tokens(plain, 0)),
        _line(rates, "cache read", read, rates.cache_read, Tokens(read, 0, read, 0)),
    ]
    if tokens.cache_write_1h is None:
        lines.append(_line(rates, "cache write", write, rates.cache_write, Tokens(write, 0, 0, write)))
    else:
        short = write - long
        lines += [
            _line(rates, "cache write, 5 min", short, rates.cache_write, Tokens(short, 0, 0, short, 0)),
            _line(rates, "cache write, 1 h", long, rates.cache_write_1h, Tokens(long, 0, 0, long, long)),
        ]
    answer = output - reasoning
    return [
        *lines,
        _line(rates, "output", answer, rates.output, Tokens(0, answer)),
        _line(rates, "reasoning", reasoning, rates.reasoning, Tokens(0, reasoning, reasoning=reasoning)),
    ]


def _line(rates: Rates, item: str, tokens: int, rate: int | None, alone: Tokens) -> Line:
    low, high, _ = bounds(rates, alone, generates=False)
    request = rates.request * MILLION
    return Line(item, tokens, None if rate is None else rate * _NANO, _usd(low - request), _usd(high - request))


def _add_rest(lines: list[Line], item: str, low: int, high: int) -> None:
    rest_low, rest_high = _usd(low) - sum(line.low for line in lines), _usd(high) - sum(line.high for line in lines)
    if rest_low or rest_high:
        lines.append(Line(item, None, None, rest_low, rest_high))


def _usd(amount: int) -> Decimal:
    """USD of tokens × nano-dollars a million."""
    return Decimal(amount).scaleb(-15)
