"""Post insights to a Slack channel.

Delivery: at least once. An incoming webhook cannot edit and returns no id, so firing, updates and resolve are messages
of their own and a copy cannot be told from its original but by the insight id in its last line.
"""

from tokensense_otel.core.insight import Insight
from tokensense_otel.exporters.exporter import Payload, Receipt
from tokensense_otel.exporters.http.poster import Poster
from tokensense_otel.exporters.slack.answer import error_in
from tokensense_otel.exporters.slack.config import SlackConfig
from tokensense_otel.exporters.slack.payload import encode_blocks, encode_text


class SlackExporter(Poster):
    Config = SlackConfig

    def __init__(self, config: SlackConfig) -> None:
        super().__init__()
        self._url = config.webhook_url

    def render(self, insight: Insight) -> Payload:
        return Payload(insight.id, insight.episode_id, encode_blocks(insight), encode_text(insight))

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:  # noqa: ARG002 - nothing is edited
        """Post once; a 200 that names an error is that error."""
        response = await self.post(self._url.get_secret_value(), payload.body)
        error = error_in(response.body)
        if error is not None:
            raise error
        return Receipt({"status": response.status})
