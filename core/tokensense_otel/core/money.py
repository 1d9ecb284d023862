"""Money is an integer count of nano-dollars (10⁻⁹ USD) inside and a decimal string at the edges.

Integers add up exactly in any order, so a window, a rollup and a replay of the same calls give the same sum to the
last digit. One nano-dollar is fine enough: the cheapest listed token price is 0.01 USD per million, 10 nano-dollars.
"""

from decimal import ROUND_HALF_EVEN, Decimal

NANOS_PER_USD = 1_000_000_000
_NANO = Decimal(1).scaleb(-9)


def nanos(usd: Decimal) -> int:
    """Nano-dollars of an amount in USD, half to even."""
    return int((usd * NANOS_PER_USD).to_integral_value(ROUND_HALF_EVEN))


def usd(amount: int) -> Decimal:
    """USD of an amount in nano-dollars, exact."""
    return (Decimal(amount) * _NANO).normalize()


def usd_text(amount: int | None) -> str | None:
    """The decimal string for JSON: plain digits, never an exponent, `None` where the amount is unknown.

    >>> usd_text(12_500_000), usd_text(0), usd_text(3_000_000_000), usd_text(None)
    ('0.0125', '0', '3', None)
    """
    if amount is None:
        return None
    return f"{usd(amount):f}"
