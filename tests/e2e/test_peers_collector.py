"""`collector-config.yaml`, as it stands, on a real OpenTelemetry Collector between two backends."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support import captures
from tests.support.collector import BINARY, WHY_SKIPPED, collector
from tests.support.otlp import OtlpSender, OtlpSink
from tests.support.waiting import eventually
from tokensense_otel.core.usage import Usage, UsageKey
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.dataflow.normalise import NormaliseConfig
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RulesConfig, RuleSet
from tokensense_otel.dataflow.runner import InProcessRunner
from tokensense_otel.receiver.log.entry import Entry, Signal

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not BINARY, reason=WHY_SKIPPED)]

# Pieces of the prompts and answers in the captures: prompts carry `[[in=…]]`, answers are one sentence.
TEXTS = (b"[[in=", b"Hello there", b"You are terse", b"Rate limit reached", b"Traceback", b"look it up")


class Hop(OtlpSender):
    """A sender to a Collector, with the Collector's two backends."""

    def __init__(self, endpoint: str, existing: OtlpSink, ours: OtlpSink) -> None:
        super().__init__(endpoint)
        self.existing, self.ours = existing, ours


@pytest.fixture
def hop(tmp_path: Path) -> Iterator[Hop]:
    with (
        OtlpSink() as existing,
        OtlpSink() as ours,
        collector(tmp_path, existing=existing.endpoint, tokensense=ours.endpoint) as running,
    ):
        opened = Hop(running.grpc, existing, ours)
        yield opened
        opened.close()


def request_of(*spans: dict[str, str]) -> ExportTraceServiceRequest:
    """One request with one span for each mapping of string attributes, numbered from 1 in their ids."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number, attributes in enumerate(spans, 1):
        span = scope.spans.add(trace_id=number.to_bytes(16), span_id=number.to_bytes(8), name="a span")
        for key, value in attributes.items():
            span.attributes.add(key=key).value.string_value = value
    return request


def attributes_of(span: Span) -> dict[str, str]:
    return {attribute.key: attribute.value.string_value for attribute in span.attributes}


@pytest.mark.parametrize("name", captures.NAMES)
def test_a_capture_passes_whole_to_the_existing_backend_and_without_text_to_us(hop: Hop, name: str) -> None:
    """Of real traffic, the existing backend gets every span as sent; we get the GenAI spans and none of their text."""
    requests = captures.trace_requests(name)
    sent = [span for request in requests for span in captures.spans_of(request)]
    for request in requests:
        hop.send(request)
    eventually(lambda: len(hop.existing.spans) == len(sent), what="every span at the existing backend")
    assert sorted(map(Span.SerializeToString, hop.existing.spans)) == sorted(map(Span.SerializeToString, sent))

    genai = {
        span.span_id for span in sent if any(a.key.startswith(("gen_ai.", "llm.", "openinf")) for a in span.attributes)
    }
    eventually(lambda: {span.span_id for span in hop.ours.spans} >= genai, what="every GenAI span at ours")
    arrived = b"".join(request.SerializeToString() for request in hop.ours.traces)
    assert [text for text in TEXTS if text in arrived] == []


def usage_of(
    traces: Iterable[ExportTraceServiceRequest],
    logs: Iterable[ExportLogsServiceRequest] = (),
    metrics: Iterable[ExportMetricsServiceRequest] = (),
) -> dict[UsageKey, Usage]:
    """What the requests come to on the books."""
    signals = ((Signal.TRACES, traces), (Signal.LOGS, logs), (Signal.METRICS, metrics))
    entries = [
        Entry(signal, "default", "", 0, request.SerializeToString())
        for signal, requests in signals
        for request in requests
    ]
    runner = InProcessRunner(
        DataflowConfig(),
        rules=RuleSet(RulesConfig()),
        normalise=NormaliseConfig(),
        salt=b"a salt",
        catalogue=Catalogue.load(),
        quarantine=lambda entry: pytest.fail(f"unreadable: {entry}"),
    )
    runner.feed(entries)
    return runner.finish().usage


# Emitters that put what the books need into text, or on spans of no dialect: without it, their numbers are other ones.
NEEDS_TEXT = {
    "bedrock_botocore_openinference": "cached tokens are only in output.value",
    "google_adk_1": "cached and thought tokens are only in gcp.vertex.agent.llm_response",
    "langchain_openinference": "the response model is only in output.value",
    "langchain_openinference_traceloop": "the response model is only in output.value",
    "langsmith": "usage details and the response model are only in gen_ai.completion",
    "langsmith_js": "usage details and the response model are only in gen_ai.completion",
    "langsmith_openinference": "usage details and the response model are only in gen_ai.completion",
    "mlflow": "usage details are only in mlflow.spanOutputs",
    "openlit": "failed calls carry no attribute at all",
    "semantic_kernel": "the feature is named by a span of no dialect",
    "vercel_ai_4": "usage details are only in ai.response.providerMetadata",
    "vercel_ai_5": "usage details are only in ai.response.providerMetadata",
    "vercel_ai_6": "the lifetime of cache writes is only in ai.response.providerMetadata",
}


@pytest.mark.parametrize("name", [name for name in captures.NAMES if name not in NEEDS_TEXT])
def test_a_capture_costs_the_same_with_and_without_its_text(hop: Hop, name: str) -> None:
    """Calls, tokens by class and dollars of real traffic are the same through the Collector as straight to us."""
    requests = captures.trace_requests(name)
    for request in requests:
        hop.send(request)
    straight = usage_of(requests)
    eventually(lambda: usage_of(hop.ours.traces) == straight, what="the same books")


WITH_RECORDS = [name for name in captures.NAMES if captures.log_requests(name) and name not in NEEDS_TEXT]
WITH_METRICS = [name for name in captures.NAMES if captures.metric_requests(name)]


@pytest.mark.parametrize("name", WITH_RECORDS)
def test_records_of_a_capture_count_the_same_without_their_text(hop: Hop, name: str) -> None:
    """Log records alone, of which only what is known to be no text comes to us, make the books that they made."""
    requests = captures.log_requests(name)
    for request in requests:
        hop.send_logs(request)
    straight = usage_of([], requests)
    eventually(lambda: usage_of([], hop.ours.logs) == straight, what="the same books")
    arrived = b"".join(request.SerializeToString() for request in hop.ours.logs)
    assert [text for text in TEXTS if text in arrived] == []


@pytest.mark.parametrize("name", WITH_METRICS)
def test_metrics_of_a_capture_count_the_same_behind_the_collector(hop: Hop, name: str) -> None:
    """Metrics alone make the books that they made straight to us."""
    requests = captures.metric_requests(name)
    for request in requests:
        hop.send_metrics(request)
    straight = usage_of([], [], requests)
    eventually(lambda: usage_of([], [], hop.ours.metrics) == straight, what="the same books")


def test_no_statement_fails_on_real_traffic(hop: Hop, tmp_path: Path) -> None:
    """The Collector's log holds no warning after every capture has passed."""
    for name in captures.NAMES:
        for request in captures.trace_requests(name):
            hop.send(request)
        for logs in captures.log_requests(name):
            hop.send_logs(logs)
    eventually(lambda: len(hop.ours.spans) > 100, what="the captures at ours")
    log = (tmp_path / "otelcol.log").read_text()
    assert [line for line in log.splitlines() if "\twarn\t" in line or "\terror\t" in line] == []


def test_the_same_prompt_keeps_the_same_fingerprint_and_no_other_does(hop: Hop) -> None:
    """Equal prompts get equal `tokensense.prompt.hash`es, different ones differ, and the text is gone."""
    hop.send(
        request_of(
            {"gen_ai.operation.name": "chat", "gen_ai.input.messages": '[{"content":"where is my parcel?"}]'},
            {"gen_ai.operation.name": "chat", "gen_ai.input.messages": '[{"content":"where is my parcel?"}]'},
            {"gen_ai.operation.name": "chat", "gen_ai.input.messages": '[{"content":"where is my refund?"}]'},
            {"gen_ai.operation.name": "chat", "input.value": "where is my parcel?"},
            {"gen_ai.operation.name": "chat", "tokensense.prompt.hash": "the service's own"},
            {"gen_ai.operation.name": "chat"},
        )
    )
    eventually(lambda: len(hop.ours.spans) == 6, what="six spans")
    spans = sorted(hop.ours.spans, key=lambda span: span.span_id)
    hashes = [attributes_of(span).get("tokensense.prompt.hash", "") for span in spans]
    assert hashes[0] == hashes[1] != hashes[2]
    assert all(len(each) == 64 for each in hashes[:4])
    assert hashes[4] == "the service's own"
    assert hashes[5] == ""
    assert not any({"gen_ai.input.messages", "input.value"} & attributes_of(span).keys() for span in spans)


def test_only_genai_spans_and_what_names_their_owner_come_to_us(hop: Hop) -> None:
    """A span of no dialect stays away; one that only says whose the calls beneath it are comes along."""
    hop.send(
        request_of(
            {"http.route": "/cart", "db.system": "redis"}, {"tokensense.team": "legal"}, {"llm.system": "openai"}
        )
    )
    eventually(lambda: len(hop.ours.spans) == 2, what="two spans")
    eventually(lambda: len(hop.existing.spans) == 3, what="three spans")
    assert [attributes_of(span) for span in hop.ours.spans] == [{"tokensense.team": "legal"}, {"llm.system": "openai"}]


def test_metrics_about_tokens_and_memory_come_to_us_and_others_do_not(hop: Hop) -> None:
    """RAM_OVER_PROVISION's and token metrics arrive; the rest goes to the existing backend only."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    ours = {"faas.mem_usage", "container.memory.working_set", "gen_ai.client.token.usage", "claude_code.token.usage"}
    for name in sorted(ours | {"http.server.request.duration"}):
        scope.metrics.add(name=name).gauge.data_points.add(as_int=1, time_unix_nano=1)
    hop.send_metrics(request)
    eventually(lambda: len(hop.existing.metric_names) == 5, what="five metrics at the existing backend")
    eventually(lambda: bool(hop.ours.metrics), what="metrics at ours")
    assert hop.ours.metric_names == ours


def test_what_the_collector_accepted_survives_its_death(tmp_path: Path) -> None:
    """With us away, an accepted span waits on disk: a Collector that was ended and started again still delivers it."""
    with OtlpSink() as existing, OtlpSink() as ours:
        closed = ours.endpoint
        with collector(tmp_path, existing=existing.endpoint, tokensense="127.0.0.1:1") as running:
            away = Hop(running.grpc, existing, ours)
            away.send(request_of({"gen_ai.operation.name": "chat"}))
            eventually(lambda: len(existing.spans) == 1, what="the span at the existing backend")
            away.close()
        assert ours.spans == []
        with collector(tmp_path, existing=existing.endpoint, tokensense=closed):
            eventually(lambda: len(ours.spans) == 1, what="the span that was waiting on disk")
