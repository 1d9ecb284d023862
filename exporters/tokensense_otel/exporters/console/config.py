"""The console's keys: only the common ones."""

from tokensense_otel.exporters.config import ExporterConfig


class ConsoleConfig(ExporterConfig):
    type: str = "console"
