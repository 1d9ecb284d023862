"""Traffic as services send it: requests of 512 spans, a span processor's usual batch, of traces of several shapes.

Of sixteen spans seven are calls of sixteen attributes each, two are an agent and its tool, and seven say nothing of
GenAI: the HTTP server around it all, a client's request, a query. `content` characters of messages lie on each call.
"""

from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from benchmarks.material import MODELS, START_NS
from tests.support.spans import key_values

REQUEST_SPANS = 512
CYCLE_SPANS = 16
_HTTP, _SQL, _LLM, _AGENT = (
    "opentelemetry.instrumentation.fastapi",
    "opentelemetry.instrumentation.sqlalchemy",
    "opentelemetry.instrumentation.openai_v2",
    "my.agents",
)
_MS = 1_000_000


def service_requests(spans: int, *, content: int = 0) -> list[bytes]:
    """`spans` spans, rounded up to whole requests, as serialised `ExportTraceServiceRequest`s."""
    return [_request(number, content).SerializeToString() for number in range(-(-spans // REQUEST_SPANS))]


def one_span_requests(count: int) -> list[bytes]:
    """`count` requests of one call each, as a span processor that does not batch sends them."""
    resource = Resource(attributes=key_values({"service.name": "service-0", "tokensense.team": "team-0"}))
    requests = []
    for number in range(count):
        scope, span = next(_cycle(number, 0))
        group = ScopeSpans(scope=InstrumentationScope(name=scope, version="0.64b0"), spans=[span])
        requests.append(
            ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[group])])
        )
    return [request.SerializeToString() for request in requests]


def _request(number: int, content: int) -> ExportTraceServiceRequest:
    scopes: dict[str, list[Span]] = {}
    cycles = REQUEST_SPANS // CYCLE_SPANS
    for cycle in range(number * cycles, (number + 1) * cycles):
        for scope, span in _cycle(cycle, content):
            scopes.setdefault(scope, []).append(span)
    resource = {
        "service.name": f"service-{number % 20}",
        "service.version": "1.4.2",
        "service.instance.id": f"pod-{number % 60}",
        "deployment.environment.name": "production",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": "1.43.0",
        "tokensense.team": f"team-{number % 10}",
    }
    groups = [
        ScopeSpans(scope=InstrumentationScope(name=scope, version="0.64b0"), spans=spans)
        for scope, spans in scopes.items()
    ]
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=Resource(attributes=key_values(resource)), scope_spans=groups)]
    )


def _cycle(cycle: int, content: int) -> Iterator[tuple[str, Span]]:
    """Sixteen spans of seven traces, each span after those within it, as they end."""
    made = 0

    def span(scope: str, name: str, trace: int, parent: int, attributes: dict[str, Any]) -> tuple[str, Span]:
        nonlocal made
        made += 1
        start_ns = START_NS + (cycle * CYCLE_SPANS + made) * _MS
        return scope, Span(
            trace_id=(0x5BD1_E995_0000_0000 * (cycle * 8 + trace + 1)).to_bytes(16, "big"),
            span_id=(cycle * CYCLE_SPANS + made).to_bytes(8, "big"),
            parent_span_id=(cycle * CYCLE_SPANS + parent).to_bytes(8, "big") if parent else b"",
            name=name,
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=start_ns,
            end_time_unix_nano=start_ns + (700 + cycle % 300) * _MS,
            attributes=key_values(attributes),
        )

    def call(trace: int, parent: int) -> tuple[str, Span]:
        return span(_LLM, "chat", trace, parent, _chat(cycle * CYCLE_SPANS + made, content))

    for trace in (0, 1, 2):
        yield call(trace, made + 2)
        yield span(_HTTP, "POST /answer", trace, 0, _served(cycle))
    yield span(_HTTP, "POST", 3, 8, _requested(cycle))
    yield call(3, 11)
    yield span(
        _AGENT, "execute_tool search", 3, 11, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    )
    yield call(3, 11)
    yield span(_AGENT, "invoke_agent", 3, 12, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support"})
    yield span(_HTTP, "POST /agent", 3, 0, _served(cycle))
    yield span(_SQL, "SELECT shop", 4, 15, {"db.system": "postgresql", "db.name": "shop", "db.statement": "SELECT 1"})
    yield call(4, 15)
    yield span(_HTTP, "POST /answer", 4, 0, _served(cycle))
    yield call(5, 0)


def _served(cycle: int) -> dict[str, Any]:
    return {
        "http.request.method": "POST",
        "url.scheme": "https",
        "server.address": "shop.example.com",
        "http.route": "/answer",
        "url.path": "/answer",
        "client.address": f"10.0.{cycle % 250}.{cycle % 97}",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
    }


def _requested(cycle: int) -> dict[str, Any]:
    return {
        "http.request.method": "POST",
        "url.full": f"https://api.openai.com/v1/chat/completions?n={cycle}",
        "server.address": "api.openai.com",
        "server.port": 443,
        "http.response.status_code": 200,
    }


def _chat(number: int, content: int) -> dict[str, Any]:
    """Sixteen attributes, of which messages are two where there is content."""
    provider, model = MODELS[number % len(MODELS)]
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 1024,
        "server.address": "api.example.com",
        "server.port": 443,
        "openai.api.type": "chat_completions",
        "gen_ai.response.model": model,
        "gen_ai.response.id": f"chatcmpl-{number * 0x9E3779B1:024x}",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 800 + number * 7 % 1_201,
        "gen_ai.usage.output_tokens": 50 + number * 11 % 307,
        "gen_ai.usage.cache_read.input_tokens": 128 * (number % 3),
    }
    if content:
        text = f"Question {number}: " + "what does the customer want and who can help with it? " * (content // 54)
        attributes["gen_ai.input.messages"] = text[: content * 3 // 4]
        attributes["gen_ai.output.messages"] = text[: content // 4]
    else:
        attributes["openai.response.system_fingerprint"] = f"fp_{number % 7:08x}"
        attributes["user.id"] = f"user-{number % 5_000}"
    return attributes
