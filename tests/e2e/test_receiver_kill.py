"""A receiver that is killed while senders send."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import grpc
import grpc.aio
import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.captures import spans_of
from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiver_child import CONFIG
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.log import START

KILLS = 4
TRACE_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
HEADERS = {"content-type": "application/x-protobuf"}


def start(folder: Path) -> tuple[subprocess.Popen[str], str, str]:
    command = [sys.executable, "-m", "tests.support.receiver_child", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    while True:
        line = process.stdout.readline()
        assert line, "the receiver ended before it listened"
        match line.split():
            case [http, grpc_endpoint] if ":" in http and "=" not in http:
                return process, http, grpc_endpoint


async def send_until_killed(process: subprocess.Popen[str], http: str, grpc_endpoint: str, first: int) -> set[int]:
    """Send numbered spans over both transports, kill the receiver in the middle; the numbers that were acknowledged."""
    acknowledged: set[int] = set()
    enough = asyncio.Event()
    kill_after = random.Random(first).randrange(5, 60)

    def note(number: int) -> None:
        acknowledged.add(number)
        if len(acknowledged) >= kill_after:
            enough.set()

    async with httpx2.AsyncClient(trust_env=False) as client, grpc.aio.insecure_channel(grpc_endpoint) as channel:
        export = getattr(channel, "unary_unary")(TRACE_EXPORT)  # noqa: B009 - the stubs do not know calls on bytes

        async def over_http(numbers: range) -> None:
            for number in numbers:
                body = trace_request([sound_span(number)]).SerializeToString()
                try:
                    answer = await client.post(f"http://{http}/v1/traces", content=body, headers=HEADERS)
                except httpx2.TransportError:
                    return
                if answer.status_code == 200:
                    note(number)

        async def over_grpc(numbers: range) -> None:
            for number in numbers:
                try:
                    await export(trace_request([sound_span(number)]).SerializeToString())
                except grpc.aio.AioRpcError:
                    return
                note(number)

        senders = [over_http(range(first + 10_000 * i, first + 10_000 * (i + 1))) for i in range(4)]
        senders += [over_grpc(range(first + 10_000 * i, first + 10_000 * (i + 1))) for i in range(4, 8)]
        sending = asyncio.gather(*senders)
        await enough.wait()
        process.kill()
        await sending
    process.wait()
    return acknowledged


@pytest.mark.e2e
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """Killed again and again under load, the receiver has every acknowledged request on its log, exactly once."""
    folder = tmp_path / "log"
    acknowledged: set[int] = set()
    for kill in range(KILLS):
        process, http, grpc_endpoint = start(folder)
        try:
            acknowledged |= asyncio.run(send_until_killed(process, http, grpc_endpoint, first=1 + 100_000 * kill))
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    stored: list[int] = []
    reader = EmbeddedLog(CONFIG, folder).reader()
    for name in reader.partitions():
        partition, position = reader.open(name), START
        while (batch := partition.read(position, 1 << 20))[0]:
            position = batch[1]
            for entry in batch[0]:
                request = ExportTraceServiceRequest.FromString(entry.body)
                stored.extend(int.from_bytes(span.span_id, "big") for span in spans_of(request))
        partition.close()

    assert len(stored) == len(set(stored))
    assert acknowledged <= set(stored)
    assert len(acknowledged) >= 5 * KILLS
