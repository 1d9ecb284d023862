"""Amounts as people write them (`5%`, `$20`, `500ms`, `3x`, `10k`), as exact fractions of what rules count in."""

import re
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

from tokensense_otel.core.money import usd_text

Amount = str | int | float
"""As it was written."""

NANO: Final = 1_000_000_000


class Unit(StrEnum):
    """What a number is of, and so how it is written. Inside, dollars are nano-dollars and times are nanoseconds."""

    COUNT = "count"
    USD = "usd"
    TIME = "time"
    SHARE = "share"
    TIMES = "times"
    """How many times as much as something else."""


_EXAMPLES: Final = {
    Unit.COUNT: "5000 or 5k",
    Unit.USD: "$20",
    Unit.TIME: "500ms, 2s or 5m",
    Unit.SHARE: "5%",
    Unit.TIMES: "3x or 300%",
}
_NUMBER: Final = r"(\d{1,15}(?:\.\d{1,9})?)"
_FORMS: Final[dict[Unit, tuple[re.Pattern[str], dict[str, Fraction]]]] = {
    Unit.COUNT: (
        re.compile(f"{_NUMBER}(k|M|)"),
        {"": Fraction(1), "k": Fraction(1_000), "M": Fraction(1_000_000)},
    ),
    Unit.USD: (re.compile(rf"\$?{_NUMBER}( USD|)"), {"": Fraction(NANO), " USD": Fraction(NANO)}),
    Unit.TIME: (
        re.compile(f"{_NUMBER}(ms|s|m|h|d)"),
        {
            "ms": Fraction(NANO, 1_000),
            "s": Fraction(NANO),
            "m": Fraction(60 * NANO),
            "h": Fraction(3_600 * NANO),
            "d": Fraction(86_400 * NANO),
        },
    ),
    Unit.SHARE: (re.compile(f"{_NUMBER}(%|)"), {"": Fraction(1), "%": Fraction(1, 100)}),
    Unit.TIMES: (re.compile(f"{_NUMBER}(x|%|)"), {"": Fraction(1), "x": Fraction(1), "%": Fraction(1, 100)}),
}


def read_amount(written: Amount, unit: Unit) -> Fraction:
    """The amount, in what rules count in.

    Raises:
        ValueError: with what to write instead.
    """
    form, factors = _FORMS[unit]
    match = None if isinstance(written, bool) else form.fullmatch(_digits(written))
    if match is None:
        raise ValueError(f"{written!r} is no {_CALLED[unit]}; write for instance {_EXAMPLES[unit]}")
    amount = Fraction(Decimal(match[1])) * factors[match[2]]
    if unit is Unit.SHARE and amount > 1:
        raise ValueError(f"{written!r} is more than everything; write a share of at most 100%, such as 5%")
    return amount


def shown(amount: Fraction, unit: Unit) -> str:
    """An amount for people, in a form that `read_amount` takes."""
    match unit:
        case Unit.USD:
            return f"${usd_text(round(amount))}"
        case Unit.TIME:
            seconds = amount / NANO
            return f"{_plain(seconds * 1000, 1)}ms" if seconds < 1 else f"{_plain(seconds, 2)}s"
        case Unit.SHARE:
            return f"{_plain(amount * 100, 2)}%"
        case Unit.TIMES:
            return f"{_plain(amount, 2)}x"
        case Unit.COUNT:
            return _plain(amount, 1)


def as_json(amount: Fraction, unit: Unit) -> Any:
    """An amount as evidence: dollars as a decimal string, times in seconds, all else a number."""
    if unit is Unit.USD:
        return usd_text(round(amount))
    value = amount / NANO if unit is Unit.TIME else amount
    return int(value) if value.denominator == 1 else round(float(value), 6)


def _plain(amount: Fraction, digits: int) -> str:
    text = f"{float(amount):,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _digits(written: Amount) -> str:
    return f"{Decimal(str(written)):f}" if isinstance(written, float) else str(written).replace(",", "").strip()


_CALLED: Final = {
    Unit.COUNT: "number",
    Unit.USD: "sum of dollars",
    Unit.TIME: "length of time",
    Unit.SHARE: "share",
    Unit.TIMES: "number of times",
}
