"""An insight as an Events API v2 event, without the routing key, which `send` adds.

Facts (PagerDuty developer docs, "Send an alert event"): summary at most 1,024 characters, the whole event at most
512 kB, `dedup_key` at most 255. The same key joins the open alert; a resolve without one is dropped, and so are bare
resolves by event rules, which is why a resolve carries the whole payload.
"""

import hashlib
from typing import Any

from tokensense_otel.core.config import JsonObject
from tokensense_otel.core.insight import Insight, Severity, Status
from tokensense_otel.exporters import facts
from tokensense_otel.exporters.text import clean, clip, one_line

SUMMARY_CHARS = 1024
EVENT_BYTES = 512_000

_SEVERITY = {Severity.HIGH: "critical", Severity.MEDIUM: "warning", Severity.LOW: "info"}
_FIELD_CHARS = 255
_TEXT_CHARS = 4000
_ENTRIES = 50


def dedup_key(episode_id: str) -> str:
    """64 hexadecimal digits: one alert for each episode, whatever its id looks like."""
    return hashlib.sha256(episode_id.encode("utf-8", "replace")).hexdigest()


def encode_event(insight: Insight) -> JsonObject:
    """Trigger for firing and update, resolve for resolved."""
    event = encode_minimal(insight)
    details: JsonObject = {
        "what": _short(insight.summary),
        "what_to_do": _short(insight.suggested_fix),
        "could_save": facts.savings(insight) or "not known",
        "whose": {_field(name): _field(value) for name, value in facts.whose(insight)[:_ENTRIES]},
        "when": facts.when(insight),
        "insight_id": _field(insight.id),
        "episode_id": _field(insight.episode_id),
        "evidence": {_field(name): _short(value) for name, value in facts.numbers(insight, _ENTRIES)},
    }
    event["payload"]["custom_details"] = details
    links = [
        {"href": url, "text": _field(name)}
        for name, url in insight.links.items()
        if url.startswith(("https://", "http://")) and len(url) <= 2000
    ]
    return event | {"links": links[:10]} if links else event


def encode_minimal(insight: Insight) -> JsonObject:
    """What PagerDuty requires and no more, for an event that it rejects as a whole."""
    title = f"{insight.rule}: {one_line(insight.title)}"
    payload: dict[str, Any] = {
        "summary": clip(title, SUMMARY_CHARS),
        "source": _field(insight.scope.get("service") or insight.scope.get("team") or insight.project) or "tokensense",
        "severity": _SEVERITY[insight.severity],
        "timestamp": insight.resolved_at or insight.detected_at,
        "class": _field(insight.rule),
        "group": _field(insight.project),
    }
    component = insight.scope.get("model") or insight.scope.get("feature")
    if component:
        payload["component"] = _field(component)
    return {
        "event_action": "resolve" if insight.status is Status.RESOLVED else "trigger",
        "dedup_key": dedup_key(insight.episode_id),
        "client": "TokenSense",
        "payload": payload,
    }


def _field(text: str) -> str:
    return clip(one_line(text), _FIELD_CHARS)


def _short(text: str) -> str:
    return clip(clean(text), _TEXT_CHARS)
