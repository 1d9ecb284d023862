"""What the demo's traffic looks like on the wire, seen by an OTLP backend that keeps it."""

import datetime as dt

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.otlp import OtlpSink
from tests.support.waiting import eventually
from tokensense_otel.service.demo.scenarios import MemoryReading, Plan, PlannedCall, Service
from tokensense_otel.service.demo.traffic import Endpoints, Traffic, genai_attributes

NOW = 1_770_000_000 * 1_000_000_000  # 2026-02-02T02:40:00Z
GRPC = Service("svc", "legal", "grpc", "")


def a_call(**changes: object) -> PlannedCall:
    fields: dict[str, object] = {
        "service": "svc",
        "at": 0.0,
        "provider": "openai",
        "model": "gpt-4o",
        "response_id": "chatcmpl-1",
        "input_tokens": 300,
        "output_tokens": 20,
        "cached_tokens": 100,
        "seconds": 2.0,
        "feature": "answers",
    }
    return PlannedCall(**(fields | changes))  # type: ignore[arg-type]


def attributes_of(span: Span) -> dict[str, object]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_call_is_a_client_span_under_a_server_span() -> None:
    """The model call carries GenAI attributes; its root names the team, at the plan's times."""
    with OtlpSink() as sink:
        traffic = Traffic(Plan((GRPC,), (a_call(),), ()), Endpoints(sink.endpoint, "127.0.0.1:1"), lambda: NOW)
        traffic.send_until(0.0)
        traffic.finish()
        traffic.close()
    child, root = sorted(sink.spans, key=lambda span: span.kind, reverse=True)
    assert (child.name, child.kind, child.parent_span_id) == ("chat gpt-4o", Span.SPAN_KIND_CLIENT, root.span_id)
    assert (child.start_time_unix_nano, child.end_time_unix_nano) == (NOW - 2_000_000_000, NOW)
    assert attributes_of(root)["tokensense.team"] == "legal"
    assert attributes_of(child)["gen_ai.usage.input_tokens"] == 300
    assert attributes_of(child)["gen_ai.usage.cache_read.input_tokens"] == 100


def test_history_lies_in_past_utc_days() -> None:
    """`days_ago` and `second` give the moment at which a call of an earlier day ended."""
    with OtlpSink() as sink:
        planned = Plan((GRPC,), (a_call(days_ago=3, second=3600.0),), ())
        traffic = Traffic(planned, Endpoints(sink.endpoint, "127.0.0.1:1"), lambda: NOW)
        traffic.send_until(0.0)
        traffic.finish()
        traffic.close()
    ended = max(span.end_time_unix_nano for span in sink.spans if span.kind == Span.SPAN_KIND_CLIENT)
    moment = dt.datetime(2026, 1, 30, 1, 0, tzinfo=dt.UTC)
    assert ended == int(moment.timestamp()) * 1_000_000_000


def test_no_more_is_sent_than_is_due() -> None:
    """Calls go out when their moment comes, each once."""
    with OtlpSink() as sink:
        calls = (a_call(at=0.1), a_call(at=0.5), a_call(at=0.9))
        traffic = Traffic(Plan((GRPC,), calls, ()), Endpoints(sink.endpoint, "127.0.0.1:1"), lambda: NOW)
        sent = []
        for moment in (0.0, 0.1, 0.5, 0.5, 1.0):
            traffic.send_until(moment)
            sent.append(traffic.sent)
        traffic.finish()
        traffic.close()
    assert sent == [0, 1, 2, 2, 3]
    assert traffic.finished
    assert len(sink.spans) == 6


def test_a_failed_call_says_why_and_claims_no_usage() -> None:
    """An error carries its type and neither tokens nor a response."""
    attributes = genai_attributes(a_call(error="rate_limit_error", streaming=True))
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stream": True,
        "error.type": "rate_limit_error",
    }


def test_memory_readings_are_hand_timed_points() -> None:
    """A reading becomes a `faas.mem_usage` point at its own time, with the allocated memory on the resource."""
    with OtlpSink() as sink:
        readings = (MemoryReading("svc", 0.0, 90.0, 200, 1000),)
        traffic = Traffic(Plan((GRPC,), (), readings), Endpoints(sink.endpoint, "127.0.0.1:1"), lambda: NOW)
        traffic.send_until(0.0)
        traffic.close()
        eventually(lambda: bool(sink.metrics), what="the metrics")
    (resource,) = sink.metrics[0].resource_metrics
    (metric,) = resource.scope_metrics[0].metrics
    (point,) = metric.histogram.data_points
    assert (metric.name, metric.unit, point.max) == ("faas.mem_usage", "By", 200.0)
    assert point.time_unix_nano == NOW - 90 * 60 * 1_000_000_000
    assert {each.key: each.value.int_value for each in resource.resource.attributes}["faas.max_memory"] == 1000
