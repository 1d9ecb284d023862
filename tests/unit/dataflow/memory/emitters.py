"""OTLP metrics as emitters write them."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

T = 1_790_000_000_000_000_000
MIB = 1_048_576

POD = {
    "k8s.namespace.name": "shop",
    "k8s.pod.name": "web-1",
    "k8s.pod.uid": "u-1",
    "k8s.container.name": "web",
}
LAMBDA = {"faas.name": "resize", "cloud.region": "eu-west-1"}


def pairs(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Any) -> AnyValue:
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=pairs(value)))
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)


def gauge(name: str, value: float, *, time_ns: int = T, unit: str = "By", flags: int = 0, **attributes: Any) -> Metric:
    point = NumberDataPoint(time_unix_nano=time_ns, attributes=pairs(attributes), flags=flags)
    if isinstance(value, int):
        point.as_int = value
    else:
        point.as_double = value
    return Metric(name=name, unit=unit, gauge=Gauge(data_points=[point]))


def summed(name: str, value: int) -> Metric:
    """An UpDownCounter, as the conventions want it where the Collector sends a gauge."""
    return Metric(name=name, sum=Sum(data_points=[NumberDataPoint(time_unix_nano=T, as_int=value)]))


def histogram(**fields: Any) -> Metric:
    point = HistogramDataPoint(time_unix_nano=T, **fields)
    return Metric(name="faas.mem_usage", unit="By", histogram=Histogram(data_points=[point]))


def exponential(**fields: Any) -> Metric:
    metric = Metric(name="faas.mem_usage", unit="By")
    point = ExponentialHistogramDataPoint(time_unix_nano=T, **fields)
    metric.exponential_histogram.data_points.append(point)
    return metric


def summary(name: str, quantiles: Mapping[float, float], *, count: int = 1, total: float = 0, **dims: Any) -> Metric:
    values = [SummaryDataPoint.ValueAtQuantile(quantile=at, value=value) for at, value in quantiles.items()]
    metric = Metric(name=name)
    metric.summary.data_points.append(
        SummaryDataPoint(
            time_unix_nano=T,
            count=count,
            sum=total,
            quantile_values=values,
            attributes=pairs({"Namespace": "LambdaInsights", "Dimensions": dims}),
        )
    )
    return metric


def request(resource: Mapping[str, Any], *metrics: Metric) -> ExportMetricsServiceRequest:
    return ExportMetricsServiceRequest(
        resource_metrics=[
            ResourceMetrics(
                resource=Resource(attributes=pairs(resource)), scope_metrics=[ScopeMetrics(metrics=list(metrics))]
            )
        ]
    )
