"""What became of spans, as metrics: read from the store when somebody asks, so that they are the books' own numbers."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tokensense_otel.core.tally import What
from tokensense_otel.core.usage import ACCOUNTING_FIELDS
from tokensense_otel.store.reader import read_accounting_by_tenant, read_tallies


class BooksCollector(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """What the store has; nothing while it cannot be read, so that the processes' own metrics still show."""
        try:
            yield from self._read()
        except SQLAlchemyError:
            return

    def _read(self) -> Iterator[Metric]:
        # A gauge: what a span counts as can change when more of its trace comes.
        outcomes = GaugeMetricFamily(
            "tokensense_accounting_spans", "Spans read, and what became of them.", labels=("tenant", "outcome")
        )
        for tenant, accounting in sorted(read_accounting_by_tenant(self._engine).items()):
            for name in ACCOUNTING_FIELDS:
                outcomes.add_metric((tenant, name), getattr(accounting, name))
        yield outcomes
        corrected = CounterMetricFamily(
            "tokensense_corrections",
            "Bad input that was corrected or refused, by reason.",
            labels=("tenant", "service", "reason"),
        )
        for tally, count in sorted(read_tallies(self._engine).items()):
            if tally.what == What.CORRECTION:
                corrected.add_metric((tally.tenant, tally.service, tally.name), count)
        yield corrected
