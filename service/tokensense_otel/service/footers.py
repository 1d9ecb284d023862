"""What stands under a table of usage: what its sums leave out, and what contradicts them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any


def footers(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Lines for people about rows as `usage_rows` makes them; none where there is nothing to add."""
    lines: list[str] = []
    unpriced, unknown, disputed = (_sum(rows, f"{name}_calls") for name in ("unpriced", "unknown_usage", "disputed"))
    if unpriced:
        tokens = _sum(rows, "unpriced_tokens")
        lines.append(
            f"{_calls(unpriced)} ({tokens:,} tokens) no price is known: they are in no sum of money; "
            "say under `prices` what their models are or cost"
        )
    if unknown:
        lines.append(f"{_calls(unknown)} nobody reported usage: their cost is unknown")
    low, high = _usd(rows, "cost_usd"), _usd(rows, "cost_high_usd")
    if low != high:
        lines.append(f"cost is at least {low:f} and at most {high:f} USD: usage or prices leave something open")
    if reported := _sum(rows, "reported_calls"):
        told = f"{_calls(reported)} the emitter reported a cost, {_usd(rows, 'reported_cost_usd'):f} USD in all"
        off = f"{disputed:,} of them more than 2 % off ours" if disputed else "none of them more than 2 % off ours"
        lines.append(f"{told}; {off}")
    return lines


def _calls(count: int) -> str:
    return f"of {count:,} call{'s' if count != 1 else ''}"


def _sum(rows: Sequence[dict[str, Any]], name: str) -> int:
    return sum(row[name] for row in rows)


def _usd(rows: Sequence[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows if row[name] is not None), Decimal(0)).normalize()
