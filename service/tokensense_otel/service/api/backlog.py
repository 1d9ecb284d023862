"""How the log is, as metrics: looked at when somebody asks, and so true also when a part is down."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tokensense_otel.core.component import Clock
from tokensense_otel.receiver.log.log import LogReader


class LogCollector(Collector):
    """Gauges of `log`, which takes at most `max_bytes`."""

    def __init__(self, log: LogReader, max_bytes: int, clock: Clock) -> None:
        self._log = log
        self._max_bytes = max_bytes
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Nothing while the log cannot be looked at, so that the other metrics still show."""
        try:
            status = self._log.status()
        except OSError:
            return
        for name, help_text, value in (
            ("tokensense_log_disk_bytes", "Bytes that the log takes on disk.", status.disk_bytes),
            ("tokensense_log_max_bytes", "Bytes on disk at which the log takes no more.", self._max_bytes),
            ("tokensense_log_lag_bytes", "Bytes that the dataflow has not committed.", status.uncommitted_bytes),
            ("tokensense_log_lag_seconds", "How long the oldest of them has been there.", status.lag_s(self._clock())),
        ):
            yield GaugeMetricFamily(name, help_text, value=value)
