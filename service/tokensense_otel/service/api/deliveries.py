"""The books of the outbox, as metrics: read from the store when somebody asks, so that they are those of the audit."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tokensense_otel.store.outbox import Outbox


class OutboxCollector(Collector):
    """For each exporter: accepted = delivered + dead + suppressed + pending, and why what is suppressed is."""

    def __init__(self, engine: Engine) -> None:
        self._outbox = Outbox(engine)

    def collect(self) -> Iterator[Metric]:
        """Nothing while the store cannot be read, so that the other metrics still show."""
        try:
            books, reasons = self._outbox.audit(), self._outbox.suppressed()
        except SQLAlchemyError:
            return
        # A gauge: `outbox replay` takes what has ended back to pending.
        outcomes = GaugeMetricFamily(
            "tokensense_outbox_deliveries",
            "Deliveries, by what became of them.",
            labels=("exporter", "state"),
        )
        for book in books:
            for state in ("accepted", "delivered", "dead", "suppressed", "pending"):
                outcomes.add_metric((book.exporter, state), getattr(book, state))
        yield outcomes
        suppressed = CounterMetricFamily(
            "tokensense_outbox_suppressed",
            "Deliveries not sent, by reason.",
            labels=("exporter", "reason"),
        )
        for exporter, reason, count in reasons:
            suppressed.add_metric((exporter, reason), count)
        yield suppressed
