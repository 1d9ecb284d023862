"""TokenSense's own metrics by OTLP."""

import asyncio
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as OtlpMetric
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from pydantic import ValidationError

from tests.support.receiving import NOW, MemoryLog, running
from tokensense_otel.core.errors import Permanent
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.service.telemetry.config import TelemetryConfig
from tokensense_otel.service.telemetry.convert import Times, to_otlp
from tokensense_otel.service.telemetry.push import MetricsPush


def registry() -> CollectorRegistry:
    """A counter with two series, a gauge, a histogram, and something that has no counterpart."""
    made = CollectorRegistry()
    items = Counter("tokensense_items", "Items.", ["signal"], registry=made)
    items.labels("traces").inc(3)
    items.labels("logs").inc(2)
    Gauge("tokensense_full", "How full.", registry=made).set(0.5)
    seconds = Histogram("tokensense_seconds", "How long.", ["outcome"], buckets=(0.1, 1.0), registry=made)
    for value in (0.05, 0.1, 0.5, 7.0):
        seconds.labels("accepted").observe(value)
    Info("tokensense_build", "Which.", registry=made).info({"version": "1"})
    return made


def test_each_kind_has_its_counterpart() -> None:
    """A counter is a cumulative sum, a gauge a gauge, an info nothing; times are the beginning and now."""
    found = {metric.name: metric for metric in to_otlp(registry().collect(), Times(1, 2))}

    assert set(found) == {"tokensense_items", "tokensense_full", "tokensense_seconds"}
    items: Any = found["tokensense_items"].data
    assert (items.is_monotonic, items.aggregation_temporality.name) == (True, "CUMULATIVE")
    assert [(point.attributes, point.value) for point in items.data_points] == [
        ({"signal": "traces"}, 3),
        ({"signal": "logs"}, 2),
    ]
    assert {(point.start_time_unix_nano, point.time_unix_nano) for point in items.data_points} == {(1, 2)}
    full: Any = found["tokensense_full"].data
    assert [point.value for point in full.data_points] == [0.5]


def test_a_histogram_counts_between_its_bounds() -> None:
    """0.05 and 0.1 are at or below 0.1, 0.5 is up to 1, 7 is beyond: 2, 1, 1; and their sum is 7.65."""
    (metric,) = (metric for metric in to_otlp(registry().collect(), Times(1, 2)) if metric.name == "tokensense_seconds")

    data: Any = metric.data
    (point,) = data.data_points
    assert (point.attributes, point.count) == ({"outcome": "accepted"}, 4)
    assert (point.bucket_counts, point.explicit_bounds) == ([2, 1, 1], [0.1, 1.0])
    assert point.sum == pytest.approx(7.65)


def metrics_of(body: bytes) -> dict[str, OtlpMetric]:
    request = ExportMetricsServiceRequest.FromString(body)
    return {
        metric.name: metric
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def pushed(log: MemoryLog, **config: Any) -> None:
    """Start against a real receiver, and stop at once."""

    async def story() -> None:
        keys = {"required": True, "keys": [{"name": "own", "tenant": "us", "key": "k"}]}
        async with running(log, auth=keys) as receiver:
            section = {"endpoint": f"http://{receiver.endpoints.http}/v1/metrics", **config}
            push = MetricsPush(TelemetryConfig.model_validate(section), lambda: [registry()], lambda: NOW)
            await push.start()
            async with asyncio.timeout(20):
                while "interval_s" in config and not log.entries:
                    log.waiting.clear()
                    await log.waiting.wait()
                    await asyncio.sleep(0)
            await push.stop()
            await push.stop()

    asyncio.run(story())


def test_metrics_arrive_at_the_end_of_a_run() -> None:
    """What a run counted is sent when it stops, with the headers that were configured, under our service's name."""
    log = MemoryLog()
    pushed(log, headers={"ts-api-key": "k"})

    (entry,) = log.entries
    assert (entry.signal, entry.tenant) == (Signal.METRICS, "us")
    found = metrics_of(entry.body)
    assert [point.as_double for point in found["tokensense_items"].sum.data_points] == [3, 2]
    (point,) = found["tokensense_seconds"].histogram.data_points
    assert (list(point.bucket_counts), point.HasField("min"), point.HasField("max")) == ([2, 1, 1], False, False)
    request = ExportMetricsServiceRequest.FromString(entry.body)
    attributes = {a.key: a.value.string_value for a in request.resource_metrics[0].resource.attributes}
    assert attributes["service.name"] == "tokensense"


def test_metrics_arrive_again_and_again() -> None:
    """Every interval, and once more at the end."""
    log = MemoryLog()
    pushed(log, headers={"ts-api-key": "k"}, interval_s=0.01)
    assert len(log.entries) >= 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_metrics_that_cannot_be_sent_harm_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal is one warning; numbers that cannot be gathered are another."""
    pushed(MemoryLog(Permanent("never")), headers={"ts-api-key": "k"})
    assert "telemetry_unsent" in "".join(capsys.readouterr())

    async def story() -> None:
        def fail() -> list[CollectorRegistry]:
            raise OSError("a disk")

        push = MetricsPush(TelemetryConfig(endpoint="http://127.0.0.1:9/v1/metrics"), fail, lambda: NOW)
        await push.start()
        await push.stop()

    asyncio.run(story())
    assert "a disk" in "".join(capsys.readouterr())


def test_nothing_is_sent_by_default() -> None:
    """Without an endpoint, starting and stopping do nothing; one that is no URL is refused."""
    push = MetricsPush(TelemetryConfig(), list, lambda: NOW)
    asyncio.run(push.start())
    asyncio.run(push.stop())
    with pytest.raises(ValidationError, match="write it whole"):
        TelemetryConfig(endpoint="collector:4318")
