"""What an endpoint takes right now: a breaker, a throttle and a pace, as plain state. Pure; the clock is passed in.

Closed, it takes as many messages at once as the policy's width. It opens when a person has to mend it, or after so
many failures in a row; then one probe a minute goes out, the oldest message that waits, and the first success closes
it. A throttle holds everything back without counting as a failure.
"""

from enum import Enum
from typing import Final

from tokensense_otel.exporters.delivery.policy import Outcome, Policy
from tokensense_otel.exporters.errors import EndpointDown, Reject, Throttle
from tokensense_otel.exporters.exporter import Receipt

_SECOND: Final = 1_000_000_000
_NEVER: Final = 1 << 62


class Change(Enum):
    """What an outcome did to the endpoint."""

    OPENED = "opened"
    CLOSED = "closed"


class Endpoint:
    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._failures = 0
        self._failed_ns = 0
        self._not_before_ns = 0
        self.open = False

    def slots(self, now_ns: int, in_flight: int) -> int:
        """How many messages may be started now."""
        if now_ns < self._not_before_ns:
            return 0
        width = 1 if self.open or self._policy.min_interval_s > 0 else self._policy.width
        return max(0, width - in_flight)

    def started(self, now_ns: int) -> None:
        """Messages were started: keep the pace."""
        self._hold(now_ns, self._policy.min_interval_s)

    def wait_s(self, now_ns: int) -> float:
        """Seconds until it takes something again, 0 if it does now."""
        return max(0.0, (self._not_before_ns - now_ns) / _SECOND)

    def observe(self, outcome: Outcome, now_ns: int, began_ns: int) -> Change | None:
        """Learn from the outcome of an attempt that began then.

        Attempts that were under way when another failed tell nothing new: one hiccup of an endpoint that has many
        under way is one failure.
        """
        if isinstance(outcome, Receipt | Reject):  # a rejection proves that it is there
            self._failures = 0
            closed, self.open = self.open, False
            return Change.CLOSED if closed else None
        if isinstance(outcome, Throttle):
            self._hold(now_ns, outcome.delay_s)
            return None
        if began_ns >= self._failed_ns:
            self._failures += 1
            self._failed_ns = now_ns
        down = isinstance(outcome, EndpointDown)
        if not down and self._failures < self._policy.failures_to_open and not self.open:
            return None
        if isinstance(outcome, EndpointDown) and outcome.gone:
            self._not_before_ns = _NEVER
        else:
            self._hold(now_ns, self._policy.probe_s)
        opened, self.open = not self.open, True
        return Change.OPENED if opened else None

    def _hold(self, now_ns: int, seconds: float) -> None:
        self._not_before_ns = max(self._not_before_ns, now_ns + int(seconds * _SECOND))
