"""What `/readyz` of the API asks: the parts that run on this data folder, and the receiver itself."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.certificates import issue
from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiving import MemoryLog, running
from tokensense_otel.core.errors import Retryable
from tokensense_otel.receiver.auth import Identity
from tokensense_otel.receiver.intake import Delivery
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.server import Receiver
from tokensense_otel.service import places
from tokensense_otel.service.api.health import NotReady, part_checks
from tokensense_otel.service.config import Settings

FREE = {"grpc": {"endpoint": "127.0.0.1:0"}, "http": {"endpoint": "127.0.0.1:0"}}
Checks = Mapping[str, Callable[[], str]]


def checks_of(folder: Path, receiver: dict[str, Any] | None = None) -> Checks:
    places.make_dirs(folder)
    settings = Settings.model_validate({"data_dir": folder, "receiver": receiver or FREE})
    return part_checks(settings, EmbeddedLog(LogConfig(), places.log_dir(folder)).reader())


def with_receiver(folder: Path, story: Callable[[Receiver, Checks], Awaitable[None]], log: MemoryLog) -> None:
    """The checks while a receiver runs under an `up` that chose its ports."""

    async def run() -> None:
        checks = checks_of(folder)
        async with running(log) as receiver:
            places.up_file(folder).write_text(json.dumps({"endpoints": receiver.endpoints._asdict()}))
            with places.only_one(folder, "up"), places.only_one(folder, "receiver"):
                await story(receiver, checks)

    asyncio.run(run())


def test_parts_that_run_elsewhere_are_named_and_no_fault(tmp_path: Path) -> None:
    """Without `up`, a part that does not run here fails nothing; one that does is ok, and the log is looked at."""
    checks = checks_of(tmp_path)
    with places.only_one(tmp_path, "dataflow"):
        assert {name: check() for name, check in checks.items()} == {
            "log": "ok",
            "backlog": "0 bytes, the oldest for 0 s",
            "receiver": "does not run here",
            "dataflow": "ok",
            "exporters": "does not run here",
        }


def test_under_up_every_part_has_to_be_there(tmp_path: Path) -> None:
    """Of two receivers the one that is missing is named as being started again, and so is a missing dataflow."""
    checks = checks_of(tmp_path, {**FREE, "processes": 2})
    assert list(checks) == ["log", "backlog", "receiver", "receiver-2", "dataflow", "exporters"]
    with places.only_one(tmp_path, "up"), places.only_one(tmp_path, "exporters"):
        assert checks["exporters"]() == "ok"
        for name in ("receiver-2", "dataflow"):
            with pytest.raises(NotReady, match="it is being started again"):
                checks[name]()


def test_a_receiver_that_keeps_requests_is_ready(tmp_path: Path) -> None:
    """It is asked where it really listens."""

    async def story(_receiver: Receiver, checks: Checks) -> None:
        assert await asyncio.to_thread(checks["receiver"]) == "ok"

    with_receiver(tmp_path, story, MemoryLog())


def test_a_receiver_that_cannot_keep_requests_says_why(tmp_path: Path) -> None:
    """After its log refused a request, the whole is not ready, with the receiver's own words."""

    async def story(receiver: Receiver, checks: Checks) -> None:
        intake = receiver._intake
        delivery = Delivery(Signal.TRACES, "http", trace_request([sound_span(1)]).SerializeToString())
        with contextlib.suppress(Retryable), intake.hold(Identity()) as hold:
            await intake.accept(delivery, Identity(), hold)
        with pytest.raises(NotReady, match=r"^the log does not take requests$"):
            await asyncio.to_thread(checks["receiver"])

    with_receiver(tmp_path, story, MemoryLog(Retryable("full", delay_s=1.0)))


def test_a_receiver_that_does_not_answer_is_not_ready(tmp_path: Path) -> None:
    """It holds its lock, but nothing listens on its port: said with the endpoint."""
    checks = checks_of(tmp_path, FREE | {"http": {"endpoint": "127.0.0.1:9"}})
    with places.only_one(tmp_path, "receiver"), pytest.raises(NotReady, match=r"does not answer on 127\.0\.0\.1:9: "):
        checks["receiver"]()


def test_behind_tls_it_is_enough_that_it_listens(tmp_path: Path) -> None:
    """A receiver that wants a client's certificate is ready while it takes connections."""
    files = issue(trustme.CA(), tmp_path)
    tls = {"cert_file": str(files.cert), "key_file": str(files.key), "client_ca_file": str(files.ca)}

    async def story() -> None:
        async with running(MemoryLog(), http={"endpoint": "127.0.0.1:0", "tls": tls}) as receiver:
            checks = checks_of(tmp_path, FREE | {"http": {"endpoint": receiver.endpoints.http, "tls": tls}})
            with places.only_one(tmp_path, "receiver"):
                assert await asyncio.to_thread(checks["receiver"]) == "ok"

    asyncio.run(story())
