"""What one exporter sends next, and what it need not send any more. Runs in the outbox's thread.

Order: what waited too long is merged, what is muted is held back, and an attempt is counted before anything leaves.
"""

from tokensense_otel.core.component import Clock
from tokensense_otel.exporters import events
from tokensense_otel.exporters.delivery.digest import MOST
from tokensense_otel.exporters.delivery.lane import Lanes
from tokensense_otel.exporters.delivery.merge import superseded
from tokensense_otel.exporters.delivery.policy import Policy, is_storm
from tokensense_otel.exporters.muting.gate import Gate
from tokensense_otel.store.outbox import Delivery, Outbox

Shipment = tuple[Delivery, ...]
"""What goes out in one message: one delivery, or those of a digest."""

_SECOND = 1_000_000_000
_FEW = 2
_MERGE_EVERY_NS = 5 * _SECOND


class Picker:
    def __init__(self, name: str, outbox: Outbox, gate: Gate, lanes: Lanes, policy: Policy, clock: Clock) -> None:
        self._name = name
        self._outbox = outbox
        self._gate = gate
        self._lanes = lanes
        self._policy = policy
        self._clock = clock
        self._next_merge_ns = 0

    def pick(self, slots: int, *, probe: bool) -> list[Shipment]:
        """Up to `slots` messages to send now, their lanes busy and their attempts counted.

        `probe` asks for the oldest, whether its time has come or not.
        """
        now = self._clock()
        self._merge(now)
        if not probe and (together := self._crowd()):
            return [together]
        due = self._outbox.due(self._name, None if probe else now, slots + len(self._lanes))
        return [(delivery,) for delivery in self._started(self._lanes.take(due, slots), together=False)]

    def _crowd(self) -> Shipment:
        if not self._policy.digest_after_s or not is_storm(
            self._policy, self._outbox.waiting([self._name])[self._name]
        ):
            return ()
        reserved = self._lanes.reserve(self._outbox.crowd(self._name, MOST))
        if len(reserved) < _FEW:
            self._lanes.release_all(reserved)
            return ()
        crowd = self._started(reserved, together=True)
        if crowd:
            events.DIGESTED(len(crowd), exporter=self._name, deliveries=len(crowd))
        return tuple(crowd)

    def _started(self, reserved: list[Delivery], *, together: bool) -> list[Delivery]:
        """Of these, those that may go; the lanes of the others are free again."""
        free: list[Delivery] = []
        if not reserved:
            return free
        try:
            going = {delivery.id for delivery in self._gate.sift(self._name, reserved)}
            muted = {delivery.episode_id for delivery in reserved if delivery.id not in going}
            free = [delivery for delivery in reserved if delivery.episode_id not in muted]
            if free:
                self._outbox.begin(free, together=together)
        except BaseException:
            free = []
            raise
        finally:
            started = {delivery.id for delivery in free}
            self._lanes.release_all([delivery for delivery in reserved if delivery.id not in started])
        return free

    def _merge(self, now_ns: int) -> None:
        if self._policy.merge_after_s is None or now_ns < self._next_merge_ns:
            return
        self._next_merge_ns = now_ns + _MERGE_EVERY_NS
        since_ns = now_ns - int(self._policy.merge_after_s * _SECOND)
        reasons: dict[int, str] = {}
        for lane in self._gate.held.slow_lanes(self._name, since_ns):
            if not self._lanes.is_busy(lane.episode_id):
                reasons |= superseded(lane.waiting, told=lane.told)
        if reasons:
            self._gate.held.suppress(reasons, now_ns)
            events.SUPPRESSED(len(reasons), exporter=self._name, reason="merged", deliveries=len(reasons))
