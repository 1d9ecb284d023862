"""An insight in the words that every destination shares, so that Slack, a pager and a terminal say the same."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from tokensense_otel.core.insight import Insight, Severity, Status

SEVERITY_MARK = {Severity.HIGH: "🔴", Severity.MEDIUM: "🟠", Severity.LOW: "🟡"}
RESOLVED_MARK = "✅"
STATUS_WORD = {Status.FIRING: "Firing", Status.UPDATE: "Update", Status.RESOLVED: "Resolved"}


def mark(insight: Insight) -> str:
    return RESOLVED_MARK if insight.status is Status.RESOLVED else SEVERITY_MARK[insight.severity]


def savings(insight: Insight) -> str | None:
    """`$1,234.50 a month`, or `None` where it is unknown."""
    amount = insight.estimated_monthly_savings_usd
    if amount is None:
        return None
    try:
        return f"${Decimal(amount):,.2f} a month"
    except (InvalidOperation, ValueError):
        return f"${amount} a month"


def whose(insight: Insight) -> list[tuple[str, str]]:
    """The scope, and the project and tenant where they are not the default."""
    named = list(insight.scope.items())
    return named + [
        (name, value)
        for name, value in (("project", insight.project), ("tenant", insight.tenant))
        if value != "default" and name not in insight.scope
    ]


def when(insight: Insight) -> str:
    until = f" until {insight.resolved_at}" if insight.resolved_at else ""
    return f"since {insight.started_at}{until}"


def numbers(insight: Insight, most: int) -> list[tuple[str, str]]:
    """Up to `most` of the evidence's entries as text: plain values first, then lists and objects as JSON."""
    plain = [(name, value) for name, value in insight.evidence.items() if not isinstance(value, list | dict)]
    nested = [(name, value) for name, value in insight.evidence.items() if isinstance(value, list | dict)]
    return [(name, _text(value)) for name, value in (plain + nested)[:most]]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False, default=str)
