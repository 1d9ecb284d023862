"""One sample out of what each emitter really sends, lies about units included."""

from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Histogram, HistogramDataPoint, Metric

from tests.unit.dataflow.memory.emitters import (
    LAMBDA,
    MIB,
    POD,
    T,
    exponential,
    gauge,
    histogram,
    request,
    summary,
    summed,
)
from tokensense_otel.dataflow import memory
from tokensense_otel.dataflow.facts import MemorySample


def read(asked: ExportMetricsServiceRequest) -> list[MemorySample]:
    return memory.samples(asked, tenant="t", project="p")


def one(resource: dict[str, Any], *metrics: Any) -> MemorySample:
    (sample,) = read(request(resource, *metrics))
    return sample


def measured(sample: MemorySample) -> tuple[int | None, int | None, float | None]:
    return sample.used, sample.limit, sample.ratio


def test_the_lambda_receiver_s_megabytes_are_mebibytes() -> None:
    """Use comes as MB times a million and the limit as a string of MB: both become the bytes they mean."""
    sample = one(LAMBDA | {"faas.max_memory": "128"}, histogram(count=3, sum=120e6, max=64_000_000))

    assert measured(sample) == (64 * MIB, 128 * MIB, None)
    assert (sample.tenant, sample.project, sample.time_ns) == ("t", "p", T)
    assert sample.entity == "function/eu-west-1/resize"
    assert sample.scope == (("function", "resize"), ("region", "eu-west-1"))


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (512, 512 * MIB),  # a detector's MB
        (999_999, 999_999 * MIB),
        (1_000_000, 1_000_000),  # bytes, as the conventions say
        (512 * MIB, 512 * MIB),
        ("536870912", 512 * MIB),
        ("plenty", None),
        (0, None),
    ],
)
def test_the_memory_of_a_function_comes_in_any_unit(limit: int | str, expected: int | None) -> None:
    """A limit below a million is in MiB, above it in bytes; what is no number is no limit."""
    assert one(LAMBDA | {"faas.max_memory": limit}, histogram(count=1, max=1_000_000)).limit == expected


@pytest.mark.parametrize(
    ("fields", "used", "ratio"),
    [
        ({"count": 4, "sum": 100.0, "max": 70.0}, 70, None),
        # No maximum: the upper bound of the highest bucket with anything in it, never the mean.
        ({"count": 4, "bucket_counts": [1, 3, 0], "explicit_bounds": [16.0, 32.0]}, 32, None),
        ({"count": 4, "sum": 20.0, "bucket_counts": [1, 3, 0], "explicit_bounds": [16.0, 32.0]}, 20, None),
        ({"count": 4, "sum": 80.0, "bucket_counts": [1, 3, 0], "explicit_bounds": [16.0, 32.0]}, 32, None),
        # One observation without buckets is its sum; several are at most their sum.
        ({"count": 1, "sum": 25.0}, 25, None),
        # Above the last bound nothing is known: full, so that nothing is concluded.
        ({"count": 4, "bucket_counts": [1, 0, 3], "explicit_bounds": [16.0, 32.0]}, None, 1.0),
    ],
)
def test_a_histogram_never_says_too_little(fields: dict[str, Any], used: int | None, ratio: float | None) -> None:
    """The highest use is the maximum, else the tightest upper bound that the histogram proves."""
    sample = one(LAMBDA | {"faas.max_memory": 10**9}, histogram(**fields))

    assert (sample.used, sample.ratio) == (used, ratio)


@pytest.mark.parametrize(
    ("fields", "used", "ratio"),
    [
        ({"count": 2, "max": 70.0}, 70, None),
        # scale 0: bucket i covers (2^i, 2^(i+1)]; the highest filled one is 4 + 2
        ({"count": 2, "scale": 0, "positive": {"offset": 4, "bucket_counts": [1, 0, 1, 0]}}, 128, None),
        ({"count": 2, "scale": 1, "positive": {"offset": 9, "bucket_counts": [1]}}, 32, None),
        ({"count": 2, "zero_count": 2}, 0, None),
        ({"count": 2, "scale": -10, "positive": {"offset": 4, "bucket_counts": [1]}}, None, 1.0),
    ],
)
def test_an_exponential_histogram_never_says_too_little(
    fields: dict[str, Any], used: int | None, ratio: float | None
) -> None:
    """Its maximum, else the upper bound of its highest filled bucket."""
    sample = one(LAMBDA | {"faas.max_memory": 10**9}, exponential(**fields))

    assert (sample.used, sample.ratio) == (used, ratio)


def test_kubelet_s_available_gives_the_limit() -> None:
    """The limit is what is available and the working set; usage, which holds page cache, does not count beside it."""
    sample = one(
        POD,
        gauge("container.memory.usage", 900),
        gauge("container.memory.working_set", 300),
        gauge("container.memory.available", 700),
        gauge("container.memory.rss", 100),
    )

    assert measured(sample) == (300, 1_000, None)
    assert sample.entity == "container/u-1/web"
    assert sample.scope == (("namespace", "shop"), ("pod", "web-1"), ("container", "web"))


def test_available_beside_usage_alone_gives_no_limit() -> None:
    """Available counts from the working set, so together with usage it means nothing."""
    sample = one(POD, gauge("container.memory.usage", 900), gauge("container.memory.available", 700))

    assert measured(sample) == (900, None, None)


@pytest.mark.parametrize(
    "name",
    [
        "k8s.container.memory_limit",
        "k8s.container.memory.limit",
        "k8s.container.memory.limit.current",
        "k8s.container.memory.limit.desired",
    ],
)
def test_the_cluster_s_limit_and_the_kubelet_s_use_meet(name: str) -> None:
    """Limit and use of two receivers, in two requests, are about one entity, even where only one knows the cluster."""
    (limit,) = read(request(POD | {"k8s.node.name": "n"}, gauge(name, 1_000)))
    (use,) = read(request(POD | {"k8s.cluster.name": "c"}, summed("container.memory.working_set", 300)))

    assert limit.entity == use.entity
    assert (measured(limit), measured(use)) == ((None, 1_000, None), (300, None, None))


@pytest.mark.parametrize(
    ("name", "value", "ratio"),
    [
        ("k8s.container.memory_limit_utilization", 0.25, 0.25),
        ("container.memory.percent", 25.0, 0.25),  # says unit 1, means 0…100
    ],
)
def test_ratios_are_from_zero_to_one(name: str, value: float, ratio: float) -> None:
    """A share of the limit is a share of one whatever the emitter counts in."""
    assert measured(one(POD, gauge(name, value, unit="1"))) == (None, None, ratio)


def test_docker_names_use_and_limit() -> None:
    """Docker's usage without cache and its limit are one sample of one container."""
    sample = one(
        {"container.id": "abc", "container.name": "db", "host.name": "h1"},
        gauge("container.memory.usage.total", 300),
        gauge("container.memory.usage.limit", 1_000),
    )

    assert measured(sample) == (300, 1_000, None)
    assert (sample.entity, sample.scope) == ("container/abc", (("host", "h1"), ("container", "db")))


def test_container_insights() -> None:
    """CloudWatch's names lead to the container, and to the pod where only its own limit is meant."""
    names = {"ClusterName": "c", "Namespace": "shop", "PodName": "web"}
    container = one(
        names | {"ContainerName": "web"},
        gauge("container_memory_working_set", 300),
        gauge("container_memory_limit", 1_000),
    )
    pod = one(names, gauge("pod_memory_utilization_over_pod_limit", 30.0, unit="Percent"))

    assert (container.entity, measured(container)) == ("container/c/shop/web/web", (300, 1_000, None))
    assert (pod.entity, pod.ratio) == ("pod/c/shop/web", 0.3)
    assert read(request(names, gauge("pod_memory_utilization", 3.0))) == []


def test_lambda_insights_through_metric_streams() -> None:
    """Quantile 1 is the maximum; percent and MB become a ratio and bytes; the function is in the dimensions."""
    prefix = "amazonaws.com/LambdaInsights/"
    sample = one(
        {},
        summary(prefix + "memory_utilization", {0.0: 10.0, 1.0: 30.0}, function_name="resize"),
        summary(prefix + "used_memory_max", {0.0: 10.0, 1.0: 38.0}, function_name="resize"),
        summary(prefix + "total_memory", {1.0: 128.0}, function_name="resize"),
    )

    assert sample.entity == "function/resize"
    assert measured(sample) == (38 * MIB, 128 * MIB, 0.3)


def test_a_summary_without_quantiles_is_at_most_its_sum() -> None:
    """The mean would say too little."""
    name = "amazonaws.com/LambdaInsights/used_memory_max"
    assert one({}, summary(name, {}, count=2, total=50.0, function_name="resize")).used == 50 * MIB


@pytest.mark.parametrize(
    "name",
    [
        "process.memory.usage",
        "process.memory.utilization",
        "system.memory.usage",
        "system.memory.utilization",
        "http.x",
    ],
)
def test_hosts_and_processes_are_passed_over(name: str) -> None:
    """Memory that has no limit of a function or container is none of this rule's business."""
    assert read(request(POD, gauge(name, 1))) == []


@pytest.mark.parametrize(
    "metric",
    [
        gauge("container.memory.working_set", -1),
        gauge("container.memory.working_set", float("nan")),
        gauge("container.memory.working_set", 5, flags=1),
        gauge("container.memory.working_set", 5, time_ns=0),
        gauge("container.memory.available", 5),
        histogram(count=0),
    ],
)
def test_points_that_say_nothing_are_passed_over(metric: Any) -> None:
    """Negative, absent, timeless and empty points make no sample."""
    assert read(request(POD | LAMBDA, metric)) == []


def test_nobody_s_memory_is_passed_over() -> None:
    """Without a name for the container there is nobody to tell."""
    assert read(request({"host.name": "h"}, gauge("container.memory.working_set", 5))) == []


def test_no_limit_written_as_the_largest_number_is_no_limit() -> None:
    """Control groups without a limit report an absurd one."""
    sample = one(POD, gauge("container.memory.working_set", 5), gauge("container.memory.usage.limit", 2**63 - 4096))

    assert measured(sample) == (5, None, None)


def test_absurd_numbers_are_survived() -> None:
    """Values that no machine has become bounds that can still be stored and conclude nothing."""
    huge = one(POD, gauge("container.memory.working_set", 1e300), gauge("container.memory.percent", 1e300))
    endless = one(POD, gauge("container.memory.working_set", float("inf")))
    long = one(LAMBDA | {"faas.max_memory": "9" * 5_000, "faas.name": "f" * 5_000}, histogram(count=1, max=1.0))

    assert measured(huge) == (1 << 50, None, 1_000.0)
    assert measured(endless) == (None, None, 1.0)
    assert (long.limit, len(long.entity)) == (None, len("function/eu-west-1/") + 256)


def test_the_highest_of_equals_counts() -> None:
    """Two points of one moment, as for two triggers of a function, are the higher one."""
    sample = one(
        LAMBDA,
        gauge("faas.mem_usage", 9, trigger="http"),
        gauge("faas.mem_usage", 5, trigger="timer"),
    )

    assert sample.used == 9


def test_the_project_comes_from_the_sender_else_from_the_resource() -> None:
    """A key's project wins; without one the resource says it, and nobody saying it is the default."""
    metric = gauge("container.memory.working_set", 5)
    named = request(POD | {"tokensense.project": "mine"}, metric)

    assert memory.samples(named, tenant="t", project="key")[0].project == "key"
    assert memory.samples(named, tenant="t", project="")[0].project == "mine"
    assert memory.samples(request(POD, metric), tenant="t", project="")[0].project == "default"


def durations(name: str = "faas.invoke_duration", unit: str = "s", start: int = T - 60, **fields: Any) -> Metric:
    point = HistogramDataPoint(time_unix_nano=T, start_time_unix_nano=start, **fields)
    return Metric(name=name, unit=unit, histogram=Histogram(data_points=[point]))


@pytest.mark.parametrize(("unit", "busy"), [("s", 2_500_000_000), ("ms", 2_500_000), ("", None), ("1", None)])
def test_how_long_a_function_ran_is_the_sum_in_its_unit(unit: str, busy: int | None) -> None:
    """Seconds and milliseconds become nanoseconds since the start of the sum; without a unit nothing is known."""
    found = read(request(LAMBDA, durations(unit=unit, count=2, sum=2.5)))

    assert [(each.busy_ns, each.busy_since_ns) for each in found] == ([] if busy is None else [(busy, T - 60)])


@pytest.mark.parametrize("fields", [{"count": 2, "max": 1.0}, {"count": 2, "sum": 2.5, "start": 0}])
def test_a_sum_that_nobody_knows_the_start_of_is_none(fields: dict[str, Any]) -> None:
    """Without a sum, or without its start, how long it ran is unknown."""
    assert read(request(LAMBDA, durations(**fields))) == []


def test_durations_stand_beside_the_memory_of_the_same_moment() -> None:
    """One function at one moment is one sample, whose source is what told of its memory."""
    memory_used = histogram(count=1, max=64_000_000)
    for metrics in ([durations(count=1, sum=1.0), memory_used], [memory_used, durations(count=1, sum=1.0)]):
        sample = one(LAMBDA | {"faas.max_memory": "128"}, *metrics)
        assert (sample.used, sample.busy_ns, sample.source) == (64 * MIB, 10**9, "faas.mem_usage")


def test_cloudwatch_s_duration_is_a_sum_of_milliseconds() -> None:
    """The stream's summary holds the milliseconds of its minute."""
    metric = summary("amazonaws.com/AWS/Lambda/Duration", {1.0: 900}, count=3, total=1_500, FunctionName="resize")
    metric.unit = "ms"
    metric.summary.data_points[0].start_time_unix_nano = T - 60
    (sample,) = read(request({"cloud.region": "eu-west-1"}, metric))

    assert (sample.entity, sample.busy_ns, sample.platform) == (
        "function/eu-west-1/resize",
        1_500_000_000,
        "aws_lambda",
    )


@pytest.mark.parametrize(
    ("resource", "platform"),
    [
        ({"cloud.platform": "gcp_cloud_run"}, "gcp_cloud_run"),
        ({"cloud.platform": "aws_ecs", "aws.ecs.launchtype": "fargate"}, "aws_fargate"),
        ({"cloud.platform": "aws_ecs", "aws.ecs.launchtype": "ec2"}, "aws_ecs"),
        ({}, ""),
    ],
)
def test_the_platform_is_the_resource_s(resource: dict[str, Any], platform: str) -> None:
    """`cloud.platform` as it is, but for tasks on Fargate, which has sizes of its own."""
    assert one(POD | resource, gauge("container.memory.working_set", 5)).platform == platform
