"""What is held back, and what becomes of it. Pure.

Firings and updates wait while something mutes them. When it ends, what is still so is told: the firing and the newest
update. What came and went meanwhile was never told, and is not. The end of a finding that was told is always told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tokensense_otel.core.insight import Insight, Status, rfc3339
from tokensense_otel.core.mutes import Mute, matches, parse_matcher
from tokensense_otel.exporters.muting.config import MaintenanceConfig
from tokensense_otel.exporters.selection.calendar import open_until
from tokensense_otel.store.held import Waiting


@dataclass(frozen=True, slots=True)
class Hold:
    """Something mutes an insight until then; `by` is its id, `reason` says the rest."""

    by: str
    until_ns: int
    reason: str


def hold(insight: Insight, mutes: Iterable[Mute], windows: Mapping[str, MaintenanceConfig], now_ns: int) -> Hold | None:
    """What mutes an insight longest, `None` where nothing does."""
    if insight.status is Status.RESOLVED:
        return None
    holds = [_of_mute(mute) for mute in mutes if mute.covers(insight, now_ns)]
    for name, window in windows.items():
        until_ns = open_until(window, now_ns)
        if until_ns is not None and matches(map(parse_matcher, window.match), insight):
            holds.append(_of_window(name, window, until_ns))
    return max(holds, key=lambda each: each.until_ns, default=None)


def given_up(lane: Sequence[Waiting], *, told: bool) -> dict[int, str]:
    """Delivery id → why it need not be sent, for a lane that is held back.

    `lane` holds what waits of one episode, in order; `told` says whether anything of the episode may have arrived.
    """
    *earlier, last = lane
    if last.status is Status.RESOLVED:
        if not told:
            return dict.fromkeys((each.id for each in lane), "over before it was told: it was muted")
        return dict.fromkeys((each.id for each in earlier), "over while it was muted")
    between = [each for each in earlier if each.status is not Status.FIRING]
    return dict.fromkeys((each.id for each in between), "a newer update waits as well")


def _of_mute(mute: Mute) -> Hold:
    said = f"{mute.kind.value} {mute.id} by {mute.by} until {rfc3339(mute.ends_ns)}: {mute.reason}"
    return Hold(mute.id, mute.ends_ns, said)


def _of_window(name: str, window: MaintenanceConfig, until_ns: int) -> Hold:
    asked = f" of {window.owner}" if window.owner else ""
    return Hold(
        f"maintenance.{name}", until_ns, f"maintenance window {name}{asked} until {rfc3339(until_ns)}: {window.reason}"
    )
