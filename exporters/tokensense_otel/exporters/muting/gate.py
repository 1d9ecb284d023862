"""The gate before every send: asks what is muted, and keeps the outbox so. All of it runs in the outbox's thread."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

from tokensense_otel.core.component import Clock
from tokensense_otel.core.insight import decode_insight
from tokensense_otel.exporters import events
from tokensense_otel.exporters.muting.config import MaintenanceConfig
from tokensense_otel.exporters.muting.decide import given_up, hold
from tokensense_otel.store.held import HeldBack
from tokensense_otel.store.mutes import Mutes
from tokensense_otel.store.outbox import Delivery


class Gate:
    def __init__(self, engine: Engine, windows: Mapping[str, MaintenanceConfig], clock: Clock) -> None:
        self._mutes = Mutes(engine)
        self.held = HeldBack(engine)
        self._windows = windows
        self._clock = clock

    def reset(self) -> None:
        """Look anew at what is held back: the configuration may be another one."""
        self.held.release()

    def sift(self, exporter: str, batch: Sequence[Delivery]) -> list[Delivery]:
        """Those that may be sent; the others are held back, and stay pending."""
        now = self._clock()
        mutes = self._mutes.active(now)
        if not mutes and not self._windows:
            return list(batch)
        free: list[Delivery] = []
        for delivery in batch:
            found = hold(decode_insight(delivery.body), mutes, self._windows, now)
            if found is None:
                free.append(delivery)
            else:
                self.held.hold(delivery, found.by, found.until_ns, found.reason)
                events.HELD(exporter=exporter, by=found.by, insight=delivery.insight_id)
        if len(free) < len(batch):
            self.settle(exporter)
        return free

    def settle(self, exporter: str) -> None:
        """Give up what is held back and need not be sent any more, because of what waits behind it."""
        reasons: dict[int, str] = {}
        for lane in self.held.lanes(exporter):
            reasons |= given_up(lane.waiting, told=lane.told)
        if reasons:
            self.held.suppress(reasons, self._clock())
            events.SUPPRESSED(len(reasons), exporter=exporter, reason="muted", deliveries=len(reasons))
