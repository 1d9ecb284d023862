"""Thresholds in dollars, and dollars as people read them."""

from pydantic import Field

from tokensense_otel.core.money import NANOS_PER_USD
from tokensense_otel.dataflow.rules.rule import RuleConfig


class MinSpendConfig(RuleConfig):
    """A rule that stays silent about sums that are not worth anybody's time."""

    min_usd: float = Field(default=0.1, gt=0, le=1_000_000_000)
    """USD in the window below which the rule does not fire."""

    @property
    def min_nanos(self) -> int:
        """`min_usd` in nano-dollars."""
        return round(self.min_usd * NANOS_PER_USD)


def dollars(amount: int) -> str:
    """Nano-dollars for a sentence: cents, and as many digits more as an amount below a cent needs.

    >>> dollars(1_234_500_000_000), dollars(400_000_000), dollars(3_400_000), dollars(0)
    ('$1,234.50', '$0.40', '$0.0034', '$0.00')
    """
    usd = amount / NANOS_PER_USD
    return f"${usd:,.2f}" if not amount or abs(usd) >= 0.01 else f"${usd:.2g}"
