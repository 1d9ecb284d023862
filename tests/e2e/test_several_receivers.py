"""Several receivers on one port, as processes: what they share, and one of them killed while the others go on."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx2
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from tests.support.otlp_requests import sound_span, trace_request
from tests.support.processes import free_ports
from tests.support.retrying import over_grpc, over_http, until_acknowledged
from tests.support.traffic import a_request, a_span, chat
from tests.support.waiting import eventually
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.log import START
from tokensense_otel.service.demo.api import Api
from tokensense_otel.service.demo.stack import Stack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux deals out connections of a shared port"),
]

HEADERS = {"content-type": "application/x-protobuf"}
TOKENSENSE = [sys.executable, "-m", "tokensense_otel.service.main"]


class Receivers:
    """`tokensense receiver` with several processes; `pids` are those that take telemetry in."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log
        assert process.stdout is not None
        said = dict(word.split("=") for word in process.stdout.readline().split()[1:])
        self.grpc, self.http = said["grpc"], said["http"]

    @property
    def pids(self) -> set[int]:
        return {
            int(each)
            for each in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        }

    def kill_supervisor(self) -> None:
        self._process.kill()
        self._process.wait()

    def ready(self, pid: int) -> bool:
        """Whether the supervisor heard that this one listens."""
        return any("part_ready" in line and f"pid={pid}" in line for line in self._log.read_text().splitlines())

    def again(self, before: set[int]) -> bool:
        """Whether there are as many as before, all of them listening, and one of them new."""
        return len(self.pids) == len(before) and self.pids != before and all(map(self.ready, self.pids))


def configured(folder: Path, processes: int, **more: Any) -> Path:
    config = folder / "tokensense.yaml"
    free = {"grpc": {"endpoint": "127.0.0.1:0"}, "http": {"endpoint": "127.0.0.1:0"}}
    settings = {"data_dir": str(folder / "data"), "receiver": {"processes": processes, **free, **more}}
    config.write_text(yaml.safe_dump(settings))
    return config


@contextlib.contextmanager
def receivers(config: Path) -> Iterator[Receivers]:
    log = config.parent / "receivers.log"
    with log.open("w") as errors:
        command = [*TOKENSENSE, "receiver", "--config", str(config)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield Receivers(process, log)
        if process.returncode is None:
            process.terminate()
            assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def body(number: int) -> bytes:
    return trace_request([sound_span(number)]).SerializeToString()


def post(http: str, number: int) -> int:
    """Over a connection of its own; the status."""
    url = f"http://{http}/v1/traces"
    return httpx2.post(url, content=body(number), headers=HEADERS, trust_env=False).status_code


def kept(data: Path) -> set[bytes]:
    """What is on the log."""
    reader, found = EmbeddedLog(LogConfig(), data / "log").reader(), set[bytes]()
    for name in reader.partitions():
        part, position = reader.open(name), START
        while (batch := part.read(position, 1 << 20))[0]:
            position = batch[1]
            found.update(entry.body for entry in batch[0])
        part.close()
    return found


def accepted(data: Path) -> float:
    """Spans, as all processes together counted them."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(data / "run" / "metrics"))  # type: ignore[no-untyped-call]
    samples = (sample for metric in registry.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name == "tokensense_receiver_accepted_items_total")


def call(grpc_endpoint: str, number: int) -> int:
    """Over a channel with a connection of its own; 200 when it was acknowledged."""
    with grpc.insecure_channel(grpc_endpoint, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        unary: Any = channel.unary_unary  # without serializers, which the stubs do not know
        export = unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        assert export(body(number), timeout=30) == b""
    return 200


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_both_take_connections_and_count_together(tmp_path: Path, transport: str) -> None:
    """Of 60 connections each of two processes gets some, everything is on the log, and the counts are of both."""
    config = configured(tmp_path, 2)
    with receivers(config) as running:
        assert len(running.pids) == 2
        send = partial(post, running.http) if transport == "http" else partial(call, running.grpc)
        assert [send(number) for number in range(1, 61)] == [200] * 60
    assert kept(tmp_path / "data") == {body(number) for number in range(1, 61)}
    assert accepted(tmp_path / "data") == 60
    # Each process has its own half of the partitions; that all have something means that both took some.
    assert all(any((tmp_path / "data" / "log" / f"p{part:03d}").glob("*.log")) for part in range(4))


def test_one_is_killed_and_the_other_goes_on(tmp_path: Path) -> None:
    """After `kill -9` of one, every new connection is served by the other, until the killed one is back on its port."""
    config = configured(tmp_path, 2)
    with receivers(config) as running:
        before = running.pids
        gone, stays = sorted(before)
        os.kill(gone, signal.SIGKILL)
        eventually(lambda: gone not in running.pids, what="the killed one's end")
        assert [post(running.http, number) for number in range(1, 21)] == [200] * 20
        eventually(lambda: running.again(before), what="the killed one started again")
        assert stays in running.pids
        assert [post(running.http, number) for number in range(21, 61)] == [200] * 40
    assert kept(tmp_path / "data") == {body(number) for number in range(1, 61)}


def test_nothing_acknowledged_is_lost_whichever_is_killed(tmp_path: Path) -> None:
    """Killed in turn, six times, under load over both transports: every acknowledged request is on the log."""
    config = configured(tmp_path, 2)
    numbers, acknowledged = itertools.count(1), list[int]()

    async def keep_sending(send: Any, done: asyncio.Event) -> None:
        while not done.is_set():
            number = next(numbers)
            await until_acknowledged(send, body(number))
            acknowledged.append(number)

    async def happened(what: Any) -> None:
        await asyncio.to_thread(eventually, what, what="load, or the killed one started again")

    async def story(running: Receivers) -> None:
        done = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as senders:
            sends = [await stack.enter_async_context(over_http(running.http)) for _ in range(5)]
            sends.append(await stack.enter_async_context(over_grpc(running.grpc)))
            for send in sends:
                senders.create_task(keep_sending(send, done))
            for kill in range(6):
                before, sent = running.pids, len(acknowledged)
                await happened(lambda sent=sent: len(acknowledged) > sent + 10)
                os.kill(sorted(before)[kill % 2], signal.SIGKILL)
                await happened(lambda before=before: running.again(before))
            done.set()

    with receivers(config) as running:
        asyncio.run(story(running))
    assert len(acknowledged) > 60
    assert {body(number) for number in acknowledged} <= kept(tmp_path / "data")
    assert accepted(tmp_path / "data") >= len(acknowledged)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not buried has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_receivers_end_with_their_supervisor_and_others_take_over(tmp_path: Path) -> None:
    """After `kill -9` of the supervisor its receivers stop, and those started at once wait for them and go on."""
    config = configured(tmp_path, 2)
    with receivers(config) as running:
        assert post(running.http, 1) == 200
        orphans = running.pids
        running.kill_supervisor()
        with receivers(config) as after:
            # They gave up their partitions, or these would not be ready; the system may need a moment to bury them.
            eventually(lambda: not any(map(is_alive, orphans)), what="the orphans are gone")
            assert post(after.http, 2) == 200
            second = subprocess.run(
                [*TOKENSENSE, "receiver", "--config", str(config)],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert second.returncode == 2
            assert second.stderr.splitlines() == [
                f"data_dir: `tokensense receiver` already runs on {tmp_path}/data; stop it, or write another data_dir"
            ]
    assert kept(tmp_path / "data") == {body(1), body(2)}


def test_another_number_of_processes_keeps_the_log(tmp_path: Path) -> None:
    """One process, then three, then two: what was acknowledged before is still there."""
    for number, processes in enumerate((1, 3, 2), start=1):
        with receivers(configured(tmp_path, processes)) as running:
            assert post(running.http, number) == 200
    assert kept(tmp_path / "data") == {body(1), body(2), body(3)}


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    """Where a single receiver listens, or others share, nobody joins in unasked: exit 2 and one line."""
    for mine, others in ((1, 2), (2, 1), (2, 2)):
        folder = tmp_path / f"{mine}-{others}"
        (folder / "other").mkdir(parents=True)
        with receivers(configured(folder, mine)) as running:
            config = configured(folder / "other", others, http={"endpoint": running.http})
            done = subprocess.run(
                [*TOKENSENSE, "receiver", "--config", str(config)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.splitlines()[-1].startswith(
                f"receiver.http.endpoint: cannot listen on {running.http}: something else is listening there"
            )
            assert post(running.http, 1) == 200


def test_more_processes_than_partitions_are_refused(tmp_path: Path) -> None:
    """Each needs a partition of its own: five for four partitions are one line that says what to write."""
    config = configured(tmp_path, 5)
    done = subprocess.run(
        [*TOKENSENSE, "receiver", "--config", str(config)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"{config}: receiver.processes: each writes partitions of its own, and log.partitions is 4; write 4 or less"
    ]


@pytest.mark.timeout(240)
def test_up_runs_several_and_the_books_are_exact(tmp_path: Path) -> None:
    """`up` with two receivers: 60 traces, whose spans come over many connections, are counted once each, though one
    receiver is killed in between; `doctor` is well; and after `kill -9` of `up` the next one takes over."""
    grpc_port, http_port = free_ports(2)
    ports = {"grpc": {"endpoint": f"127.0.0.1:{grpc_port}"}, "http": {"endpoint": f"127.0.0.1:{http_port}"}}

    def settings(processes: int) -> dict[str, Any]:
        return {"receiver": {"processes": processes, **ports}, "api": {"endpoint": "127.0.0.1:0"}}

    def send(first: int) -> None:
        async def story() -> None:
            # The root and the call of a trace come over different connections, and so, half the time, to different
            # receivers: the books must not mind.
            for trace in range(first, first + 30):
                now = time.time_ns()
                spans = [a_span(1, {}, trace=trace, end_ns=now), a_span(2, chat(), trace=trace, parent=1, end_ns=now)]
                for span in spans:
                    async with over_http(f"127.0.0.1:{http_port}") as one:
                        await until_acknowledged(one, a_request([span], {"service.name": "cart"}).SerializeToString())

        asyncio.run(story())

    def calls(running: Stack) -> int:
        return sum(team.calls for team in Api(running.endpoints["api"]).usage())

    first = Stack(tmp_path, settings(2)).__enter__()
    try:
        pids = parts(tmp_path)
        assert {"receiver", "receiver-2"} < pids.keys()
        send(1)
        os.kill(pids["receiver-2"], signal.SIGKILL)
        send(31)
        eventually(lambda: calls(first) == 60, what="60 calls counted")
        eventually(lambda: parts(tmp_path).get("receiver-2") not in (None, pids["receiver-2"]), what="receiver-2 again")
        assert {name: pid for name, pid in parts(tmp_path).items() if name != "receiver-2"} == {
            name: pid for name, pid in pids.items() if name != "receiver-2"
        }
        doctor = subprocess.run(
            [*TOKENSENSE, "doctor", "--config", str(first.config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert doctor.returncode == 0, doctor.stdout
        os.kill(first.pid, signal.SIGKILL)
    finally:
        first.stop()
    with Stack(tmp_path, settings(3)) as second:
        send(61)
        eventually(lambda: calls(second) == 90, what="90 calls counted")
        assert second.stop() == 0


def parts(folder: Path) -> dict[str, int]:
    try:
        return dict(json.loads((folder / "data" / "run" / "up.json").read_text())["parts"])
    except FileNotFoundError:
        return {}
