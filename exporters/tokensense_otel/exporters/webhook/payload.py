"""The webhook's body, in the three forms that receivers know."""

from urllib.parse import quote

from tokensense_otel.core.config import JsonObject
from tokensense_otel.core.insight import Insight, Status, to_dict
from tokensense_otel.exporters.alertmanager.payload import encode_alert

_OPEN_HOURS = 720.0


def encode_event(insight: Insight) -> JsonObject:
    """`{"type": "insight.firing", "timestamp": …, "data": Insight}`; the time is the event's, not the attempt's.

    Standard Webhooks 1.0.0, "Payload structure".
    """
    return {
        "type": f"insight.{insight.status}",
        "timestamp": insight.resolved_at or insight.detected_at,
        "data": to_dict(insight),
    }


def encode_cloud_event(insight: Insight) -> JsonObject:
    """A CloudEvent in structured JSON (CloudEvents 1.0.2, "JSON Event Format"): `id` and `source` tell copies."""
    return {
        "specversion": "1.0",
        "id": insight.id,
        "source": f"/tokensense/{quote(insight.tenant, safe='')}/{quote(insight.project, safe='')}",
        "type": f"dev.tokensense.insight.{insight.status}",
        "subject": insight.episode_id,
        "time": insight.resolved_at or insight.detected_at,
        "datacontenttype": "application/json",
        "data": to_dict(insight),
    }


def encode_alerts(insight: Insight) -> JsonObject:
    """What Alertmanager posts to a webhook (version 4), with one alert: its receivers can be used as they are."""
    state = "resolved" if insight.status is Status.RESOLVED else "firing"
    alert = encode_alert(insight, {}, _OPEN_HOURS)
    alert = {"status": state, "generatorURL": "", **alert, "fingerprint": insight.episode_id}
    if insight.status is not Status.RESOLVED:
        alert["endsAt"] = "0001-01-01T00:00:00Z"  # as Alertmanager writes an end that is not known
    return {
        "version": "4",
        "groupKey": insight.episode_id,
        "truncatedAlerts": 0,
        "status": state,
        "receiver": "tokensense",
        "groupLabels": {"alertname": insight.rule},
        "commonLabels": alert["labels"],
        "commonAnnotations": alert["annotations"],
        "externalURL": "",
        "alerts": [alert],
    }
