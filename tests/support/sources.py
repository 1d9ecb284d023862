"""Log records and metric points for tests, and books that take spans, records and points alike."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tests.support.books import CAPTURES, SALT, Books, facts_of, price
from tests.support.calls import NOON
from tests.support.spans import any_value, key_values
from tokensense_otel.dataflow.accounting import AccountingConfig, MeteredCalls, Witness
from tokensense_otel.dataflow.facts import MeterPoint, SpanFacts
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.normalise.logs import LogNormaliser
from tokensense_otel.dataflow.normalise.metered import MeterNormaliser

DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE

Item = SpanFacts | MeterPoint


class AllBooks(Books):
    """`Books` with the stage for metrics beside the ledger."""

    def __init__(self, config: AccountingConfig | None = None) -> None:
        super().__init__(config)
        self.metered = MeteredCalls(self.config, price)
        self.witness = Witness()

    def take(self, items: Iterable[Item], now_ns: int = 0) -> None:
        """Account spans, records and points that came in one batch."""
        told = list(items)
        facts = [item for item in told if isinstance(item, SpanFacts)]
        points = [item for item in told if isinstance(item, MeterPoint)]
        self.ingest(facts, now_ns)
        changes = self.metered.ingest([*self.witness.of(facts), *points], now_ns)
        self._account(changes)
        for posting in changes.postings:
            self.standing[posting.call] = self.standing.get(posting.call, 0) + posting.sign
            if not self.standing[posting.call]:
                del self.standing[posting.call]

    def crash(self) -> None:
        super().crash()
        self.metered = MeteredCalls.restore(self.config, price, self.metered.snapshot())
        self.witness = Witness()

    @property
    def balanced(self) -> bool:
        """Whether everything that was read became something, and the calls are those on the books."""
        total = self.total()
        read = total.spans + total.records + total.metered
        became = total.calls + total.duplicates + total.wrappers + total.not_genai + total.rejected
        return read == became and total.calls == sum(call.count for call in self.calls)


def a_record(
    attributes: Mapping[str, Any],
    *,
    event: str = "",
    body: Any = None,
    trace_id: bytes = b"",
    span_id: bytes = b"",
    time_ns: int = NOON,
    observed_ns: int = 0,
) -> LogRecord:
    return LogRecord(
        event_name=event,
        attributes=key_values(attributes),
        body=any_value(body),
        trace_id=trace_id,
        span_id=span_id,
        time_unix_nano=time_ns,
        observed_time_unix_nano=observed_ns,
    )


def a_logs_request(
    *records: LogRecord, scope: str = "", resource: Mapping[str, Any] | None = None
) -> ExportLogsServiceRequest:
    scoped = ScopeLogs(log_records=records)
    scoped.scope.name = scope
    group = ResourceLogs(resource=Resource(attributes=key_values(resource or {})), scope_logs=[scoped])
    return ExportLogsServiceRequest(resource_logs=[group])


def told(*records: LogRecord, scope: str = "", resource: Mapping[str, Any] | None = None) -> list[SpanFacts]:
    """The facts of these records with the default configuration."""
    normaliser = LogNormaliser(Normaliser(NormaliseConfig(), SALT))
    request = a_logs_request(*records, scope=scope, resource=resource)
    facts, rejected = normaliser.records(request, tenant="default", project="")
    assert rejected == 0
    return facts


def a_histogram(
    name: str,
    attributes: Mapping[str, Any],
    *,
    count: int,
    total: float,
    start_ns: int,
    time_ns: int,
    temporality: AggregationTemporality.ValueType = CUMULATIVE,
    **fields: Any,
) -> Metric:
    point = HistogramDataPoint(
        attributes=key_values(attributes),
        count=count,
        sum=total,
        start_time_unix_nano=start_ns,
        time_unix_nano=time_ns,
        **fields,
    )
    return Metric(name=name, histogram=Histogram(data_points=[point], aggregation_temporality=temporality))


def a_counter(
    name: str,
    attributes: Mapping[str, Any],
    *,
    value: float,
    start_ns: int,
    time_ns: int,
    temporality: AggregationTemporality.ValueType = CUMULATIVE,
    monotonic: bool = True,
    **fields: Any,
) -> Metric:
    number: dict[str, Any] = {"as_int": value} if isinstance(value, int) else {"as_double": value}
    point = NumberDataPoint(
        attributes=key_values(attributes),
        start_time_unix_nano=start_ns,
        time_unix_nano=time_ns,
        **number,
        **fields,
    )
    return Metric(name=name, sum=Sum(data_points=[point], aggregation_temporality=temporality, is_monotonic=monotonic))


def a_metrics_request(
    *metrics: Metric, scope: str = "", resource: Mapping[str, Any] | None = None
) -> ExportMetricsServiceRequest:
    scoped = ScopeMetrics(metrics=metrics)
    scoped.scope.name = scope
    group = ResourceMetrics(resource=Resource(attributes=key_values(resource or {})), scope_metrics=[scoped])
    return ExportMetricsServiceRequest(resource_metrics=[group])


def metered(*metrics: Metric, scope: str = "", resource: Mapping[str, Any] | None = None) -> list[MeterPoint]:
    """The points of these metrics with the default configuration."""
    normaliser = MeterNormaliser(Normaliser(NormaliseConfig(), SALT))
    return normaliser.points(a_metrics_request(*metrics, scope=scope, resource=resource), tenant="default", project="")


def spans_of_capture(folder: str) -> list[Item]:
    return [facts for request in facts_of(folder) for facts in request]


def records_of_capture(folder: str) -> list[Item]:
    normaliser = LogNormaliser(Normaliser(NormaliseConfig(), SALT))
    found: list[Item] = []
    for path in sorted((CAPTURES / folder).glob("*.logs.pb")):
        request = ExportLogsServiceRequest.FromString(path.read_bytes())
        found += normaliser.records(request, tenant="default", project="")[0]
    return found


def points_of_capture(folder: str) -> list[Item]:
    normaliser = MeterNormaliser(Normaliser(NormaliseConfig(), SALT))
    found: list[Item] = []
    for path in sorted((CAPTURES / folder).glob("*.metrics.pb")):
        request = ExportMetricsServiceRequest.FromString(path.read_bytes())
        found += normaliser.points(request, tenant="default", project="")
    return found


def shuffled(items: Iterable[Item], seed: int, most: int = 6) -> list[list[Item]]:
    """The items in another order, cut into batches of random sizes."""
    chance = random.Random(seed)
    left = list(items)
    chance.shuffle(left)
    cut: list[list[Item]] = []
    while left:
        size = chance.randint(1, most)
        cut.append(left[:size])
        left = left[size:]
    return cut
