"""A burst of findings: how long until all are on record, and until a fast and a slow endpoint have been told.

The webhook is a real HTTP receiver on loopback; the slow one takes a message a second, as a Slack channel does.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from sqlalchemy import Engine

from benchmarks.measure import Effort, report
from tests.support.webhook import SECRET, webhook_receiver
from tokensense_otel.core.component import system_clock
from tokensense_otel.core.insight import Insight, Severity, Status, rfc3339, stable_id
from tokensense_otel.core.tally import Tallies
from tokensense_otel.exporters.config import ExporterConfig
from tokensense_otel.exporters.exporter import Context, NamedExporter, Payload, Receipt
from tokensense_otel.exporters.process import Exporters
from tokensense_otel.exporters.registry import load_exporters
from tokensense_otel.store.config import ExplainConfig
from tokensense_otel.store.database import open_database
from tokensense_otel.store.outbox import Outbox
from tokensense_otel.store.rollups import RollupWriter

_LATEST_S = 180.0


class Slow:
    """Takes everything at once; its pace is the ring's."""

    Config = ExporterConfig

    def __init__(self) -> None:
        self.messages = 0

    def render(self, insight: Insight) -> Payload:
        return Payload(insight.id, insight.episode_id, insight.title)

    async def start(self, context: Context) -> None:
        """Ready."""

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:  # noqa: ARG002 - nothing is edited
        self.messages += 1
        return Receipt()

    async def aclose(self) -> None:
        """Nothing to release."""


def burst(effort: Effort) -> None:
    """10,000 findings at once."""
    count = 10_000 if effort.size > 1000 else 500
    with tempfile.TemporaryDirectory() as folder, webhook_receiver() as hook:
        engine = open_database("sqlite", data_dir=Path(folder))
        section = {"type": "webhook", "url": hook.url, "secret": SECRET, "allow_private": True, "max_in_flight": 32}
        slow = Slow()
        config = ExporterConfig.model_validate({"type": "slow", "min_interval_s": 1, "digest_after_s": 120})
        exporters = [*load_exporters({"hook": section}, base_dir=Path(folder)), NamedExporter("chat", slow, config)]
        findings = [_finding(number) for number in range(count)]
        writer = RollupWriter(engine, "p0", None, system_clock, ExplainConfig())

        async def run() -> tuple[float, float, float]:
            component = Exporters(exporters, engine)
            await component.start()
            began = time.perf_counter()
            await asyncio.to_thread(writer.write, {}, {}, findings, Tallies(), [])
            recorded = time.perf_counter() - began
            heard = [await _until(engine, name, count) - began for name in ("hook", "chat")]
            await component.stop()
            return recorded, heard[0], heard[1]

        recorded, fast, chat = asyncio.run(run())
        engine.dispose()
    report("burst, all on record", f"{recorded:.2f} s", f"{count:,} findings in one transaction")
    report("burst, all told to a webhook", f"{fast:.1f} s", f"{count / fast:,.0f} a second, one message each")
    report("burst, all told at a message a second", f"{chat:.1f} s", f"{slow.messages} messages")


async def _until(engine: Engine, name: str, count: int) -> float:
    outbox = Outbox(engine)
    deadline = time.perf_counter() + _LATEST_S
    while time.perf_counter() < deadline:
        books = await asyncio.to_thread(outbox.audit)
        if any(book.exporter == name and book.delivered == count for book in books):
            return time.perf_counter()
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{name} was not told everything within {_LATEST_S:.0f} s")


def _finding(number: int) -> Insight:
    now = rfc3339(system_clock())
    episode = stable_id("ep", "burst", number)
    return Insight(
        id=stable_id("in", episode, Status.FIRING),
        episode_id=episode,
        status=Status.FIRING,
        rule="SPIKE",
        severity=Severity.LOW,
        tenant="default",
        project="default",
        scope={"team": f"team-{number}"},
        title=f"team-{number} makes unusually many calls today",
        summary="400 calls so far today, against a mean of 100 on the 7 days before.",
        evidence={"calls_today": 400, "daily_calls_before": [100] * 7},
        suggested_fix="Look for a retry loop.",
        estimated_monthly_savings_usd=None,
        started_at=now,
        detected_at=now,
    )
