"""What the switch decides, without I/O: whether the pipeline is well, and when to say so."""

from enum import Enum, auto
from typing import NamedTuple

_SECOND = 1_000_000_000


class Turn(Enum):
    """A change that is worth a line in the log."""

    LOST = auto()
    BACK = auto()


class Verdict(NamedTuple):
    lag_ns: int
    """How old the heartbeat is, or how long none came since the start."""
    send: bool
    turn: Turn | None


class Pulse:
    """All times are Unix nanoseconds. A pipeline that was just started has `max_lag_s` to come to life, and counts as
    well only once a heartbeat came through it."""

    def __init__(self, every_s: float, max_lag_s: float, started_ns: int) -> None:
        self._every_ns = round(every_s * _SECOND)
        self._max_lag_ns = round(max_lag_s * _SECOND)
        self._started_ns = started_ns
        self._sent_ns: int | None = None
        self._lost = False

    def judge(self, beat_ns: int, now_ns: int) -> Verdict:
        """`beat_ns` is the newest heartbeat that came all the way, 0 where none did."""
        fresh = beat_ns > 0 and now_ns - beat_ns <= self._max_lag_ns
        lag_ns = max(0, now_ns - max(beat_ns, self._started_ns))
        lost = not fresh and lag_ns > self._max_lag_ns
        turn = None
        if lost != self._lost and (lost or fresh):
            turn = Turn.LOST if lost else Turn.BACK
            self._lost = lost
        due = self._sent_ns is None or now_ns - self._sent_ns >= self._every_ns
        return Verdict(lag_ns, fresh and due, turn)

    def sent(self, now_ns: int) -> None:
        """The other side took the signal."""
        self._sent_ns = now_ns
