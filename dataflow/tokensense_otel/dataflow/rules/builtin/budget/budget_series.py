"""What was spent of a budget: by period, and in the last hours for its pace."""

from operator import add, sub
from typing import Any, Final, NamedTuple

from tokensense_otel.dataflow.rules.builtin.budget.periods import Period, bounds
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling

HOUR_NS: Final = 3_600_000_000_000
PACE_BUCKETS: Final = 72
"""Six hours in pieces of five minutes."""
_BUCKETS_IN: Final = {"6h": 72, "1h": 12, "30m": 7, "5m": 2}
"""The newest is not full yet, so short spans have one more."""
KEPT: Final = 2
"""Periods that are kept: the current one, and the last for calls that come late."""

FORGOTTEN_NS: Final = 62 * 24 * HOUR_NS
"""Two months after a period began its budget, if nothing came since, is followed no longer."""


class Spend(NamedTuple):
    """What is known of a period. Dollars are between `low` and `high`; unpriced calls are in neither."""

    calls: int = 0
    low: int = 0
    high: int = 0
    unpriced_calls: int = 0
    unpriced_tokens: int = 0


NOTHING_SPENT: Final = Spend()


class BudgetSeries(CallSeries):
    """One watch (a threshold, or the pace) of one budget.

    `budget` is its definition as it was at the last verdict: it is found anew at each, never stored.
    """

    __slots__ = ("budget", "name", "periods", "watch")

    def __init__(self) -> None:
        super().__init__(Rolling(6 * HOUR_NS, PACE_BUCKETS, 1))
        self.name = self.watch = ""
        self.periods: list[tuple[int, Spend]] = []
        """(start in ns, sums), newest first."""
        self.budget: Any = None

    @property
    def empty(self) -> bool:
        return not self.periods

    @property
    def silent(self) -> bool:
        return not self.periods

    @property
    def weight(self) -> int:
        return self.periods[0][1].calls if self.periods else 0

    @property
    def spent(self) -> int:
        return self.periods[0][1].low if self.periods else 0

    def expires_ns(self) -> int | None:
        return None if self.budget is None else self.bounds()[1]

    def bounds(self) -> tuple[int, int]:
        if self.budget is None:
            return self.now_ns, self.now_ns
        period: Period = self.budget.period
        return bounds(self.now_ns, period, self.budget.timezone)

    def add(self, start_ns: int, values: Spend, sign: int) -> bool:
        """Count into the period that began at `start_ns`. `False` where that is no longer kept."""
        for at, (start, sums) in enumerate(self.periods):
            if start == start_ns:
                self.periods[at] = start, Spend(*map(add if sign > 0 else sub, sums, values))
                return True
        if len(self.periods) >= KEPT and start_ns < self.periods[-1][0]:
            return False
        begun = Spend(*(sign * new for new in values))
        self.periods = sorted([(start_ns, begun), *self.periods], reverse=True)[:KEPT]
        return True

    def of(self, start_ns: int) -> Spend:
        """Sums of the period that began at `start_ns`."""
        for start, sums in self.periods:
            if start == start_ns:
                return sums
        return NOTHING_SPENT

    def lately(self, span: str) -> int:
        """Nano-dollars of the last `6h`, `1h`, `30m` or `5m`."""
        head = self.window.head
        if head is None:
            return 0
        if span == "6h":
            return self.window.totals[0]
        return sum(self.window.at(head - back)[0] for back in range(_BUCKETS_IN[span]))

    def advance(self, now_ns: int) -> bool:
        changed = super().advance(now_ns)
        if self.periods and self.periods[0][0] < now_ns - FORGOTTEN_NS:
            self.periods, changed = [], True
        return changed

    def state(self) -> list[Any]:
        return [*super().state(), self.name, self.watch, self.periods]

    def load(self, state: list[Any]) -> bool:
        *rest, self.name, self.watch, periods = state
        self.periods = [(start, Spend(*sums)) for start, sums in periods]
        return super().load(rest)
