"""The whole product on a disk that really fills up: a tmpfs of its own."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx2
import pytest
import yaml
from google.rpc import error_details_pb2

from tests.support.otlp_requests import sound_span, trace_request
from tests.support.small_disk import NEEDS_SMALL_DISK, on_small_disk, seen_by
from tests.support.waiting import eventually
from tokensense_otel.service.demo.stack import FREE_PORTS

pytestmark = [pytest.mark.e2e, NEEDS_SMALL_DISK]

TRACE_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SPANS = 50
"""In each request: about 7 kB, so that a file of the log is full, and a new one needed, after nine."""


@contextlib.contextmanager
def up(folder: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """`tokensense up` with everything it keeps on a disk of 64 MiB; its process id and endpoints."""
    disk, config = folder / "disk", folder / "tokensense.yaml"
    disk.mkdir()
    log = {"partitions": 1, "segment_bytes": 1 << 16, "commit_bytes": 1 << 16}
    settings: dict[str, Any] = dict(FREE_PORTS) | {"data_dir": str(disk / "data"), "log": log}
    config.write_text(yaml.safe_dump(settings | {"dataflow": {"epoch_interval_s": 0.5}}))
    command = [sys.executable, "-m", "tokensense_otel.service.main", "up", "--format", "json", "--config", str(config)]
    with (folder / "up.log").open("w") as said:
        process = subprocess.Popen(on_small_disk(command, disk, "64m"), stdout=subprocess.PIPE, stderr=said, text=True)
    assert process.stdout is not None
    try:
        yield process.pid, json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def request(number: int) -> bytes:
    return trace_request([sound_span(SPANS * number + n) for n in range(1, SPANS + 1)]).SerializeToString()


def post(endpoint: str, number: int) -> httpx2.Response:
    headers = {"content-type": "application/x-protobuf"}
    return httpx2.post(f"http://{endpoint}/v1/traces", content=request(number), headers=headers, trust_env=False)


async def grpc_refusal(endpoint: str, number: int) -> tuple[grpc.StatusCode, float]:
    """The code and the delay, in seconds, with which a request is refused."""
    async with grpc.aio.insecure_channel(endpoint) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(channel, "unary_unary")(TRACE_EXPORT)(request(number))  # noqa: B009 - as elsewhere
    trailers: Any = refused.value.trailing_metadata()
    delay = error_details_pb2.RetryInfo.FromString(dict(trailers)["google.rpc.retryinfo-bin"]).retry_delay
    return refused.value.code(), delay.seconds + delay.nanos / 1e9


def fill(disk: Path) -> None:
    """Take every byte that is left."""
    with (disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(4096))


def spans_in_the_books(endpoint: str) -> int:
    with contextlib.suppress(httpx2.HTTPError):
        answer = httpx2.get(f"http://{endpoint}/api/v1/accounting", trust_env=False)
        if answer.status_code == 200:
            return int(answer.json()["accounting"]["spans"])
    return -1


def test_a_full_disk_is_told_to_senders_and_survived(tmp_path: Path) -> None:
    """Full: 503 and UNAVAILABLE with a delay, nothing dies that senders see. Room again: all that was acknowledged."""
    with up(tmp_path) as (pid, endpoints):
        disk = seen_by(pid, tmp_path / "disk")
        acknowledged = [number for number in range(5) if post(endpoints["http"], number).status_code == 200]
        assert acknowledged == list(range(5))
        eventually(lambda: spans_in_the_books(endpoints["api"]) == 5 * SPANS, what="5 requests in the books")

        fill(disk)
        number = 5
        while (answer := post(endpoints["http"], number)).status_code == 200:  # what still fits into the open file
            acknowledged.append(number)
            number += 1
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert asyncio.run(grpc_refusal(endpoints["grpc"], number)) == (grpc.StatusCode.UNAVAILABLE, 2.0)
        os.kill(pid, 0)

        (disk / "ballast").unlink()
        eventually(lambda: post(endpoints["http"], number).status_code == 200, what="room is used without a restart")
        acknowledged.append(number)
        eventually(
            lambda: spans_in_the_books(endpoints["api"]) == SPANS * len(acknowledged),
            within_s=60,
            what="every acknowledged request in the books",
        )
        assert httpx2.get(f"http://{endpoints['api']}/metrics", trust_env=False).status_code == 200
