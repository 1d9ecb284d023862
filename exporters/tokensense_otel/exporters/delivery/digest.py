"""Many findings in one message, for an endpoint that could not take them one by one in time. Pure.

A digest is an insight of its own kind, so that every exporter can render it. Its id is made of what is in it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from tokensense_otel.core.insight import Insight, Severity, Status, stable_id

RULE: Final = "DIGEST"
MOST: Final = 1_000
"""Findings in one digest."""
_SHOWN: Final = 10
_WEIGHT: Final = {Severity.HIGH: 2, Severity.MEDIUM: 1, Severity.LOW: 0}
_VERBS: Final = {Status.FIRING: "began", Status.UPDATE: "changed", Status.RESOLVED: "ended"}


def digest(insights: Sequence[Insight]) -> Insight:
    """What they have in common, how many of which kind, and the gravest of them by name."""
    name = stable_id("dg", *(insight.id for insight in insights))
    counts = Counter(insight.status for insight in insights)
    how = ", ".join(f"{counts[status]} {verb}" for status, verb in _VERBS.items() if counts[status])
    gravest = sorted(insights, key=_gravity, reverse=True)[:_SHOWN]
    lines = [f"{each.severity.value} {each.rule}: {each.title}" for each in gravest]
    rest = len(insights) - len(gravest)
    return Insight(
        id=name,
        episode_id=name,
        status=Status.FIRING,
        rule=RULE,
        severity=gravest[0].severity,
        tenant=_common(insight.tenant for insight in insights),
        project=_common(insight.project for insight in insights),
        scope={},
        title=f"{len(insights)} findings at once: {how}",
        summary="; ".join(lines) + (f"; and {rest} more." if rest else "."),
        evidence={
            "findings": len(insights),
            **{verb: counts[status] for status, verb in _VERBS.items()},
            "by_rule": dict(Counter(insight.rule for insight in insights).most_common(_SHOWN)),
            "by_team": dict(Counter(insight.scope.get("team", "") for insight in insights).most_common(_SHOWN)),
            "gravest": [each.id for each in gravest],
        },
        suggested_fix="`tokensense insights` lists them, `tokensense insights show ID` proves each.",
        estimated_monthly_savings_usd=None,
        started_at=min(insight.started_at for insight in insights),
        detected_at=max(insight.detected_at for insight in insights),
    )


def _gravity(insight: Insight) -> tuple[bool, int, Decimal]:
    return (
        insight.status is not Status.RESOLVED,
        _WEIGHT[insight.severity],
        Decimal(insight.estimated_monthly_savings_usd or 0),
    )


def _common(names: Iterable[str]) -> str:
    found = set(names)
    return found.pop() if len(found) == 1 else "several"
