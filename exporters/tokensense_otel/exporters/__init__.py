"""Where insights go. This page is the surface for those who write an exporter; docs/exporters.md shows one in 20 lines.

`registry` finds and builds exporters, `delivery` is the ring around them, `process` runs both, and each destination
has a folder of its own.
"""

from tokensense_otel.exporters.config import ExporterConfig, HttpExporterConfig, SecretUrl
from tokensense_otel.exporters.errors import EndpointDown, Reject, Retry, Throttle
from tokensense_otel.exporters.exporter import Context, Exporter, NamedExporter, Payload, Receipt

__all__ = [
    "Context",
    "EndpointDown",
    "Exporter",
    "ExporterConfig",
    "HttpExporterConfig",
    "NamedExporter",
    "Payload",
    "Receipt",
    "Reject",
    "Retry",
    "SecretUrl",
    "Throttle",
]
