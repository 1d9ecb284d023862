"""An exporter that takes nothing is a finding of its own, told through the others. Pure but for what it is handed.

It fires when an endpoint has been failing for `DOWN_AFTER_S`, and resolves with the first delivery after that: a new
start proves nothing. Ids are made of the name and of when it began, so that a restart tells nothing twice.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from tokensense_otel.core.insight import Insight, Severity, Status, rfc3339, stable_id

RULE: Final = "EXPORTER_DOWN"
DOWN_AFTER_S: Final = 300.0
_SECOND: Final = 1_000_000_000


class Health(NamedTuple):
    """What a sender knows of its endpoint. Times are Unix nanoseconds."""

    failing_since_ns: int | None
    """When its endpoint was found to take nothing; `None` while it takes messages."""
    delivered_ns: int
    """When it last took one, in this process; 0 for never."""
    complaint: str


class Outages:
    """Which exporters are known to be down."""

    def __init__(self, open_: Iterable[Insight]) -> None:
        self._open = {insight.scope["exporter"]: insight for insight in open_ if insight.rule == RULE}

    def look(
        self, health: Mapping[str, Health], waiting: Mapping[str, int], now_ns: int, tell: Callable[[Insight], None]
    ) -> None:
        """Tell what there is to tell. What cannot be told is tried again at the next look.

        An exporter that is no longer configured is not down any more.
        """
        for name, each in health.items():
            known = self._open.get(name)
            since_ns = each.failing_since_ns
            if known is None and since_ns is not None and now_ns - since_ns >= DOWN_AFTER_S * _SECOND:
                firing = _firing(name, each, since_ns, waiting.get(name, 0), now_ns)
                tell(firing)
                self._open[name] = firing
            elif known is not None and since_ns is None and each.delivered_ns:
                tell(_resolved(known, "It takes messages again.", now_ns))
                del self._open[name]
        for name in [name for name in self._open if name not in health]:
            tell(_resolved(self._open[name], "It is no longer configured.", now_ns))
            del self._open[name]


def _firing(name: str, health: Health, since_ns: int, waiting: int, now_ns: int) -> Insight:
    episode = stable_id("ep", RULE, name, since_ns // _SECOND)
    return Insight(
        id=stable_id("in", episode, Status.FIRING),
        episode_id=episode,
        status=Status.FIRING,
        rule=RULE,
        severity=Severity.HIGH,
        tenant="default",
        project="default",
        scope={"exporter": name},
        title=f"The exporter {name} takes nothing",
        summary=f"No message to {name} has arrived since {rfc3339(since_ns)}, and {waiting} wait. The reason: "
        f"{health.complaint}",
        evidence={
            "failing_since": rfc3339(since_ns),
            "waiting_deliveries": waiting,
            "reason": health.complaint,
            "thresholds": {"down_after_s": DOWN_AFTER_S},
        },
        suggested_fix=f"`tokensense exporters test {name}` shows what it answers and what to mend. Nothing is lost "
        "meanwhile: what waits is sent when it is back.",
        estimated_monthly_savings_usd=None,
        started_at=rfc3339(since_ns),
        detected_at=rfc3339(now_ns),
    )


def _resolved(firing: Insight, summary: str, now_ns: int) -> Insight:
    changes = {
        "id": stable_id("in", firing.episode_id, Status.RESOLVED),
        "status": Status.RESOLVED,
        "summary": summary,
        "detected_at": rfc3339(now_ns),
        "resolved_at": rfc3339(now_ns),
    }
    return replace(firing, **changes)
