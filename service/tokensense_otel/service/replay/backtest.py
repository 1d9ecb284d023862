"""What rules that are tried would have told, beside those in force: findings, pages a week, and what they are worth."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.service.output import print_table, say

_WEEK_NS: Final = 7 * 86_400_000_000_000


def compare(tried: Iterable[Insight], in_force: Iterable[Insight], span_ns: int) -> dict[str, Any]:
    """A row for each rule that fired in either: its numbers as tried, and as in force.

    `findings` are episodes, each of which pages once when it fires; `notifications` are all that was told of them.
    `pages_per_week` is absent where the recording is shorter than a week: less says nothing of one. Savings are those
    of each key at its highest, never the same dollars twice.
    """
    before, after = _by_rule(in_force), _by_rule(tried)
    rows = [
        {
            "rule": rule,
            "tried": _numbers(after.get(rule, []), span_ns),
            "in_force": _numbers(before.get(rule, []), span_ns),
        }
        for rule in sorted(before.keys() | after.keys())
    ]
    total = {
        "tried": _numbers([insight for each in after.values() for insight in each], span_ns),
        "in_force": _numbers([insight for each in before.values() for insight in each], span_ns),
    }
    return {"days": round(span_ns / _WEEK_NS * 7, 2), "rules": rows, "total": total}


def print_backtest(backtest: dict[str, Any]) -> None:
    """The comparison as a table, the rules in force after each slash."""
    say()
    say(f"rules as tried / as in force, over {backtest['days']} days")
    rows = [(row["rule"], *_cells(row)) for row in backtest["rules"]]
    rows.append(("together", *_cells(backtest["total"])))
    columns = ("rule", "findings", "notifications", "pages a week", "saves")
    print_table(columns, rows, right=columns[1:])
    say()


def _by_rule(insights: Iterable[Insight]) -> dict[str, list[Insight]]:
    rules: dict[str, list[Insight]] = {}
    for insight in insights:
        rules.setdefault(insight.rule, []).append(insight)
    return rules


def _numbers(insights: list[Insight], span_ns: int) -> dict[str, Any]:
    pages = sum(insight.status is Status.FIRING for insight in insights)
    worth: dict[tuple[Any, ...], Decimal] = {}
    for insight in insights:
        if insight.estimated_monthly_savings_usd is not None:
            key = (insight.rule, insight.tenant, insight.project, *sorted(insight.scope.items()))
            worth[key] = max(worth.get(key, Decimal(0)), Decimal(insight.estimated_monthly_savings_usd))
    return {
        "findings": pages,
        "notifications": len(insights),
        "pages_per_week": round(pages * _WEEK_NS / span_ns, 2) if span_ns >= _WEEK_NS else None,
        "estimated_monthly_savings_usd": f"{sum(worth.values()):f}" if worth else None,
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    tried, in_force = row["tried"], row["in_force"]
    return tuple(
        f"{_cell(tried[name])} / {_cell(in_force[name])}"
        for name in ("findings", "notifications", "pages_per_week", "estimated_monthly_savings_usd")
    )


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f"${Decimal(value):,.2f}"
    return "–" if value is None else str(value)
