"""What operators see of the log: `/metrics` and `doctor`."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.support.calls import NOON, SECOND
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.log.log import START
from tokensense_otel.service import places
from tokensense_otel.service.api.backlog import LogCollector
from tokensense_otel.service.doctor import place
from tokensense_otel.service.doctor.finding import Verdict
from tokensense_otel.service.loader import restore

CONFIG = LogConfig(partitions=1)


def written(folder: Path, *received_ns: int) -> EmbeddedLog:
    log = EmbeddedLog(CONFIG, folder)

    async def story() -> None:
        writer = log.writer()
        await writer.start()
        for number in received_ns:
            await writer.append(Entry(Signal.TRACES, "t", "", number, bytes(1000)))
        await writer.stop()

    asyncio.run(story())
    return log


def shown(log: EmbeddedLog, now_ns: int) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(LogCollector(log.reader(), CONFIG.max_bytes, lambda: now_ns))
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    return {name.removeprefix("tokensense_log_"): float(value) for name, value in (line.split() for line in lines)}


def test_metrics_show_how_far_the_dataflow_is_behind(tmp_path: Path) -> None:
    """Lag is what is not committed, in bytes and since the oldest of it came; 0 when all is committed."""
    log = written(tmp_path / "log", NOON, NOON + 2 * SECOND)
    reader = log.reader().open("p000")
    _, first = reader.read(START, 1)
    (segment,) = (tmp_path / "log" / "p000").glob("*.log")
    size = segment.stat().st_size  # a header of 16 bytes and two records of the same size

    before = shown(log, NOON + 10 * SECOND)
    reader.commit(first)
    between = shown(log, NOON + 10 * SECOND)
    _, end = reader.read(first, 1)
    reader.commit(end)
    after = shown(log, NOON + 10 * SECOND)
    reader.close()

    assert before == {"disk_bytes": size, "max_bytes": 10 << 30, "lag_bytes": size - 16, "lag_seconds": 10}
    assert (between["lag_bytes"], between["lag_seconds"]) == ((size - 16) / 2, 8)
    assert (after["disk_bytes"], after["lag_bytes"], after["lag_seconds"]) == (size, 0, 0)


def test_a_log_that_cannot_be_looked_at_costs_only_its_own_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk shows nothing of the log and raises nothing."""
    log = written(tmp_path / "log", NOON)

    def failing(*_: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(Path, "iterdir", failing)

    assert shown(log, NOON) == {}


def test_doctor_says_how_large_the_log_is_and_how_old_its_oldest_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size, cap, lag in bytes and seconds; a lag of more than five minutes is a warning with what to do."""
    loaded = restore({"data_dir": str(tmp_path), "log": {"partitions": 1}}, tmp_path)
    written(places.log_dir(tmp_path), NOON)

    monkeypatch.setattr(place, "system_clock", lambda: NOON + 300 * SECOND)
    fine = place.log(loaded)
    monkeypatch.setattr(place, "system_clock", lambda: NOON + 301 * SECOND)
    late = place.log(loaded)

    assert fine.verdict is Verdict.OK
    assert fine.detail == (
        "1 partitions, 0.0 MiB of 10.0 GiB; 0.0 MiB wait for the dataflow, the oldest for 300 s, "
        "since 2026-01-01T12:00:00Z"
    )
    assert late.verdict is Verdict.WARN
    assert "see whether the dataflow runs" in late.mend
