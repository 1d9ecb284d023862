"""Push insights to Prometheus' Alertmanager, which groups, routes and silences them as it does every alert.

Delivery: at least once. A copy is the same alert: it has the same labels. Alertmanager forgets alerts when it is
restarted without its data; what is open then is not told again before its next update.
"""

from tokensense_otel.core.insight import Insight
from tokensense_otel.exporters.alertmanager.config import AlertmanagerConfig
from tokensense_otel.exporters.alertmanager.payload import encode_alert
from tokensense_otel.exporters.exporter import Payload, Receipt
from tokensense_otel.exporters.http.poster import Poster


class AlertmanagerExporter(Poster):
    Config = AlertmanagerConfig
    keeps_state = True

    def __init__(self, config: AlertmanagerConfig) -> None:
        super().__init__()
        self._config = config

    def render(self, insight: Insight) -> Payload:
        alert = encode_alert(insight, self._config.labels, self._config.open_for_hours)
        return Payload(insight.id, insight.episode_id, alert)

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:  # noqa: ARG002 - labels say which it is
        """Post one alert."""
        url = self._config.url.get_secret_value().rstrip("/") + "/api/v2/alerts"
        headers = {name: value.get_secret_value() for name, value in self._config.headers.items()}
        response = await self.post(url, [payload.body], headers)
        return Receipt({"status": response.status})
