"""Post insights to a Microsoft Teams channel.

Delivery: at least once, as far as the flow: it answers 202 when it has accepted a card, not when it is shown. Nothing
can be edited later, so firing, updates and resolve are messages of their own; the insight's id is in the last line.
"""

from tokensense_otel.core.insight import Insight
from tokensense_otel.exporters.exporter import Payload, Receipt
from tokensense_otel.exporters.http.poster import Poster
from tokensense_otel.exporters.teams.config import TeamsConfig
from tokensense_otel.exporters.teams.payload import encode_card, encode_text


class TeamsExporter(Poster):
    Config = TeamsConfig

    def __init__(self, config: TeamsConfig) -> None:
        super().__init__()
        self._url = config.webhook_url

    def render(self, insight: Insight) -> Payload:
        return Payload(insight.id, insight.episode_id, encode_card(insight), encode_text(insight))

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:  # noqa: ARG002 - nothing is edited
        """Post once."""
        response = await self.post(self._url.get_secret_value(), payload.body)
        return Receipt({"status": response.status})
