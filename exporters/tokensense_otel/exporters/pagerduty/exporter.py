"""Send insights to PagerDuty.

Delivery: at least once; copies join the same alert by their `dedup_key`. 202 says that the event was accepted, not
that an incident exists yet.
"""

from typing import ClassVar

from tokensense_otel.core.insight import Insight
from tokensense_otel.exporters.exporter import Payload, Receipt
from tokensense_otel.exporters.http.poster import Poster
from tokensense_otel.exporters.pagerduty.config import PagerDutyConfig
from tokensense_otel.exporters.pagerduty.payload import encode_event, encode_minimal


class PagerDutyExporter(Poster):
    Config = PagerDutyConfig
    keeps_state: ClassVar[bool] = True

    def __init__(self, config: PagerDutyConfig) -> None:
        super().__init__()
        self._url = config.url
        self._routing_key = config.routing_key

    def render(self, insight: Insight) -> Payload:
        return Payload(insight.id, insight.episode_id, encode_event(insight), encode_minimal(insight))

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:  # noqa: ARG002 - nothing is edited
        """Post once. PagerDuty names no Retry-After with a 429: then half a minute is waited."""
        assert isinstance(payload.body, dict)  # noqa: S101 - `render` makes one
        event = {"routing_key": self._routing_key.get_secret_value(), **payload.body}
        response = await self.post(self._url.get_secret_value(), event)
        return Receipt({"status": response.status, "dedup_key": payload.body["dedup_key"]})
