"""Prometheus's metric families → the metrics of the OpenTelemetry SDK. Pure.

Names stay those of `/metrics`, as the Collector's Prometheus receiver keeps them, so that one dashboard reads both.
Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility".
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

_CUMULATIVE = AggregationTemporality.CUMULATIVE


class Times(NamedTuple):
    """When counting began and when it was looked at, in Unix ns."""

    start_ns: int
    now_ns: int


def to_otlp(families: Iterable[Family], times: Times) -> list[Metric]:
    """Counters are cumulative sums, gauges gauges, histograms histograms with the same bounds. Others are left out."""
    found = [(family, _data(family, times)) for family in families]
    return [Metric(family.name, family.documentation, "", data) for family, data in found if data is not None]


def _data(family: Family, times: Times) -> Sum | Gauge | Histogram | None:
    match family.type:
        case "counter":
            counted = [sample for sample in family.samples if sample.name.endswith("_total")]
            return Sum([_point(sample, times) for sample in counted], _CUMULATIVE, is_monotonic=True)
        case "gauge":
            return Gauge([_point(sample, times) for sample in family.samples])
        case "histogram":
            return Histogram(_histogram_points(family, times), _CUMULATIVE)
        case _:
            return None


def _point(sample: Sample, times: Times) -> NumberDataPoint:
    return NumberDataPoint(dict(sample.labels), times.start_ns, times.now_ns, sample.value)


def _histogram_points(family: Family, times: Times) -> list[HistogramDataPoint]:
    """Prometheus counts what is at or below each bound; OTLP what is between two."""
    below: dict[tuple[tuple[str, str], ...], dict[float, int]] = defaultdict(dict)
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in family.samples:
        labels = dict(sample.labels)
        bound = labels.pop("le", "")
        key = tuple(sorted(labels.items()))
        if sample.name.endswith("_bucket"):
            below[key][float(bound)] = int(sample.value)
        elif sample.name.endswith("_sum"):
            sums[key] = sample.value
    unknown: Any = None  # Prometheus keeps neither the least nor the greatest
    points = []
    for key, at_most in below.items():
        bounds = sorted(at_most)
        counts = [at_most[bounds[0]], *(at_most[high] - at_most[low] for low, high in pairwise(bounds))]
        points.append(
            HistogramDataPoint(
                attributes=dict(key),
                start_time_unix_nano=times.start_ns,
                time_unix_nano=times.now_ns,
                count=at_most[bounds[-1]],
                sum=sums.get(key, 0.0),
                bucket_counts=counts,
                explicit_bounds=bounds[:-1],  # the last is infinity, which OTLP does not write
                min=unknown,
                max=unknown,
            )
        )
    return points
