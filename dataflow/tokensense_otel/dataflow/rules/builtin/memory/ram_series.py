"""State of RAM_OVER_PROVISION for one function or container: its memory, how long it ran, and what is proposed."""

from collections import OrderedDict
from typing import Any, Final

from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS, MemorySeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling

STARTS: Final = 256
"""Sums of running time that are followed at once, by their start: one for each instance, or for each interval."""


class RamSeries(MemorySeries):
    __slots__ = ("_sums", "busy", "platform", "proposed")

    def __init__(self, window_ns: int) -> None:
        super().__init__(window_ns)
        self.platform = ""
        self.proposed: int | None = None
        """The limit that was proposed last, in bytes."""
        self.busy = Rolling(30 * DAY_NS, 30, 1)
        """Nanoseconds that it ran, by day."""
        self._sums: OrderedDict[int, int] = OrderedDict()

    def ran(self, time_ns: int, since_ns: int, busy_ns: int) -> None:
        """Count what a sum grew by since it was last told. A sum that is told again, or late, adds nothing."""
        before = self._sums.get(since_ns, 0)
        if busy_ns > before:
            self.busy.add(time_ns, (busy_ns - before,))
            self._sums[since_ns] = busy_ns
            self._sums.move_to_end(since_ns)
            if len(self._sums) > STARTS:
                self._sums.popitem(last=False)

    @property
    def busy_ns(self) -> int:
        """How long it ran in the last 30 days, as far as anybody told."""
        return self.busy.totals[0]

    @property
    def empty(self) -> bool:
        return super().empty and self.busy.empty

    def advance(self, now_ns: int) -> bool:
        changed = super().advance(now_ns)
        return self.busy.advance(now_ns) or changed

    def state(self) -> list[Any]:
        return [super().state(), self.platform, self.proposed, self.busy.snapshot(), list(self._sums.items())]

    def load(self, state: list[Any]) -> bool:
        memory, self.platform, self.proposed, busy, sums = state
        if not super().load(memory):
            return False
        self.busy.restore(busy)
        self._sums = OrderedDict((since_ns, busy_ns) for since_ns, busy_ns in sums)
        return True
