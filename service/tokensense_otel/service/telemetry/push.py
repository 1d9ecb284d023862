"""Sends the numbers of `/metrics` by OTLP, now and then and once more at the end.

Delivery: at most once each time. Counters are cumulative, so what was not sent is in the next.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.registry import CollectorRegistry

from tokensense_otel.core.component import Clock
from tokensense_otel.service import events
from tokensense_otel.service.telemetry.config import TelemetryConfig
from tokensense_otel.service.telemetry.convert import Times, to_otlp

Gather = Callable[[], Iterable[CollectorRegistry]]

_TIMEOUT_S = 5.0


class MetricsPush:
    """A `Component`; does nothing where no endpoint is configured. `gather` gives what is to be sent."""

    def __init__(self, config: TelemetryConfig, gather: Gather, clock: Clock) -> None:
        self._config = config
        self._gather = gather
        self._clock = clock
        self._start_ns = clock()
        self._exporter: OTLPMetricExporter | None = None
        self._task: asyncio.Task[None] | None = None
        self._resource = Resource.create(
            {
                "service.name": "tokensense",
                "service.version": version("tokensense-otel"),
                "service.instance.id": socket.gethostname(),
            }
        )

    async def start(self) -> None:
        if not self._config.endpoint:
            return
        headers = {name: value.get_secret_value() for name, value in self._config.headers.items()}
        self._exporter = OTLPMetricExporter(self._config.endpoint, headers=headers, timeout=_TIMEOUT_S)
        self._task = asyncio.create_task(self._keep_sending())

    async def stop(self) -> None:
        """Send what there is once more."""
        if self._task is None or self._exporter is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await asyncio.to_thread(self._send, self._exporter)
        self._exporter.shutdown()
        self._task = self._exporter = None

    async def _keep_sending(self) -> None:
        while self._exporter is not None:
            await asyncio.sleep(self._config.interval_s)
            await asyncio.to_thread(self._send, self._exporter)

    def _send(self, exporter: OTLPMetricExporter) -> None:
        times = Times(self._start_ns, self._clock())
        try:
            families = [family for registry in self._gather() for family in registry.collect()]
            scope = ScopeMetrics(InstrumentationScope("tokensense"), to_otlp(families, times), "")
            well = exporter.export(MetricsData([ResourceMetrics(self._resource, [scope], "")]))
        except Exception as error:  # noqa: BLE001 - numbers of ours may not take the API down
            events.TELEMETRY_UNSENT(error=f"{type(error).__name__}: {error}")
        else:
            if well is not MetricExportResult.SUCCESS:
                events.TELEMETRY_UNSENT(error=f"{self._config.endpoint} did not take them")
