"""From an OTLP metrics request to memory samples: one for each function or container and moment.

Pure. What is read is in the tables of `metrics`, how a point becomes a number in `points`.
"""

import math
from typing import Final

import msgspec
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tokensense_otel.core.call import DEFAULT_PROJECT
from tokensense_otel.dataflow.facts import MemorySample
from tokensense_otel.dataflow.memory.metrics import IDENTITIES, MEBIBYTE, METRICS, UNITS_NS, Level, Part, Role
from tokensense_otel.dataflow.memory.points import attributes, points, total

NO_LIMIT: Final = 1 << 50
"""A limit of a pebibyte and more means that there is none (cgroups write the largest number there is)."""

_MAX_RATIO: Final = 1_000.0
_MAX_BUSY_NS: Final = 1 << 60
_MAX_NAME: Final = 256

_BYTES_FROM: Final = 1_000_000
"""`faas.max_memory` below this is in MiB, as several detectors write it, else in bytes, as the conventions say."""

Attributes = dict[str, str | int]


class _Draft(msgspec.Struct):
    """What is known so far about one entity at one moment."""

    scope: tuple[tuple[str, str], ...]
    source: str = ""
    used: float | None = None
    rank: int = -1
    limit: float | None = None
    available: float | None = None
    ratio: float | None = None
    platform: str = ""
    busy_ns: int | None = None
    busy_since_ns: int = 0


def samples(request: ExportMetricsServiceRequest, *, tenant: str, project: str) -> list[MemorySample]:
    """Memory samples of a request, in no particular order; metrics about anything else are passed over.

    `project` is the sender's; where it is empty, the resource's `tokensense.project` says it.
    """
    drafts: dict[tuple[str, str, int], _Draft] = {}
    for resource_metrics in request.resource_metrics:
        resource: Attributes | None = None
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                known = METRICS.get(metric.name)
                if known is None:
                    continue
                if resource is None:
                    resource = attributes(list(resource_metrics.resource.attributes))
                owner = project or str(resource.get("tokensense.project", "")) or DEFAULT_PROJECT
                for point, value in points(metric):
                    where = resource | attributes(list(point.attributes))
                    identity = _identify(known.level, where)
                    if identity is None:
                        continue
                    entity, scope = identity
                    draft = drafts.setdefault((owner, entity, point.time_unix_nano), _Draft(scope))
                    draft.platform = draft.platform or _platform(resource, metric.name)
                    if known.role is Role.BUSY:
                        spent, unit_ns = total(point), UNITS_NS.get(metric.unit)
                        if spent is not None and unit_ns is not None and 0 <= spent * unit_ns < _MAX_BUSY_NS:
                            draft.busy_ns, draft.busy_since_ns = round(spent * unit_ns), point.start_time_unix_nano
                        continue
                    draft.source = draft.source or metric.name
                    if metric.name == "faas.mem_usage":
                        draft.limit, factor = _function_limit(resource)
                    else:
                        factor = known.scale
                    _fill(draft, known.role, value * factor, known.rank)
    made = (_sample(tenant, owner, entity, time_ns, draft) for (owner, entity, time_ns), draft in drafts.items())
    return [sample for sample in made if sample is not None]


def _fill(draft: _Draft, role: Role, value: float, rank: int) -> None:
    match role:
        case Role.USED:
            if rank > draft.rank or (rank == draft.rank and value > (draft.used or 0)):
                draft.used, draft.rank = value, rank
        case Role.LIMIT:
            draft.limit = value
        case Role.AVAILABLE:
            draft.available = value
        case Role.RATIO:
            draft.ratio = max(value, draft.ratio or 0)


def _platform(resource: Attributes, metric: str) -> str:
    if metric.startswith(("amazonaws.com/LambdaInsights/", "amazonaws.com/AWS/Lambda/")):
        return "aws_lambda"
    if resource.get("aws.ecs.launchtype") == "fargate":
        return "aws_fargate"
    return str(resource.get("cloud.platform", ""))[:_MAX_NAME]


def _function_limit(resource: Attributes) -> tuple[float | None, float]:
    """(limit in bytes, what to multiply the use with) of a function, minding what either was measured in.

    The Lambda telemetry receiver writes the limit as a string of Lambda's MB, which are MiB, and the use as those MB
    times 1,000,000.
    """
    raw = resource.get("faas.max_memory")
    if raw is None or (isinstance(raw, str) and not (raw.isdecimal() and len(raw) < 20)):
        return None, 1.0
    limit = int(raw)
    if limit >= _BYTES_FROM:
        return limit, 1.0
    return limit * MEBIBYTE, MEBIBYTE / 1_000_000 if isinstance(raw, str) else 1.0


def _identify(level: Level, where: Attributes) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    for identity in IDENTITIES[level]:
        parts = [_part(part, where) for part in identity.parts]
        if all(value or not part.needed for value, part in zip(parts, identity.parts, strict=True)):
            shown = ((part.label, _part(part, where)) for part in identity.shown)
            scope = tuple((label, value) for label, value in shown if value)
            return "/".join((level.value, *(value for value in parts if value))), scope
    return None


def _part(part: Part, where: Attributes) -> str:
    return next((str(where[name])[:_MAX_NAME] for name in part.attributes if where.get(name)), "")


def _sample(tenant: str, project: str, entity: str, time_ns: int, draft: _Draft) -> MemorySample | None:
    limit = draft.limit
    if limit is None and draft.available is not None and draft.used is not None and draft.rank >= 2:
        limit = draft.available + draft.used
    if limit is not None and not 0 < limit < NO_LIMIT:
        limit = None
    used, ratio = draft.used, draft.ratio
    if used is not None and math.isinf(used):
        # Somewhere above the last bucket: count it as full, so that nothing is concluded from it.
        used, ratio = None, 1.0
    if used is None and limit is None and ratio is None and draft.busy_ns is None:
        return None
    return MemorySample(
        tenant=tenant,
        project=project,
        entity=entity,
        scope=draft.scope,
        time_ns=time_ns,
        used=None if used is None else math.ceil(min(used, NO_LIMIT)),
        limit=None if limit is None else int(limit),
        ratio=None if ratio is None else min(ratio, _MAX_RATIO),
        source=draft.source,
        platform=draft.platform,
        busy_ns=draft.busy_ns,
        busy_since_ns=draft.busy_since_ns,
    )
