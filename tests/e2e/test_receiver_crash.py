"""Receiver and dataflow under `kill -9`: every call that was sent until it was acknowledged is in the books once.

`TOKENSENSE_KILLS=30 pytest -s tests/e2e/test_receiver_crash.py` kills as often as one likes and says what it did.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
import yaml

from tests.support.calls import NOON, SECOND
from tests.support.processes import free_ports
from tests.support.retrying import Send, over_grpc, over_http, until_acknowledged
from tests.support.traffic import a_request, a_span, chat
from tests.support.waiting import eventually
from tokensense_otel.core.usage import usage_rows
from tokensense_otel.store.database import open_database
from tokensense_otel.store.reader import read_accounting, read_usage

pytestmark = pytest.mark.e2e

KILLS = int(os.environ.get("TOKENSENSE_KILLS", "6"))
SENDERS = 4
"""On each of the two transports."""

CALLS = 3
"""In each request."""


@dataclass
class Sent:
    """What the senders of one transport did."""

    requests: int = 0
    attempts: int = 0


def part(name: str, config: Path) -> "subprocess.Popen[str]":
    """A part of the product, running by itself; not necessarily ready."""
    command = [sys.executable, "-m", "tokensense_otel.service.main", name, "--config", str(config)]
    with (config.parent / f"{name}.log").open("a") as log:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)


def end(process: "subprocess.Popen[str]", how: signal.Signals) -> int:
    process.send_signal(how)
    assert process.stdout is not None
    process.stdout.close()
    return process.wait(60)


class Dataflow:
    """It reads on all the while, is killed now and then, and ends cleanly once the log is read."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._process = part("dataflow", config)

    def kill(self) -> None:
        """Kill it, wherever it is, and start the next."""
        end(self._process, signal.SIGKILL)
        self._process = part("dataflow", self._config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None:
            end(self._process, signal.SIGKILL)
            return
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith("ready")
        assert end(self._process, signal.SIGTERM) == 0


def body(number: int) -> bytes:
    """Request `number`: one trace of three calls."""
    base = 10 * number + 1
    spans = [a_span(base + n, chat(output_tokens=7), trace=base, end_ns=NOON + number * SECOND) for n in range(CALLS)]
    return a_request(spans, {"service.name": "cart", "team": "checkout"}).SerializeToString()


async def keep_sending(send: Send, numbers: Iterator[int], sent: Sent, done: asyncio.Event) -> None:
    """Request after request, each until it is acknowledged, and none left behind."""
    while not done.is_set():
        attempts = await until_acknowledged(send, body(next(numbers)))
        sent.attempts += attempts
        sent.requests += 1


async def kill_again_and_again(
    config: Path, acknowledged: Callable[[], int], chance: random.Random, dataflow: Dataflow
) -> None:
    """Start the receiver and kill it, mostly at work, sometimes while it starts; the dataflow every third time."""
    for kill in range(KILLS):
        process = part("receiver", config)
        try:
            if kill % 5 != 4:
                before = acknowledged()
                enough = lambda: acknowledged() > before  # noqa: B023, E731
                await asyncio.to_thread(eventually, enough, what=f"an acknowledgement after kill {kill}")
            with pytest.raises(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, chance.random() * 0.4)  # anywhere in its work
        finally:
            end(process, signal.SIGKILL)
        if kill % 3 == 2:
            dataflow.kill()


async def story(config: Path, grpc: str, http: str, dataflow: Dataflow) -> dict[str, Sent]:
    sent = {"grpc": Sent(), "http": Sent()}
    numbers = iter(range(1, 10_000_000))
    done = asyncio.Event()
    acknowledged = lambda: sum(each.requests for each in sent.values())  # noqa: E731
    async with over_grpc(grpc) as by_grpc, over_http(http) as by_http:
        sends = {"grpc": by_grpc, "http": by_http}
        async with asyncio.TaskGroup() as senders:
            for name, send in sends.items():
                for _ in range(SENDERS):
                    senders.create_task(keep_sending(send, numbers, sent[name], done))
            await kill_again_and_again(config, acknowledged, random.Random(KILLS), dataflow)
            done.set()
            last = part("receiver", config)
    assert last.stdout is not None
    assert (await asyncio.to_thread(last.stdout.readline)).startswith("ready")
    assert end(last, signal.SIGTERM) == 0
    return sent


@pytest.mark.timeout(60 + 10 * KILLS)
def test_every_call_is_in_the_books_once_whatever_is_killed(tmp_path: Path) -> None:
    """Killed at random under load over gRPC and HTTP, nothing acknowledged is missing and nothing retried is twice."""
    grpc, http = (f"127.0.0.1:{port}" for port in free_ports(2))
    config = tmp_path / "tokensense.yaml"
    receiver = {"grpc": {"endpoint": grpc}, "http": {"endpoint": http}}
    log = {"partitions": 2, "segment_bytes": 1 << 16, "commit_bytes": 1 << 14}
    config.write_text(yaml.safe_dump({"data_dir": str(tmp_path / "data"), "receiver": receiver, "log": log}))

    began = time.monotonic()
    with Dataflow(config) as dataflow:
        sent = asyncio.run(story(config, grpc, http, dataflow))
    engine = open_database("sqlite", data_dir=tmp_path / "data")
    books = read_accounting(engine)
    (row,) = usage_rows(read_usage(engine), ("team", "model"))
    engine.dispose()

    for name, each in sent.items():
        retried = each.attempts - each.requests
        print(f"{name}: {each.requests} requests acknowledged, {retried} retries, {KILLS} kills")  # noqa: T201
    print(f"{time.monotonic() - began:.1f} s; {books.duplicates} spans were on the log twice")  # noqa: T201
    requests = sum(each.requests for each in sent.values())
    attempts = sum(each.attempts for each in sent.values())
    assert (books.calls, books.spans - books.duplicates) == (CALLS * requests, CALLS * requests)
    assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (
        CALLS * requests,
        CALLS * requests * 1000,
        CALLS * requests * 7,
    )
    # Otherwise nothing was tried: each transport worked, each was interrupted, and no copy is there without a retry.
    assert all(each.requests > KILLS and each.attempts > each.requests for each in sent.values())
    assert books.duplicates <= CALLS * (attempts - requests)
