"""One number out of a data point of any kind, never lower than what was really used.

Under-reporting use would accuse a well-sized container, so a mean is never taken: a histogram gives its maximum, else
the upper bound of its highest bucket with anything in it. Temporality does not matter: the maximum of a cumulative
histogram covers its whole life, which can only say too much.
"""

import math
from collections.abc import Iterator
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

NO_VALUE: Final = 1
"""Flag of a point that says that nothing was recorded (`DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`)."""

UNBOUNDED: Final = math.inf
"""Somewhere above the last bound."""

Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint


def points(metric: Metric) -> Iterator[tuple[Point, float]]:
    """(data point, its highest value) of each point that holds one; negative and absent values are passed over."""
    match metric.WhichOneof("data"):
        case "gauge":
            found: Iterator[tuple[Point, float | None]] = ((each, _number(each)) for each in metric.gauge.data_points)
        case "sum":
            found = ((each, _number(each)) for each in metric.sum.data_points)
        case "histogram":
            found = ((each, _histogram(each)) for each in metric.histogram.data_points)
        case "exponential_histogram":
            found = ((each, _exponential(each)) for each in metric.exponential_histogram.data_points)
        case "summary":
            found = ((each, _summary(each)) for each in metric.summary.data_points)
        case _:
            return
    for point, value in found:
        if value is not None and value >= 0 and not point.flags & NO_VALUE and point.time_unix_nano:
            yield point, value


def total(point: Point) -> float | None:
    """The sum of a histogram's or summary's values; `None` where the point has none or begins nobody knows when."""
    if isinstance(point, NumberDataPoint) or not point.start_time_unix_nano:
        return None
    if not isinstance(point, SummaryDataPoint) and not point.HasField("sum"):
        return None
    return point.sum


def attributes(pairs: "Iterator[KeyValue] | list[KeyValue]") -> dict[str, str | int]:
    """Strings and integers of an attribute list; CloudWatch's `Dimensions` are lifted to the top."""
    found: dict[str, str | int] = {}
    for pair in pairs:
        match pair.value.WhichOneof("value"):
            case "string_value":
                found[pair.key] = pair.value.string_value
            case "int_value":
                found[pair.key] = pair.value.int_value
            case "kvlist_value" if pair.key == "Dimensions":
                found |= attributes(list(pair.value.kvlist_value.values))
            case _:
                pass
    return found


def _number(point: NumberDataPoint) -> float | None:
    match point.WhichOneof("value"):
        case "as_int":
            return float(point.as_int)
        case "as_double":
            return point.as_double
        case _:
            return None


def _histogram(point: HistogramDataPoint) -> float | None:
    if not point.count:
        return None
    if point.HasField("max"):
        return point.max
    bound = UNBOUNDED
    filled = [index for index, count in enumerate(point.bucket_counts) if count]
    if filled and filled[-1] < len(point.explicit_bounds):
        bound = point.explicit_bounds[filled[-1]]
    return min(bound, point.sum) if point.HasField("sum") else bound


def _exponential(point: ExponentialHistogramDataPoint) -> float | None:
    if not point.count:
        return None
    if point.HasField("max"):
        return point.max
    filled = [index for index, count in enumerate(point.positive.bucket_counts) if count]
    if not filled:
        return 0.0
    power = (point.positive.offset + filled[-1] + 1) * 2.0**-point.scale
    bound = 2.0**power if power < 1_000 else UNBOUNDED
    return min(bound, point.sum) if point.HasField("sum") else bound


def _summary(point: SummaryDataPoint) -> float | None:
    """CloudWatch writes the maximum as quantile 1."""
    highest = [each.value for each in point.quantile_values if each.quantile == 1.0]
    if highest:
        return highest[0]
    return point.sum if point.count else None
