"""Post insights to a URL of the user's.

Delivery: at least once. `webhook-id` is the insight's id and the same on every copy; a receiver that remembers it sees
each insight once. 2xx is success, 410 stops until the next start.
"""

from collections.abc import Callable

import msgspec

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.core.config import JsonObject
from tokensense_otel.core.insight import Insight
from tokensense_otel.exporters.exporter import Payload, Receipt
from tokensense_otel.exporters.http.poster import Poster
from tokensense_otel.exporters.webhook.config import WebhookConfig
from tokensense_otel.exporters.webhook.payload import encode_alerts, encode_cloud_event, encode_event
from tokensense_otel.exporters.webhook.signature import sign, signing_key

_FORMATS: dict[str, tuple[Callable[[Insight], JsonObject], str]] = {
    "standard": (encode_event, "application/json"),
    "cloudevents": (encode_cloud_event, "application/cloudevents+json"),
    "alertmanager": (encode_alerts, "application/json"),
}


class WebhookExporter(Poster):
    Config = WebhookConfig

    def __init__(self, config: WebhookConfig, clock: Clock = system_clock) -> None:
        super().__init__()
        self._url = config.url
        self._encode, self._media_type = _FORMATS[config.format]
        self._headers = config.headers
        self._keys = [signing_key(secret.get_secret_value()) for secret in config.secret]
        self._clock = clock

    def render(self, insight: Insight) -> Payload:
        return Payload(insight.id, insight.episode_id, self._encode(insight))

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:  # noqa: ARG002 - nothing is edited
        """Post once, signed for this attempt."""
        body = msgspec.json.encode(payload.body)
        timestamp_s = self._clock() // 1_000_000_000
        headers = {name: value.get_secret_value() for name, value in self._headers.items()}
        headers |= {"content-type": self._media_type, "webhook-id": payload.id, "webhook-timestamp": str(timestamp_s)}
        if self._keys:
            headers["webhook-signature"] = sign(self._keys, payload.id, timestamp_s, body)
        response = await self.post(self._url.get_secret_value(), body, headers)
        return Receipt({"status": response.status})
