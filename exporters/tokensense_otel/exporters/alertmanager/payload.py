"""An insight as an alert of Alertmanager's API v2 (`postableAlerts`).

Facts (Alertmanager's OpenAPI v2 and `resolve_timeout`): alerts are told apart by their labels alone, so nothing that
changes within an episode is one; an alert is over at its `endsAt`, or five minutes after it was last repeated where it
has none; annotations are free text.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from tokensense_otel.core.config import JsonObject
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.exporters import facts
from tokensense_otel.exporters.alertmanager.config import LABEL
from tokensense_otel.exporters.text import clean, clip, one_line

_LABEL_CHARS = 1_000
_TEXT_CHARS = 4_000
_NUMBERS = 30


def encode_alert(insight: Insight, labels: Mapping[str, str], open_for_hours: float) -> JsonObject:
    """`startsAt` is when the episode began; `endsAt` is its end, or a time so far ahead that it stays open."""
    annotations = {
        "summary": insight.title,
        "description": insight.summary,
        "what_to_do": insight.suggested_fix,
        "could_save": facts.savings(insight) or "not known",
        "insight_id": insight.id,
        "evidence": "\n".join(f"{name}: {value}" for name, value in facts.numbers(insight, _NUMBERS)),
    }
    alert: JsonObject = {
        "labels": alert_labels(insight) | dict(labels),
        "annotations": {name: clip(clean(text), _TEXT_CHARS) for name, text in annotations.items() if text},
        "startsAt": insight.started_at,
        "endsAt": _end(insight, open_for_hours),
    }
    link = next((url for url in insight.links.values() if url.startswith(("https://", "http://"))), None)
    if link is not None and link.isascii() and link.isprintable():
        alert["generatorURL"] = link
    return alert


def alert_labels(insight: Insight) -> dict[str, str]:
    """What tells the episode apart: rule, severity, whose it is, and the episode itself."""
    scope = {_label(name): value for name, value in insight.scope.items()}
    fixed = {
        "alertname": insight.rule,
        "severity": insight.severity.value,
        "tenant": insight.tenant,
        "project": insight.project,
        "episode": insight.episode_id,
    }
    both = scope | fixed
    return {name: text for name, value in both.items() if (text := clip(one_line(value), _LABEL_CHARS))}


def _label(name: str) -> str:
    """A name that Prometheus takes in every version."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char == "_") else "_" for char in name[:100])
    return plain if LABEL.fullmatch(plain) else f"_{plain}"


def _end(insight: Insight, open_for_hours: float) -> str:
    if insight.status is Status.RESOLVED:
        return insight.resolved_at or insight.detected_at
    told = datetime.fromisoformat(insight.detected_at)
    return (told + timedelta(hours=open_for_hours)).isoformat(timespec="seconds").replace("+00:00", "Z")
