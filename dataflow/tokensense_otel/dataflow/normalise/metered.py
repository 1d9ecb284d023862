"""From an OTLP metrics request to points about calls: how many there were, and their tokens by class.

Only sums and counts are read, never buckets: their bounds are whatever the SDK had. Names are those of the GenAI
conventions v1.41, of their successors (semantic-conventions-genai#374, #521), and of coding agents' live exports.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
)

from tokensense_otel.core.call import DEFAULT_PROJECT, Call, Source
from tokensense_otel.core.tally import Tallies
from tokensense_otel.dataflow.facts import Kind, Measure, MeterPoint
from tokensense_otel.dataflow.memory.points import NO_VALUE
from tokensense_otel.dataflow.normalise.aliases import gather
from tokensense_otel.dataflow.normalise.attributes import attributes_of, to_count, to_text
from tokensense_otel.dataflow.normalise.classify import OPERATIONS
from tokensense_otel.dataflow.normalise.corrections import Problems, tally_problems
from tokensense_otel.dataflow.normalise.dialects import Dialect, dialect_of_markers
from tokensense_otel.dataflow.normalise.models import full_model_name, model_name, provider_name
from tokensense_otel.dataflow.normalise.normaliser import Normaliser, Sender
from tokensense_otel.dataflow.normalise.sanity import DAY_NS, EARLIEST_NS, count_fault

_DELTA: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_MOST: Final = 1 << 62
_MAX_TEXT: Final = 256
_HTTP_ERROR: Final = 400
_COLLECTING_NS: Final = 100_000_000
"""How long an SDK may take to collect its metrics. Those of some (Rust) give each metric a time of its own."""

_TYPES: Final = {
    "input": Measure.INPUT,
    "prompt": Measure.INPUT,
    "output": Measure.OUTPUT,
    "completion": Measure.OUTPUT,
    "cache_read": Measure.CACHE_READ,
    "cacheRead": Measure.CACHE_READ,
    "cached_input": Measure.CACHE_READ,
    "cache": Measure.CACHE_READ,
    "cache_write": Measure.CACHE_WRITE,
    "cache_creation": Measure.CACHE_WRITE,
    "cacheCreation": Measure.CACHE_WRITE,
    "cache_write_input": Measure.CACHE_WRITE,
    "reasoning": Measure.REASONING,
    "reasoning_output": Measure.REASONING,
    "thought": Measure.REASONING,
}
"""Token types by what emitters call them; a `total`, which only repeats the others, is not among them."""


class Metered(NamedTuple):
    """A metric about calls. `measure` is what it sums up, or `kind` the attributes of which one says that.

    `calls` is the order in which its number of recordings is taken for the number of calls, `None` where it is not.
    """

    rank: int
    measure: Measure | None = None
    kinds: tuple[str, ...] = ()
    choice: int = 0
    calls: int | None = None
    thoughts_apart: bool = False
    failures: tuple[str, str] = ("", "")
    """Attributes with an HTTP status and an error's type; a failure is there once with the type and once without."""


_TOKEN_TYPE: Final = ("gen_ai.token.type", "gen_ai.usage.token_type")
METRICS: Final[dict[str, Metered]] = {
    "gen_ai.client.inference.usage.input_tokens": Metered(0, Measure.INPUT),
    "gen_ai.client.inference.usage.output_tokens": Metered(0, Measure.OUTPUT),
    "gen_ai.client.inference.usage.cache_read.input_tokens": Metered(0, Measure.CACHE_READ),
    "gen_ai.client.inference.usage.cache_write.input_tokens": Metered(0, Measure.CACHE_WRITE),
    "gen_ai.client.inference.usage.reasoning.output_tokens": Metered(0, Measure.REASONING),
    "gen_ai.client.inference.operation.input_tokens": Metered(0, Measure.INPUT, choice=1, calls=1),
    "gen_ai.client.inference.operation.output_tokens": Metered(0, Measure.OUTPUT, choice=1, calls=2),
    "gen_ai.client.inference.duration": Metered(0, calls=0),
    "gen_ai.client.token.usage": Metered(1, kinds=_TOKEN_TYPE, calls=1),
    "gen_ai.client.operation.duration": Metered(1, calls=0),
    "claude_code.token.usage": Metered(2, kinds=("type",)),
    # A recording is a turn, which may be many calls.
    "codex.turn.token_usage": Metered(2, kinds=("token_type",)),
    # It tells more than the metrics of the conventions beside it.
    "gemini_cli.token.usage": Metered(0, kinds=("type",), thoughts_apart=True),
    "gemini_cli.api.request.count": Metered(0, Measure.CALLS, failures=("status_code", "error_type")),
}
"""By name. `rank`: of two metrics about the same calls the one that tells more classes of tokens comes first."""

_RUNNING_TOTALS: Final = ("opentelemetry.instrumentation.crewai",)
"""Scopes whose metrics record, for each task, a total over the life of the model's client."""

_Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint


class _Value(NamedTuple):
    point: _Point
    delta: bool
    total: float | None
    """Sum of what was recorded."""
    recordings: int | None
    """How often something was recorded, where that is told."""


class MeterNormaliser:
    def __init__(self, normaliser: Normaliser) -> None:
        self._normaliser = normaliser

    def points(
        self,
        request: ExportMetricsServiceRequest,
        *,
        tenant: str,
        project: str,
        received_ns: int = 0,
        tallies: Tallies | None = None,
    ) -> list[MeterPoint]:
        """The points about calls; metrics about anything else are passed over.

        A value that is no count, or has no time, is left out and counted in `tallies`. Everything else is as in
        `Normaliser.spans`.
        """
        found: list[MeterPoint] = []
        tallies = Tallies() if tallies is None else tallies
        for group in request.resource_metrics:
            sender: Sender | None = None
            resource, collected_ns = b"", 0
            for scoped in group.scope_metrics:
                if scoped.scope.name.startswith(_RUNNING_TOTALS):
                    continue
                for metric in scoped.metrics:
                    known = METRICS.get(metric.name)
                    if known is None:
                        continue
                    if sender is None:
                        sender = self._normaliser.sender(group.resource, tenant, project, received_ns)
                        resource = _digest(8, group.resource.SerializeToString())
                        collected_ns = _collected(group)
                    problems: Problems = []
                    for value in _values(metric):
                        found += self._of(
                            value, metric.name, known, scoped.scope.name, sender, resource, collected_ns, problems
                        )
                    if problems:
                        tally_problems(tallies, problems, tenant, sender.dimensions.service)
        return found

    def _of(
        self,
        value: _Value,
        name: str,
        known: Metered,
        scope: str,
        sender: Sender,
        resource: bytes,
        collected_ns: int,
        problems: Problems,
    ) -> Iterator[MeterPoint]:
        attributes = attributes_of(value.point.attributes, problems)
        dialect = self._normaliser.dialect(scope) or dialect_of_markers(attributes)
        call = self._call(attributes, known, scope, dialect, sender, resource)
        time_ns, start_ns = value.point.time_unix_nano, value.point.start_time_unix_nano
        if 0 < collected_ns - time_ns <= _COLLECTING_NS:
            time_ns = collected_ns
        latest_ns = sender.received_ns + DAY_NS if sender.received_ns else 1 << 64
        if call is None or not EARLIEST_NS <= time_ns <= latest_ns:
            return
        measure = known.measure if not known.kinds else _type(known.kinds, attributes)
        kept = tuple(sorted(pair.SerializeToString() for pair in value.point.attributes))
        series = _digest(8, call.trace_id, name.encode(), *kept)
        told: list[tuple[Measure, int, float]] = []
        if measure is not None and value.total is not None:
            told.append((measure, known.choice, value.total))
        if known.calls is not None and value.recordings is not None and (not known.kinds or measure in _COUNTED):
            told.append((Measure.CALLS, known.calls + (measure is Measure.OUTPUT), value.recordings))
        for what, choice, amount in told:
            if not math.isfinite(amount) or not 0 <= amount < _MOST or round(amount) != amount:
                problems.append(count_fault(amount))
                continue
            yield MeterPoint(
                call,
                sender.dimensions.service,
                resource,
                series,
                what,
                choice,
                known.rank,
                value.delta,
                start_ns if EARLIEST_NS <= start_ns <= time_ns else 0,
                time_ns,
                round(amount),
                "*" in dialect.exclusive or call.provider in dialect.exclusive,
                known.thoughts_apart or call.provider in dialect.apart,
            )

    def _call(
        self,
        attributes: Mapping[str, Any],
        known: Metered,
        scope: str,
        dialect: Dialect,
        sender: Sender,
        resource: bytes,
    ) -> Call | None:
        """What the series says of its calls; `None` where it is about agents, tools and the like."""
        named = attributes.get("gen_ai.operation.name")
        kind, operation = OPERATIONS.get(str(named).lower(), (Kind.WRAPPER, "")) if named else (Kind.CALL, "chat")
        if kind is not Kind.CALL or _repeats(known, attributes):
            return None
        found = gather(attributes, {"model": "request_model"})
        request, response = to_text(found.get("request_model")), to_text(found.get("response_model"))
        provider = provider_name(to_text(found.get("provider")), response or request, to_text(found.get("host")))
        where, project = self._normaliser.owner(attributes, sender)
        error, tier = (
            to_text(found.get("error") or attributes.get(known.failures[1]))[:_MAX_TEXT],
            to_text(found.get("tier"))[:64],
        )
        models = model_name(request[:_MAX_TEXT]), model_name(response[:_MAX_TEXT])
        full = full_model_name(request[:_MAX_TEXT], response[:_MAX_TEXT])
        named = (scope, str(known.rank), provider, *models, full, operation, error, tier)
        parts = (sender.tenant, project, *named, repr(where))
        meter = _digest(16, resource, *(part.encode() for part in parts))
        return Call(
            tenant=sender.tenant,
            project=project or DEFAULT_PROJECT,
            trace_id=meter,
            span_id=b"",
            start_ns=0,
            end_ns=0,
            provider=provider,
            request_model=models[0],
            response_model=models[1],
            operation=operation,
            dimensions=where,
            error_type=error,
            service_tier=tier,
            dialect=dialect.name,
            scope=scope,
            root=True,
            count=0,
            source=Source.METER,
            full_model=full,
        )


_COUNTED: Final = frozenset({Measure.INPUT, Measure.OUTPUT})


def _repeats(known: Metered, attributes: Mapping[str, Any]) -> bool:
    """Whether the point is about failures of which another one tells with their type."""
    status, error = known.failures
    return (to_count(attributes.get(status)) or 0) >= _HTTP_ERROR and error not in attributes


def _collected(group: ResourceMetrics) -> int:
    """The latest moment of any metric about calls, at which all of one export count as collected."""
    return max(
        (
            value.point.time_unix_nano
            for scoped in group.scope_metrics
            for metric in scoped.metrics
            if metric.name in METRICS
            for value in _values(metric)
        ),
        default=0,
    )


def _type(kinds: tuple[str, ...], attributes: Mapping[str, Any]) -> Measure | None:
    return next((_TYPES.get(str(attributes[key])) for key in kinds if key in attributes), None)


def _values(metric: Metric) -> Iterator[_Value]:
    """The values of counters and histograms; gauges, counters that may fall, and points without a value have none."""
    match metric.WhichOneof("data"):
        case "sum" if metric.sum.is_monotonic:
            delta = metric.sum.aggregation_temporality == _DELTA
            for number in metric.sum.data_points:
                kind = number.WhichOneof("value")
                if kind is not None and not number.flags & NO_VALUE:
                    yield _Value(number, delta, getattr(number, kind), None)
        case "histogram":
            delta = metric.histogram.aggregation_temporality == _DELTA
            for point in metric.histogram.data_points:
                if not point.flags & NO_VALUE:
                    yield _Value(point, delta, point.sum if point.HasField("sum") else None, point.count)
        case "exponential_histogram":
            delta = metric.exponential_histogram.aggregation_temporality == _DELTA
            for each in metric.exponential_histogram.data_points:
                if not each.flags & NO_VALUE:
                    yield _Value(each, delta, each.sum if each.HasField("sum") else None, each.count)
        case _:
            return


def _digest(size: int, *parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=size)
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()
