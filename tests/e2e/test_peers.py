"""Real SDKs, straight and through real collectors, into a running `up`: what is sent is what is counted."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util.types import AttributeValue

from tests.support import collector as otelcol
from tests.support import rotel, sdks
from tests.support.otlp import OtlpSink
from tests.support.processes import free_ports
from tests.support.waiting import eventually
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

pytestmark = pytest.mark.e2e

CALLS = 30
ATTRIBUTES: dict[str, AttributeValue] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
    "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"is this a valid address?"}]}]',
}


def send(endpoint: str) -> None:
    """`CALLS` model calls of the team `checkout`, each under a root span, through the SDK's batching exporter."""
    provider = TracerProvider(resource=Resource({"service.name": "cart", "tokensense.team": "checkout"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
    tracer = provider.get_tracer("test")
    for _ in range(CALLS):
        with tracer.start_as_current_span("POST /answer"), tracer.start_as_current_span("chat", attributes=ATTRIBUTES):
            pass
    provider.shutdown()


def usage(running: Stack) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tokensense_otel.service.main", "usage", "--config", str(running.config)]
    done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, timeout=60, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)["usage"]
    return rows


def assert_counted(running: Stack, *, times: int = 1) -> None:
    calls = times * CALLS
    eventually(lambda: sum(row["calls"] for row in usage(running)) >= calls, what=f"{calls} calls counted")
    (row,) = usage(running)
    assert (row["team"], row["model"], row["calls"]) == ("checkout", "gpt-4o-2024-08-06", calls)
    assert (row["input_tokens"], row["output_tokens"]) == (calls * 100, calls * 10)
    # gpt-4o: $2.50 a million in, $10 a million out: 30 x (100 x 2.5 + 10 x 10) / 1,000,000 each time.
    assert Decimal(row["cost_usd"]) == times * Decimal("0.0105")


@pytest.mark.skipif(not sdks.HAS_JS, reason=sdks.NO_JS)
def test_calls_of_the_javascript_sdk_are_counted(tmp_path: Path) -> None:
    """JavaScript's three exporters, compressed and in batches: calls, tokens and dollars are as sent."""
    with Stack(tmp_path, FREE_PORTS) as running:
        for kind in ("http-json", "http-protobuf", "grpc"):
            sdks.send_js(kind, running.endpoints["grpc" if kind == "grpc" else "http"], CALLS, ATTRIBUTES)
        assert_counted(running, times=3)
        assert running.stop() == 0


@pytest.mark.skipif(not sdks.HAS_GO, reason=sdks.NO_GO)
def test_calls_of_the_go_sdk_are_counted(tmp_path: Path) -> None:
    """Go's two exporters, compressed and in batches: calls, tokens and dollars are as sent."""
    with Stack(tmp_path, FREE_PORTS) as running:
        for kind in ("grpc", "http"):
            sdks.send_go(kind, running.endpoints[kind], CALLS, ATTRIBUTES)
        assert_counted(running, times=2)
        assert running.stop() == 0


@pytest.mark.skipif(rotel.agent() is None, reason=rotel.WHY_SKIPPED)
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_calls_through_rotel_are_counted(tmp_path: Path, protocol: Literal["grpc", "http"]) -> None:
    """SDK → rotel → `up`, forwarded over gRPC and over HTTP: calls, tokens and dollars are as sent."""
    with Stack(tmp_path, FREE_PORTS) as running:
        with rotel.rotel(tmp_path, protocol=protocol, endpoint=running.endpoints[protocol]) as hop:
            send(hop)
            assert_counted(running)
        assert running.stop() == 0


@pytest.mark.skipif(not otelcol.BINARY, reason=otelcol.WHY_SKIPPED)
def test_calls_through_our_collector_configuration_are_counted(tmp_path: Path) -> None:
    """SDK → a real Collector running `collector-config.yaml` → `up`: as sent, and the backend has all spans."""
    with Stack(tmp_path, FREE_PORTS) as running:
        with (
            OtlpSink() as existing,
            otelcol.collector(tmp_path, existing=existing.endpoint, tokensense=running.endpoints["grpc"]) as hop,
        ):
            send(hop.grpc)
            assert_counted(running)
            eventually(lambda: len(existing.spans) == 2 * CALLS, what="every span at the existing backend")
        assert running.stop() == 0


@pytest.mark.skipif(not otelcol.BINARY, reason=otelcol.WHY_SKIPPED)
def test_an_outage_of_ours_loses_nothing(tmp_path: Path) -> None:
    """What a Collector takes before, during and after our absence is all counted, each call once."""
    grpc, http, api = free_ports(3)
    settings = {
        "receiver": {"grpc": {"endpoint": f"127.0.0.1:{grpc}"}, "http": {"endpoint": f"127.0.0.1:{http}"}},
        "api": {"endpoint": f"127.0.0.1:{api}"},
    }
    with (
        OtlpSink() as existing,
        otelcol.collector(tmp_path, existing=existing.endpoint, tokensense=f"127.0.0.1:{grpc}") as hop,
    ):
        with Stack(tmp_path, settings) as running:
            send(hop.grpc)
            assert_counted(running)
        send(hop.grpc)
        eventually(lambda: len(existing.spans) == 4 * CALLS, what="the Collector has taken what came during the outage")
        with Stack(tmp_path, settings) as running:
            send(hop.grpc)
            assert_counted(running, times=3)
            assert running.stop() == 0
