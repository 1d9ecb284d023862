"""The life of a receiver, and the real SDK as its sender."""

import asyncio
import signal
import socket
from pathlib import Path
from typing import Any, Literal

import grpc
import grpc.aio
import httpx2
import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.support.captures import spans_of
from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiving import MemoryLog, receiver_config, running
from tokensense_otel.core.errors import ConfigError, Retryable
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.log.log import START
from tokensense_otel.receiver.server import Endpoints, Receiver

BODY = trace_request([sound_span(1)]).SerializeToString()
HEADERS = {"content-type": "application/x-protobuf"}


def exporting(channel: Any) -> Any:
    """The Export call on bytes: it has no serializers, which the stubs do not know."""
    return channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")


def test_the_real_ports_are_known_once_it_started() -> None:
    """Port 0 becomes the port that was taken; before the start the endpoints are as configured."""
    receiver = Receiver(receiver_config(), MemoryLog())
    assert receiver.endpoints == Endpoints("127.0.0.1:0", "127.0.0.1:0")

    async def story() -> None:
        await receiver.start()
        for endpoint in receiver.endpoints:
            host, port = endpoint.split(":")
            with socket.create_connection((host, int(port)), timeout=5):
                pass
        await receiver.stop()

    asyncio.run(story())


@pytest.mark.parametrize("part", ["grpc", "http"])
def test_a_taken_port_is_one_clear_line(part: str) -> None:
    """A port in use is a ConfigError that names the key; whatever had started is stopped, the log as well."""
    log = MemoryLog()

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
            receiver = Receiver(receiver_config(**{part: {"endpoint": endpoint}}), log)
            with pytest.raises(ConfigError) as refused:
                await receiver.start()
            assert str(refused.value) == (
                f"receiver.{part}.endpoint: cannot listen on {endpoint}: "
                f"something else is listening there; stop it or write another port"
            )

    asyncio.run(story())
    assert (log.started, log.stopped) == (1, 1)


@pytest.mark.parametrize("part", ["grpc", "http"])
def test_an_address_of_another_machine_is_one_clear_line(part: str) -> None:
    """What cannot be listened on here says so, with the key and what to write."""
    # 192.0.2.0/24 is kept for documentation (RFC 5737): no machine has it.
    config = receiver_config(**{part: {"endpoint": "192.0.2.1:4317"}}, allow_unauthenticated_remote=True)

    with pytest.raises(ConfigError, match=rf"^receiver\.{part}\.endpoint: .*write an address of this machine"):
        asyncio.run(Receiver(config, MemoryLog()).start())


def test_stop_may_come_first_and_twice() -> None:
    """Stopping is safe before a start and after a stop, and a stopped receiver can be started again."""
    log = MemoryLog()
    receiver = Receiver(receiver_config(), log)

    async def story() -> None:
        await receiver.stop()
        for _ in range(2):
            await receiver.start()
            async with httpx2.AsyncClient(trust_env=False) as client:
                answer = await client.post(f"http://{receiver.endpoints.http}/v1/traces", content=BODY, headers=HEADERS)
                assert answer.status_code == 200
            await receiver.stop()
            await receiver.stop()

    asyncio.run(story())
    assert len(log.entries) == 2


def test_the_processs_signals_are_left_alone() -> None:
    """Whoever owns the process decides what SIGTERM and SIGINT do."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    async def story() -> None:
        async with running(MemoryLog()):
            during = [signal.getsignal(number) for number in (signal.SIGTERM,)]
            assert during == before[:1]

    asyncio.run(story())
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_what_is_in_work_is_finished_and_nothing_comes_after() -> None:
    """OTLP checklist 100: calls under way when it stops are answered; after stop returned the log does not grow."""
    log = MemoryLog()

    async def story() -> None:
        receiver = Receiver(receiver_config(), log)
        await receiver.start()
        log.gate = asyncio.Event()
        url = f"http://{receiver.endpoints.http}/v1/traces"
        async with (
            httpx2.AsyncClient(trust_env=False) as client,
            grpc.aio.insecure_channel(receiver.endpoints.grpc) as channel,
        ):
            call = exporting(channel)
            over_http = asyncio.create_task(client.post(url, content=BODY, headers=HEADERS))
            await log.waiting.wait()
            log.waiting.clear()
            over_grpc = asyncio.ensure_future(call(BODY))
            await log.waiting.wait()
            stopping = asyncio.create_task(receiver.stop())
            await asyncio.sleep(0)
            log.gate.set()
            await stopping
            assert (await over_http).status_code == 200
            assert await over_grpc == b""
            assert len(log.entries) == 2
            with pytest.raises(httpx2.TransportError):
                await client.post(url, content=BODY, headers=HEADERS)
            with pytest.raises(grpc.aio.AioRpcError):
                await call(BODY)
        assert len(log.entries) == 2
        assert log.stopped == 1

    asyncio.run(story())


def test_what_cannot_be_finished_in_time_stays_with_its_sender() -> None:
    """OTLP checklist 52, 100: at the end of the deadline a request is answered as retryable, on both transports."""
    log = MemoryLog()

    async def story() -> None:
        receiver = Receiver(receiver_config(stop_timeout_s=1, append_timeout_s=60), log)
        await receiver.start()
        log.gate = asyncio.Event()
        url = f"http://{receiver.endpoints.http}/v1/traces"
        async with (
            httpx2.AsyncClient(trust_env=False) as client,
            grpc.aio.insecure_channel(receiver.endpoints.grpc) as channel,
        ):
            over_http = asyncio.create_task(client.post(url, content=BODY, headers=HEADERS))
            await log.waiting.wait()
            log.waiting.clear()
            over_grpc = asyncio.ensure_future(exporting(channel)(BODY))
            await log.waiting.wait()
            async with asyncio.timeout(10):
                await receiver.stop()
            assert (await over_http).status_code == 503
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await over_grpc
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE

    asyncio.run(story())
    assert log.entries == []


def test_what_was_acknowledged_is_on_the_real_log(tmp_path: Path) -> None:
    """Both transports into the embedded log: each acknowledged request is read back."""
    log = EmbeddedLog(LogConfig(partitions=2), tmp_path / "log")

    async def story() -> None:
        receiver = Receiver(receiver_config(), log.writer())
        await receiver.start()
        async with (
            httpx2.AsyncClient(trust_env=False) as client,
            grpc.aio.insecure_channel(receiver.endpoints.grpc) as channel,
        ):
            url = f"http://{receiver.endpoints.http}/v1/traces"
            call = exporting(channel)
            await asyncio.gather(
                *(client.post(url, content=BODY, headers=HEADERS) for _ in range(10)), *(call(BODY) for _ in range(10))
            )
        await receiver.stop()

    asyncio.run(story())
    reader = log.reader()
    bodies = [entry.body for name in reader.partitions() for entry in reader.open(name).read(START, 1 << 20)[0]]
    assert bodies == [BODY] * 20


def test_a_log_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    """No port is left open when the log refuses."""
    (tmp_path / "log").write_text("not a folder")

    async def story() -> None:
        receiver = Receiver(receiver_config(), EmbeddedLog(LogConfig(), tmp_path / "log").writer())
        with pytest.raises(ConfigError, match="cannot be used"):
            await receiver.start()
        assert receiver.endpoints == Endpoints("127.0.0.1:0", "127.0.0.1:0")

    asyncio.run(story())


def a_span_exporter(kind: str, endpoints: Endpoints, key: str) -> Any:
    """The SDK's exporter over `kind`, a transport and a compression."""
    headers = {"ts-api-key": key}
    match kind.split():
        case ["grpc", compression]:
            packed = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
            return GrpcSpanExporter(endpoint=endpoints.grpc, insecure=True, headers=headers, compression=packed)
        case ["http", compression]:
            url = f"http://{endpoints.http}/v1/traces"
            return HttpSpanExporter(endpoint=url, headers=headers, compression=Compression(compression))
    raise ValueError(kind)


@pytest.mark.parametrize("kind", ["grpc none", "grpc gzip", "http none", "http gzip", "http deflate"])
def test_the_sdk_delivers_spans(kind: str) -> None:
    """OTLP checklist 1, 9, 31: the OpenTelemetry SDK's own exporters, with a key, in each compression."""
    log = MemoryLog()

    def send(endpoints: Endpoints) -> None:
        provider = TracerProvider(resource=Resource({"service.name": "cart"}))
        provider.add_span_processor(SimpleSpanProcessor(a_span_exporter(kind, endpoints, "k")))
        for number in range(3):
            with provider.get_tracer("test").start_as_current_span(f"chat {number}") as span:
                span.set_attribute("gen_ai.usage.input_tokens", number)
        provider.shutdown()

    async def story() -> None:
        async with running(
            log, auth={"required": True, "keys": [{"name": "a", "tenant": "acme", "key": "k"}]}
        ) as receiver:
            await asyncio.to_thread(send, receiver.endpoints)

    asyncio.run(story())
    spans = [span for entry in log.entries for span in spans_of(ExportTraceServiceRequest.FromString(entry.body))]
    assert [span.name for span in spans] == ["chat 0", "chat 1", "chat 2"]
    assert {(entry.signal, entry.tenant) for entry in log.entries} == {(Signal.TRACES, "acme")}


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_the_sdk_delivers_metrics(transport: Literal["grpc", "http"]) -> None:
    """The SDK's metric exporters arrive as metrics."""
    log = MemoryLog()

    def send(endpoints: Endpoints) -> None:
        exporter: Any
        if transport == "grpc":
            exporter = GrpcMetricExporter(endpoint=endpoints.grpc, insecure=True)
        else:
            exporter = HttpMetricExporter(endpoint=f"http://{endpoints.http}/v1/metrics")
        provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
        provider.get_meter("test").create_gauge("faas.mem_usage").set(5)
        provider.shutdown()

    async def story() -> None:
        async with running(log) as receiver:
            await asyncio.to_thread(send, receiver.endpoints)

    asyncio.run(story())
    (entry,) = log.entries
    assert entry.signal is Signal.METRICS
    assert b"faas.mem_usage" in entry.body


@pytest.mark.parametrize("kind", ["grpc none", "http none"])
def test_the_sdk_tries_again_when_it_is_asked_to(kind: str) -> None:
    """OTLP checklist 78, 80: after a refusal with a short delay the SDK sends its spans again; none is lost."""
    log = MemoryLog(Retryable("busy", delay_s=0.01))

    def send(endpoints: Endpoints) -> None:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(a_span_exporter(kind, endpoints, "")))
        provider.get_tracer("test").start_span("chat").end()
        provider.shutdown()

    async def story() -> None:
        async with running(log) as receiver:
            await asyncio.to_thread(send, receiver.endpoints)

    asyncio.run(story())
    assert len(log.entries) == 1
    assert log.failures == []
