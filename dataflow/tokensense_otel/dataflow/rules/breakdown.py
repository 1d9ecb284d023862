"""What a number is made of: calls and dollars by a name that is no part of the key (a service, an error), for evidence.

Names come from outside, so each bucket of time follows a few and has the rest under `OTHER`. What is taken back is
taken from where it went. Nothing here decides whether a rule fires.
"""

from typing import Any, Final, TypeVar

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.rules.call_rule import Fact, WindowRule
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling
from tokensense_otel.dataflow.rules.rule import WindowConfig

OTHER: Final = "other"
MOST: Final = 16
"""Names followed in each bucket."""
BUCKETS: Final = 12


class Breakdown:
    """[calls, priced calls, nano-dollars] by name over the last `width_ns`, in a dozen buckets: so it reaches up to a
    twelfth less far back than the window that it explains."""

    __slots__ = ("_buckets", "_size", "head")

    def __init__(self, width_ns: int) -> None:
        self._size = max(1, width_ns // BUCKETS)
        self._buckets: dict[int, dict[str, list[int]]] = {}
        self.head: int | None = None

    def add(self, time_ns: int, name: str, values: tuple[int, int, int], sign: int) -> None:
        """Add or take out one call's values; nothing where the time is before the window."""
        number = time_ns // self._size
        if self.head is None or number > self.head:
            self._move(number)
        elif number <= self.head - BUCKETS:
            return
        bucket = self._buckets.setdefault(number, {})
        if name not in bucket and (sign < 0 or len(bucket) >= MOST):
            name = OTHER
        sums = bucket.setdefault(name, [0, 0, 0])
        for index, value in enumerate(values):
            sums[index] += sign * value

    def advance(self, time_ns: int) -> None:
        """Drop what fell out of the window."""
        number = time_ns // self._size
        if self.head is not None and number > self.head:
            self._move(number)

    def top(self, most: int) -> list[tuple[str, int, int | None]]:
        """(name, calls, nano-dollars or `None` where none is priced) of the biggest, dollars first; `OTHER` last."""
        totals: dict[str, list[int]] = {}
        for bucket in self._buckets.values():
            for name, sums in bucket.items():
                into = totals.setdefault(name, [0, 0, 0])
                for index, value in enumerate(sums):
                    into[index] += value
        named = [(name, *_three(sums)) for name, sums in totals.items() if sums[0] > 0]
        named.sort(key=lambda each: (each[0] == OTHER, -each[3], -each[1], each[0]))
        return [(name, calls, nanos if priced > 0 else None) for name, calls, priced, nanos in named[:most]]

    def snapshot(self) -> list[Any]:
        return [self._size, self.head, [[number, list(bucket.items())] for number, bucket in self._buckets.items()]]

    def restore(self, state: list[Any]) -> None:
        """Take over a snapshot; one of another width is left, as evidence begins again then."""
        size, head, buckets = state
        if size == self._size:
            self.head = head
            self._buckets = {number: {name: list(sums) for name, sums in items} for number, items in buckets}

    def _move(self, head: int) -> None:
        self.head = head
        for number in [number for number in self._buckets if number <= head - BUCKETS]:
            del self._buckets[number]


def _three(sums: list[int]) -> tuple[int, int, int]:
    calls, priced, nanos = sums
    return calls, priced, nanos


class BrokenDownFact(Fact, frozen=True, kw_only=True):
    """A fact with the name that it goes under."""

    part: str


class BrokenDownSeries(CallSeries):
    __slots__ = ("parts",)

    def __init__(self, window: Rolling, width_ns: int) -> None:
        super().__init__(window)
        self.parts = Breakdown(width_ns)

    def advance(self, now_ns: int) -> bool:
        self.parts.advance(now_ns)
        return super().advance(now_ns)

    def state(self) -> list[Any]:
        return [super().state(), self.parts.snapshot()]

    def load(self, state: list[Any]) -> bool:
        counts, parts = state
        if not super().load(counts):
            return False
        self.parts.restore(parts)
        return True


WindowT = TypeVar("WindowT", bound=WindowConfig)


class BreakdownRule(WindowRule[WindowT]):
    """A rule over a rolling window whose evidence says what the number is made of."""

    def new_series(self, config: WindowT, /) -> CallSeries:
        plain = self.follow(config.window)
        return BrokenDownSeries(plain.window, config.window)

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:
        fits = super().post(series, call, fact, sign, time_ns)
        if fits and isinstance(fact, BrokenDownFact) and isinstance(series, BrokenDownSeries):
            priced = call.count if call.cost.kind is not CostKind.UNKNOWN else 0
            series.parts.add(time_ns, fact.part, (call.count, priced, call.cost.low if priced else 0), sign)
        return fits

    def parts(self, series: CallSeries, most: int = 5) -> list[dict[str, Any]]:
        """The biggest parts, for evidence."""
        if not isinstance(series, BrokenDownSeries):
            return []
        return [{"name": name, "calls": calls, "usd": usd_text(nanos)} for name, calls, nanos in series.parts.top(most)]
