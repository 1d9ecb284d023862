"""The receiver where the system is against it, over real sockets."""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx2
import pytest
import yaml

from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiving import receiver_config
from tests.support.small_disk import NEEDS_SMALL_DISK, on_small_disk
from tests.support.small_log import SMALL, numbers
from tokensense_otel.receiver.log import partition
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.server import Receiver

pytestmark = pytest.mark.e2e

TRACE_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
HEADERS = {"content-type": "application/x-protobuf"}
BODY = trace_request([sound_span(number) for number in range(1, 15)]).SerializeToString()
"""About 2 kB: a file of the log of 4 KiB takes one or two of them."""


def command(name: str, config: Path) -> list[str]:
    return [sys.executable, "-m", "tokensense_otel.service.main", name, "--config", str(config)]


def configured(folder: Path) -> Path:
    config = folder / "tokensense.yaml"
    free = {"grpc": {"endpoint": "127.0.0.1:0"}, "http": {"endpoint": "127.0.0.1:0"}}
    log = {"partitions": 1, "segment_bytes": 4096, "commit_bytes": 4096}
    config.write_text(yaml.safe_dump({"data_dir": str(folder / "data"), "receiver": free, "log": log}))
    return config


@contextlib.contextmanager
def receiver(config: Path) -> Iterator[tuple[int, str]]:
    """The receiver as a process of its own: its id, and where it listens for HTTP."""
    with (config.parent / "receiver.log").open("a") as log:
        process = subprocess.Popen(command("receiver", config), stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        yield process.pid, process.stdout.readline().split("http=")[1].strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="another process's limits can be set on Linux only")
def test_out_of_file_descriptors_is_answered_and_survived(tmp_path: Path) -> None:
    """EMFILE: 503 with a delay on a connection that is open; once there are descriptors again, 200, and all is kept."""
    config = configured(tmp_path)
    with receiver(config) as (pid, http), httpx2.Client(trust_env=False) as client:

        def send() -> httpx2.Response:
            return client.post(f"http://{http}/v1/traces", content=BODY, headers=HEADERS)

        acknowledged = sum(send().status_code == 200 for _ in range(3))
        assert acknowledged == 3
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, before[1]))  # what is open stays open
        refused = None
        for _ in range(3):  # the open file may still have room
            answer = send()
            if answer.status_code == 503:
                refused = answer
                break
            acknowledged += answer.status_code == 200
        assert refused is not None
        assert refused.headers["retry-after"] == "2"
        assert b"Too many open files" in refused.content
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert send().status_code == 200
        acknowledged += 1

    log = EmbeddedLog(LogConfig(partitions=1), tmp_path / "data" / "log")
    assert len(numbers(log)) == acknowledged


@NEEDS_SMALL_DISK
def test_a_read_only_disk_is_one_line_at_the_start(tmp_path: Path) -> None:
    """Where nothing can be written the receiver does not start, and says in one line where that is."""
    config = configured(tmp_path)
    (tmp_path / "data").mkdir()
    run = on_small_disk(command("receiver", config), tmp_path / "data", "4k,ro")
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert str(tmp_path / "data") in done.stderr
    assert "ead-only" in done.stderr


def test_a_second_receiver_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    """It ends with exit code 2 and one line that says what to do; the first goes on."""
    config = configured(tmp_path)
    with receiver(config) as (_, http):
        second = subprocess.run(command("receiver", config), capture_output=True, text=True, timeout=60, check=False)
        assert (second.returncode, second.stderr.count("\n")) == (2, 1)
        assert "another" in second.stderr
        answer = httpx2.post(f"http://{http}/v1/traces", content=BODY, headers=HEADERS, trust_env=False)
        assert answer.status_code == 200


def test_a_disk_that_hangs_holds_no_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a sync hangs, both transports answer within `append_timeout_s` with a delay, and go on after it."""
    go_on = threading.Event()
    real_sync = os.fdatasync

    def sync(handle: int) -> None:
        assert go_on.wait(30)
        real_sync(handle)

    async def story() -> None:
        running = Receiver(receiver_config(append_timeout_s=0.2), EmbeddedLog(SMALL, tmp_path / "log").writer())
        await running.start()
        try:
            monkeypatch.setattr(partition, "_sync", sync)
            url = f"http://{running.endpoints.http}/v1/traces"
            async with (
                httpx2.AsyncClient(trust_env=False, timeout=5.0) as client,
                grpc.aio.insecure_channel(running.endpoints.grpc) as channel,
            ):
                export: Any = getattr(channel, "unary_unary")(TRACE_EXPORT)  # noqa: B009 - the stubs know no bytes
                answer = await client.post(url, content=BODY, headers=HEADERS)
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await export(BODY, timeout=5.0)
                go_on.set()
                after = await client.post(url, content=BODY, headers=HEADERS)
                await export(BODY, timeout=5.0)
        finally:
            go_on.set()
            await running.stop()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        trailers: Any = refused.value.trailing_metadata()
        assert "google.rpc.retryinfo-bin" in dict(trailers)
        assert after.status_code == 200

    asyncio.run(story())
    # The two that were refused are on the log too: their senders' next copies are duplicates, which accounting knows.
    assert len(numbers(EmbeddedLog(SMALL, tmp_path / "log"))) == 4
