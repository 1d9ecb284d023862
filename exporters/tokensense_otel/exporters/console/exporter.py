"""Print insights.

Delivery: at least once to this process's standard output; what is behind a pipe is not known.
"""

import sys

from tokensense_otel.core.insight import Insight
from tokensense_otel.exporters.console.config import ConsoleConfig
from tokensense_otel.exporters.console.payload import encode_line
from tokensense_otel.exporters.errors import EndpointDown
from tokensense_otel.exporters.exporter import Context, Payload, Receipt


class ConsoleExporter:
    Config = ConsoleConfig

    def __init__(self, config: ConsoleConfig) -> None:
        self._config = config

    def render(self, insight: Insight) -> Payload:
        return Payload(insight.id, insight.episode_id, encode_line(insight))

    async def start(self, context: Context) -> None:
        """Nothing to get ready."""

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:  # noqa: ARG002 - nothing is edited
        """Write one line.

        Raises:
            EndpointDown: when standard output is closed.
        """
        line = f"{payload.body}\n"
        try:
            encoding = sys.stdout.encoding or "utf-8"
            sys.stdout.write(line.encode(encoding, "replace").decode(encoding))
            sys.stdout.flush()
        except (OSError, ValueError) as error:  # ValueError: it was closed
            raise EndpointDown(f"standard output takes nothing ({error})") from None
        return Receipt()

    async def aclose(self) -> None:
        """Nothing to release: standard output belongs to the process."""
