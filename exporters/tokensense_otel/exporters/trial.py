"""Try one exporter with an insight that says it is a test: `tokensense exporters test NAME`."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.core.config import JsonObject
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.insight import Insight, Severity, Status, rfc3339, stable_id
from tokensense_otel.exporters.config import redacted, secrets_of
from tokensense_otel.exporters.errors import EndpointDown, Reject, Retry, Throttle
from tokensense_otel.exporters.exporter import NamedExporter
from tokensense_otel.exporters.process import Running


@dataclass(frozen=True, slots=True)
class TrialResult:
    """How a trial ended. `detail` is for the user and has no secrets in it."""

    name: str
    ok: bool
    verdict: str
    """`delivered`, `rejected`, `throttled`, `endpoint down`, `failed`, `not started` or `bug`."""
    detail: str
    latency_ms: float
    receipt: JsonObject | None = None


async def send_test(
    named: NamedExporter, *, clock: Clock = system_clock, timer: Callable[[], float] = time.perf_counter
) -> TrialResult:
    """Send a marked test insight once, outside the outbox, and say how it went.

    Where the destination keeps something open until it is resolved, the resolve follows.
    """
    running = Running(named, clock)
    try:
        await running.start()
    except ConfigError as error:
        return TrialResult(named.name, False, "not started", str(error), 0.0)
    started = timer()
    try:
        insight = trial_insight(clock())
        receipt = await named.exporter.send(named.exporter.render(insight), None)
        taken_ms = (timer() - started) * 1000
        if getattr(named.exporter, "keeps_state", False):
            await named.exporter.send(named.exporter.render(_resolved(insight)), receipt)
    except Exception as error:  # noqa: BLE001 - whatever an exporter raises is the result
        taken_ms = (timer() - started) * 1000
        verdict = next((word for kind, word in _VERDICTS.items() if isinstance(error, kind)), "bug")
        said = str(error) if verdict != "bug" else f"{type(error).__name__}: {error}"
        return TrialResult(named.name, False, verdict, redacted(said, secrets_of(named.config)), taken_ms)
    finally:
        await running.stop()
    return TrialResult(named.name, True, "delivered", "the destination took it", taken_ms, receipt.data)


def trial_insight(now_ns: int) -> Insight:
    """A firing insight that nobody can take for a real one."""
    episode_id = stable_id("ep", "TEST", now_ns)
    return Insight(
        id=stable_id("in", episode_id, "firing"),
        episode_id=episode_id,
        status=Status.FIRING,
        rule="TEST",
        severity=Severity.LOW,
        tenant="default",
        project="default",
        scope={"team": "test"},
        title="Test message from TokenSense",
        summary="This is a test. Nothing happened and nothing has to be done.",
        evidence={"test": True},
        suggested_fix="Nothing to do: the exporter works.",
        estimated_monthly_savings_usd=None,
        started_at=rfc3339(now_ns),
        detected_at=rfc3339(now_ns),
    )


def _resolved(insight: Insight) -> Insight:
    return msgspec.structs.replace(
        insight,
        id=stable_id("in", insight.episode_id, "resolved"),
        status=Status.RESOLVED,
        resolved_at=insight.detected_at,
    )


_VERDICTS: dict[type, str] = {
    Reject: "rejected",
    Throttle: "throttled",
    EndpointDown: "endpoint down",
    Retry: "failed",
}
