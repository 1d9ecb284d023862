"""Send a plan as real OTLP: the OpenTelemetry SDK and its exporters, one tracer provider for each service.

Delivery: what the SDK gives, at least once while the receiver is there. `finish` returns once every span is exported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.util.types import AttributeValue

from tokensense_otel.core.component import Clock
from tokensense_otel.service.demo.scenarios import MemoryReading, Plan, PlannedCall, Service

_NS: Final = 1_000_000_000
_SCOPE: Final = "tokensense.demo"
_EXPORT_DELAY_MS: Final = 200
_EXPORT_TIMEOUT_S: Final = 10
_SERVER_OVERHEAD_NS: Final = 5_000_000


@dataclass(frozen=True)
class Endpoints:
    """Where the receiver listens, each as `host:port`."""

    grpc: str
    http: str


class Traffic:
    """Sends a plan as its moments come; `sent` counts the model calls sent so far."""

    def __init__(self, plan: Plan, endpoints: Endpoints, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._next_call = 0
        self._next_reading = 0
        self._services = {service.name: _Sender(service, endpoints) for service in plan.services}

    @property
    def sent(self) -> int:
        return self._next_call

    @property
    def finished(self) -> bool:
        return self._next_call == len(self._plan.calls) and self._next_reading == len(self._plan.readings)

    def send_until(self, moment: float) -> None:
        """Send everything planned up to `moment`, a fraction (0…1) of the sending time."""
        now = self._clock()
        calls, readings = self._plan.calls, self._plan.readings
        while self._next_call < len(calls) and calls[self._next_call].at <= moment:
            call = calls[self._next_call]
            self._services[call.service].call(call, now)
            self._next_call += 1
        due: dict[str, list[MemoryReading]] = {}
        while self._next_reading < len(readings) and readings[self._next_reading].at <= moment:
            reading = readings[self._next_reading]
            due.setdefault(reading.service, []).append(reading)
            self._next_reading += 1
        for service, batch in due.items():
            self._services[service].readings(batch, now)

    def finish(self) -> None:
        """Export what is still in the SDK's queues."""
        for sender in self._services.values():
            sender.flush()

    def close(self) -> None:
        for sender in self._services.values():
            sender.close()


class _Sender:
    """One simulated service with its own SDK."""

    def __init__(self, service: Service, endpoints: Endpoints) -> None:
        resource: dict[str, AttributeValue] = {
            "service.name": service.name,
            "deployment.environment.name": "production",
        }
        # A team may be named by a service's resource or by its root spans; both are common, so both are sent.
        self._team_on_root = service.team if service.transport == "grpc" else ""
        if not self._team_on_root:
            resource["tokensense.team"] = service.team
        self._name = service.name
        self._resource = Resource(resource)
        self._open_metrics: Callable[[], MetricExporter] = lambda: _metric_exporter(service, endpoints)
        self._metrics: MetricExporter | None = None
        self._provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(_span_exporter(service, endpoints), schedule_delay_millis=_EXPORT_DELAY_MS)
        )
        self._tracer = self._provider.get_tracer(_SCOPE)

    def call(self, call: PlannedCall, now_ns: int) -> None:
        """A request to the service, and the model call that it made."""
        end = _end_ns(call, now_ns)
        start = end - int(call.seconds * _NS)
        root_attributes = {"http.request.method": "POST", "tokensense.feature": call.feature}
        if self._team_on_root:
            root_attributes["tokensense.team"] = self._team_on_root
        root = self._tracer.start_span(
            f"POST /{call.feature}",
            kind=SpanKind.SERVER,
            attributes=root_attributes,
            start_time=start - _SERVER_OVERHEAD_NS,
        )
        span = self._tracer.start_span(
            f"{call.operation} {call.model}",
            context=set_span_in_context(root),
            kind=SpanKind.CLIENT,
            attributes=genai_attributes(call),
            start_time=start,
        )
        if call.error:
            span.set_status(StatusCode.ERROR, call.error)
        span.end(end_time=end)
        root.end(end_time=end + (_SERVER_OVERHEAD_NS if call.days_ago else 0))

    def readings(self, batch: list[MemoryReading], now_ns: int) -> None:
        if self._metrics is None:
            self._metrics = self._open_metrics()
        self._metrics.export(_memory_metrics(self._resource, self._name, batch, now_ns))

    def flush(self) -> None:
        self._provider.force_flush()

    def close(self) -> None:
        self._provider.shutdown()
        if self._metrics is not None:
            self._metrics.shutdown()


def _span_exporter(service: Service, endpoints: Endpoints) -> SpanExporter:
    if service.transport == "grpc":
        return GrpcSpanExporter(endpoint=endpoints.grpc, insecure=True, timeout=_EXPORT_TIMEOUT_S)
    return HttpSpanExporter(endpoint=f"http://{endpoints.http}/v1/traces", timeout=_EXPORT_TIMEOUT_S)


def _metric_exporter(service: Service, endpoints: Endpoints) -> MetricExporter:
    if service.transport == "grpc":
        return GrpcMetricExporter(endpoint=endpoints.grpc, insecure=True, timeout=_EXPORT_TIMEOUT_S)
    return HttpMetricExporter(endpoint=f"http://{endpoints.http}/v1/metrics", timeout=_EXPORT_TIMEOUT_S)


def _end_ns(call: PlannedCall, now_ns: int) -> int:
    if not call.days_ago:
        return now_ns
    today = datetime.fromtimestamp(now_ns // _NS, UTC).replace(hour=0, minute=0, second=0)
    return int((today - timedelta(days=call.days_ago)).timestamp()) * _NS + int(call.second * _NS)


def genai_attributes(call: PlannedCall) -> dict[str, AttributeValue]:
    """The span attributes of the OpenTelemetry GenAI conventions (v1.41) for one call."""
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": call.operation,
        "gen_ai.provider.name": call.provider,
        "gen_ai.request.model": call.model,
    }
    if call.streaming:
        attributes["gen_ai.request.stream"] = True
    if call.error:
        return attributes | {"error.type": call.error}
    attributes |= {"gen_ai.response.model": call.model, "gen_ai.usage.input_tokens": call.input_tokens}
    if call.response_id:
        attributes["gen_ai.response.id"] = call.response_id
    if call.operation == "chat":
        attributes |= {
            "gen_ai.usage.output_tokens": call.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": call.cached_tokens,
            "gen_ai.response.finish_reasons": ("stop",),
        }
    if call.streaming:
        attributes["gen_ai.response.time_to_first_chunk"] = round(call.seconds / 8, 3)
    if call.prompt:
        message = '[{"role":"user","parts":[{"type":"text","content":"%s"}]}]'
        attributes["gen_ai.input.messages"] = message % call.prompt
    return attributes


def _memory_metrics(resource: Resource, function: str, batch: list[MemoryReading], now_ns: int) -> MetricsData:
    """`faas.mem_usage`, one invocation a point, and what the function is given as `faas.max_memory` in bytes."""
    points = []
    for reading in batch:
        end = now_ns - int(reading.minutes_ago * 60 * _NS)
        points.append(
            HistogramDataPoint(
                attributes={},
                start_time_unix_nano=end - 60 * _NS,
                time_unix_nano=end,
                count=1,
                sum=reading.used,
                bucket_counts=(1,),
                explicit_bounds=(),
                min=reading.used,
                max=reading.used,
            )
        )
    metric = Metric(
        name="faas.mem_usage",
        description="Memory used by an invocation.",
        unit="By",
        data=Histogram(data_points=points, aggregation_temporality=AggregationTemporality.DELTA),
    )
    with_limit = resource.merge(Resource({"faas.name": function, "faas.max_memory": batch[0].allocated}))
    scope = ScopeMetrics(scope=InstrumentationScope(_SCOPE), metrics=[metric], schema_url="")
    return MetricsData([ResourceMetrics(resource=with_limit, scope_metrics=[scope], schema_url="")])
