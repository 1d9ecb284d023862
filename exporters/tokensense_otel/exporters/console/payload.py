"""An insight as one line of plain text.

2026-01-01T12:00:00Z FIRING   high   MODEL_MISUSE team=search model=o1: Premium model on trivial work | … | …
"""

from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.exporters import facts
from tokensense_otel.exporters.text import one_line


def encode_line(insight: Insight) -> str:
    """One line: when, status, severity, rule, whose: title | summary | saves | do. Never more than one."""
    scope = " ".join(f"{name}={value}" for name, value in facts.whose(insight))
    at = insight.resolved_at or insight.detected_at
    head = f"{at} {insight.status.upper():<8} {insight.severity:<6} {insight.rule} {scope}".rstrip()
    parts = [f"{head}: {insight.title}", insight.summary]
    saves = facts.savings(insight)
    if saves is not None:
        parts.append(f"saves about {saves}")
    if insight.suggested_fix and insight.status is not Status.RESOLVED:
        parts.append(f"do: {insight.suggested_fix}")
    return " | ".join(one_line(part) if index else _aligned(part) for index, part in enumerate(parts) if part)


def _aligned(head: str) -> str:
    """One line that keeps the padding of its columns."""
    return " ".join(head.split("\n")) if head.isprintable() else one_line(head)
