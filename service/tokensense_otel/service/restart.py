"""When a part that died is started again: pure policy, told what happened and when.

A part that never came up because of its configuration (exit code 2) ends the whole: only a person can mend that.
Everything else is started again, sooner or later; nothing that was accepted is lost meanwhile, so giving up would
only turn a bad minute into a bad night.
"""

from dataclasses import dataclass, field

CONFIGURATION = 2
"""The exit code of a part that cannot be started with what it was given."""

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
HEALTHY_S = 30.0


@dataclass(frozen=True)
class Restart:
    """Start it again after `delay_s`."""

    delay_s: float


@dataclass(frozen=True)
class GiveUp:
    """End the whole with this exit code."""

    exit_code: int


@dataclass
class RestartPolicy:
    """One part's history. Times are monotonic seconds."""

    _was_ready: bool = field(default=False, init=False)
    _ready_at: float | None = field(default=None, init=False)
    _delay_s: float = field(default=FIRST_DELAY_S, init=False)

    def ready(self, now: float) -> None:
        self._was_ready = True
        self._ready_at = now

    def died(self, now: float, exit_code: int | None) -> Restart | GiveUp:
        """What to do now; the delay doubles with each death until the part has been up for `HEALTHY_S`."""
        if exit_code == CONFIGURATION and not self._was_ready:
            return GiveUp(CONFIGURATION)
        if self._ready_at is not None and now - self._ready_at >= HEALTHY_S:
            self._delay_s = FIRST_DELAY_S
        self._ready_at = None
        delay, self._delay_s = self._delay_s, min(self._delay_s * 2, LONGEST_DELAY_S)
        return Restart(delay)
