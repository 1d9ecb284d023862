"""Post insights to a Microsoft Teams channel.

Delivery: at least once, as far as the flow: it answers 202 when it has accepted a card, not when it is shown. Nothing
can be edited later, so firing, updates and resolve are messages of their own; the insight's id is in the last line.
"""

import msgspec

from tokensense_otel.core.insight import Insight
from tokensense_otel.exporters.exporter import Context, Payload, Receipt
from tokensense_otel.exporters.http.client import HttpClient
from tokensense_otel.exporters.teams.config import TeamsConfig
from tokensense_otel.exporters.teams.payload import encode_card, encode_text


class TeamsExporter:
    Config = TeamsConfig

    def __init__(self, config: TeamsConfig) -> None:
        self._url = config.webhook_url
        self._http: HttpClient | None = None

    def render(self, insight: Insight) -> Payload:
        return Payload(insight.id, insight.episode_id, encode_card(insight), encode_text(insight))

    async def start(self, context: Context) -> None:
        self._http = context.http

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:  # noqa: ARG002 - nothing is edited
        """Post once."""
        if self._http is None:
            raise RuntimeError("send before start")
        response = await self._http.post(self._url.get_secret_value(), msgspec.json.encode(payload.body))
        return Receipt({"status": response.status})

    async def aclose(self) -> None:
        self._http = None
