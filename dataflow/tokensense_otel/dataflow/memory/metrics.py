"""Which metrics say something about the memory of a function or container, and how to read each: a table.

Names, units and their lies as read in the emitters' sources (OpenTelemetry Lambda `telemetryapireceiver`, Collector
Contrib `kubeletstats`, `k8scluster`, `dockerstats`, `awscontainerinsight`, CloudWatch metric streams).
Not here on purpose: `process.*` and `system.memory.*` (no limit of a function or container), resident set size (less
than what counts against the limit) and `pod_memory_utilization` (a share of the node).
"""

from enum import Enum
from typing import Final, NamedTuple

MEBIBYTE: Final = 1_048_576


class Role(Enum):
    USED = "used"
    LIMIT = "limit"
    AVAILABLE = "available"
    """Limit less working set."""
    RATIO = "ratio"
    BUSY = "busy"
    """How long it ran, the sum of a histogram or summary; by the metric's unit, so `scale` is of no use."""


class Level(Enum):
    """Whose memory a metric is about."""

    FUNCTION = "function"
    CONTAINER = "container"
    POD = "pod"


class Metric(NamedTuple):
    """`scale` makes bytes or a ratio of 0…1 of the value. Among several uses of one entity at one moment the highest
    `rank` is taken: the working set is what counts against the limit, usage includes reclaimable page cache."""

    role: Role
    level: Level
    scale: float = 1.0
    rank: int = 0


_C, _P, _F = Level.CONTAINER, Level.POD, Level.FUNCTION

UNITS_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "Milliseconds": 1_000_000}
"""Nanoseconds in the units in which durations come."""

METRICS: Final[dict[str, Metric]] = {
    "faas.mem_usage": Metric(Role.USED, _F),
    "container.memory.working_set": Metric(Role.USED, _C, rank=2),
    "container.memory.usage": Metric(Role.USED, _C, rank=1),
    "container.memory.available": Metric(Role.AVAILABLE, _C),
    "container.memory.usage.total": Metric(Role.USED, _C, rank=1),
    "container.memory.usage.limit": Metric(Role.LIMIT, _C),
    # The unit says 1, the value is 0…100.
    "container.memory.percent": Metric(Role.RATIO, _C, scale=0.01),
    "k8s.container.memory_limit": Metric(Role.LIMIT, _C),
    "k8s.container.memory.limit": Metric(Role.LIMIT, _C),
    "k8s.container.memory.limit.current": Metric(Role.LIMIT, _C),
    "k8s.container.memory.limit.desired": Metric(Role.LIMIT, _C),
    # Includes page cache, so it says rather too much than too little.
    "k8s.container.memory_limit_utilization": Metric(Role.RATIO, _C),
    "k8s.pod.memory.working_set": Metric(Role.USED, _P, rank=2),
    "k8s.pod.memory.usage": Metric(Role.USED, _P, rank=1),
    "k8s.pod.memory.available": Metric(Role.AVAILABLE, _P),
    "k8s.pod.memory_limit_utilization": Metric(Role.RATIO, _P),
    "container_memory_working_set": Metric(Role.USED, _C, rank=2),
    "container_memory_limit": Metric(Role.LIMIT, _C),
    "pod_memory_working_set": Metric(Role.USED, _P, rank=2),
    "pod_memory_limit": Metric(Role.LIMIT, _P),
    "pod_memory_utilization_over_pod_limit": Metric(Role.RATIO, _P, scale=0.01),
    "faas.invoke_duration": Metric(Role.BUSY, _F),
    "amazonaws.com/AWS/Lambda/Duration": Metric(Role.BUSY, _F),
    "amazonaws.com/LambdaInsights/memory_utilization": Metric(Role.RATIO, _F, scale=0.01),
    "amazonaws.com/LambdaInsights/used_memory_max": Metric(Role.USED, _F, scale=MEBIBYTE, rank=2),
    "amazonaws.com/LambdaInsights/total_memory": Metric(Role.LIMIT, _F, scale=MEBIBYTE),
}


class Part(NamedTuple):
    """One part of an entity's name: the attributes that may hold it, the first present wins."""

    label: str
    attributes: tuple[str, ...]
    needed: bool = True


class Identity(NamedTuple):
    """How the entities of a platform are told apart. `parts` make the key, `shown` the scope that people see."""

    parts: tuple[Part, ...]
    shown: tuple[Part, ...]


_CLUSTER = Part("cluster", ("k8s.cluster.name", "ClusterName"), needed=False)
_NAMESPACE = Part("namespace", ("k8s.namespace.name", "Namespace"), needed=False)
_POD_NAME = Part("pod", ("k8s.pod.name", "K8sPodName", "PodName"), needed=False)
_CONTAINER = Part("container", ("k8s.container.name", "ContainerName"))

IDENTITIES: Final[dict[Level, tuple[Identity, ...]]] = {
    Level.FUNCTION: (
        Identity(
            (
                Part("account", ("cloud.account.id", "AccountId"), needed=False),
                Part("region", ("cloud.region", "Region"), needed=False),
                Part("function", ("faas.name", "function_name", "FunctionName", "faas.id", "cloud.resource_id")),
            ),
            (
                Part("function", ("faas.name", "function_name", "FunctionName", "faas.id", "cloud.resource_id")),
                Part("region", ("cloud.region", "Region"), needed=False),
            ),
        ),
    ),
    Level.CONTAINER: (
        # The cluster receiver and the kubelet receiver agree on the pod's uid and the container's name.
        Identity((Part("pod", ("k8s.pod.uid",)), _CONTAINER), (_CLUSTER, _NAMESPACE, _POD_NAME, _CONTAINER)),
        Identity(
            (_CLUSTER, _NAMESPACE, Part("pod", _POD_NAME.attributes), _CONTAINER),
            (_CLUSTER, _NAMESPACE, _POD_NAME, _CONTAINER),
        ),
        Identity(
            (Part("container", ("container.id", "container.name")),),
            (Part("host", ("host.name",), needed=False), Part("container", ("container.name", "container.id"))),
        ),
    ),
    Level.POD: (
        Identity((Part("pod", ("k8s.pod.uid",)),), (_CLUSTER, _NAMESPACE, _POD_NAME)),
        Identity(
            (_CLUSTER, _NAMESPACE, Part("pod", _POD_NAME.attributes)),
            (_CLUSTER, _NAMESPACE, _POD_NAME),
        ),
    ),
}
