"""Traffic for the measurements: chat calls under root spans, of 20 teams and three providers."""

from collections.abc import Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.traffic import a_request, a_span
from tokensense_otel.core.call import Call, Dimensions, Posting, Tokens

START_NS = 1_767_268_800 * 1_000_000_000  # 2026-01-01T12:00:00Z
MODELS = (
    ("openai", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gcp.gemini", "gemini-2.5-flash"),
)
TEAMS = 20
BATCH = 100


def requests(spans: int, *, start_ns: int = START_NS) -> list[ExportTraceServiceRequest]:
    """About `spans` spans in requests of `BATCH`: half roots, half model calls with ten attributes."""
    return [_request(first, min(BATCH, spans - first) // 2, start_ns) for first in range(0, spans, BATCH)]


def _request(first: int, calls: int, start_ns: int) -> ExportTraceServiceRequest:
    spans = []
    for number in range(first, first + 2 * calls, 2):
        provider, model = MODELS[number // 2 % len(MODELS)]
        end = start_ns + number * 1_000_000
        trace = number + 1
        spans.append(a_span(1, {"http.request.method": "POST", "http.route": "/answer"}, trace=trace, end_ns=end))
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.response.model": model,
            "gen_ai.response.id": f"chatcmpl-{trace:024x}",
            "gen_ai.usage.input_tokens": 800 + number % 400,
            "gen_ai.usage.output_tokens": 150,
            "gen_ai.usage.cache_read.input_tokens": 128,
            "gen_ai.request.temperature": 0.2,
            "server.address": "api.example.com",
        }
        spans.append(a_span(2, attributes, trace=trace, parent=1, end_ns=end))
    team = f"team-{first // BATCH % TEAMS}"
    return a_request(spans, {"service.name": f"service-{first // BATCH % 40}", "tokensense.team": team})


def calls(count: int) -> Iterator[Call]:
    """Model calls as accounting hands them on."""
    for number in range(count):
        provider, model = MODELS[number % len(MODELS)]
        end = START_NS + number * 1_000_000
        yield Call(
            trace_id=number.to_bytes(16),
            span_id=number.to_bytes(8),
            start_ns=end - 1_000_000_000,
            end_ns=end,
            provider=provider,
            request_model=model,
            response_model=model,
            tokens=Tokens(input=800 + number % 400, output=150, cache_read=128),
            dimensions=Dimensions(team=f"team-{number % TEAMS}", feature=f"feature-{number % 60}"),
            prompt_hash=f"{number % 500:032x}",
        )


def postings(count: int) -> list[Posting]:
    return [Posting(1, call) for call in calls(count)]
