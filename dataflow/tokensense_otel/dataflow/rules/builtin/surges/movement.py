"""What spend is made of, by part, now and in the week before: enough to say what moved.

A part is a pair: who (a feature, a service) and which model (as `provider/model`). Only priced calls count.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Final

from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.surges.baseline import DAY_HOURS, HOUR_NS, WEEK_DAYS
from tokensense_otel.dataflow.rules.builtin.surges.decomposition import Sums, Weights, decompose

KEPT_HOURS: Final = 8
KEPT_DAYS: Final = WEEK_DAYS + 1
MOST_PARTS: Final = 32
"""Parts followed in a day; further ones are put together."""
OTHER: Final = ("other", "other")
TOP: Final = 3

Part = tuple[str, str]
_Cell = dict[Part, list[int]]


class Parts:
    """Sums of each part in each of the last eight hours, and in each day of the last week."""

    __slots__ = ("_days", "_hours", "head")

    def __init__(self) -> None:
        self._hours: dict[int, _Cell] = {}
        self._days: dict[int, _Cell] = {}
        self.head: int | None = None
        """Number of the newest hour since 1970."""

    @property
    def shape(self) -> list[int]:
        return [KEPT_HOURS, KEPT_DAYS, len(Sums._fields)]

    @property
    def empty(self) -> bool:
        return not (self._hours or self._days)

    def add(self, time_ns: int, part: Part, values: Sums, sign: int = 1) -> None:
        """Add what one call is to its part, or take it back; what is older than the week is left alone."""
        hour = time_ns // HOUR_NS
        if self.head is None or hour > self.head:
            self._move(hour)
        head = hour if self.head is None else self.head
        day = hour // DAY_HOURS
        if day <= head // DAY_HOURS - KEPT_DAYS:
            return
        if sign < 0:
            values = Sums(*(-value for value in values))
        cell = self._days.get(day)
        if cell is None:
            cell = self._days[day] = {}
        if part not in cell and len(cell) >= MOST_PARTS:
            part = OTHER
        _add(cell, part, values)
        if hour > head - KEPT_HOURS:
            cell = self._hours.get(hour)
            if cell is None:
                cell = self._hours[hour] = {}
            _add(cell, part, values)

    def advance(self, time_ns: int) -> bool:
        """Move on to `time_ns` and drop what is too long ago. Whether anything was."""
        hour = time_ns // HOUR_NS
        return self._move(hour) if self.head is not None and hour > self.head else False

    def _move(self, head: int) -> bool:
        self.head = head
        hours = [hour for hour in self._hours if hour <= head - KEPT_HOURS]
        days = [day for day in self._days if day <= head // DAY_HOURS - KEPT_DAYS]
        for hour in hours:
            del self._hours[hour]
        for day in days:
            del self._days[day]
        return bool(hours or days)

    def hours(self, first: int, last: int) -> dict[Part, Sums]:
        """Sums of the hours from `first` to `last`, as far as they are kept."""
        return _sum(cell for hour, cell in self._hours.items() if first <= hour <= last)

    def days(self, first: int, last: int) -> dict[Part, Sums]:
        """Sums of the days from `first` to `last`, as far as they are kept."""
        return _sum(cell for day, cell in self._days.items() if first <= day <= last)

    def snapshot(self) -> list[Any]:
        """Plain data for `restore`."""
        stored = [[[at, list(cell.items())] for at, cell in kept.items()] for kept in (self._hours, self._days)]
        return [self.head, *stored]

    def restore(self, state: list[Any]) -> None:
        """Take over a snapshot."""
        self.head, hours, days = state
        self._hours, self._days = (
            {at: {(who, model): list(sums) for (who, model), sums in cell} for at, cell in kept}
            for kept in (hours, days)
        )


def values_of(call: Call) -> Sums:
    """What a priced call adds to its part."""
    tokens = call.tokens
    return Sums(call.count, tokens.input or 0, tokens.cache_read or 0, tokens.output or 0, call.cost.low)


def moved(
    before: dict[Part, Sums],
    now: dict[Part, Sums],
    scale: Fraction,
    catalogue: Catalogue,
    time_ns: int,
    names: tuple[str, str],
) -> dict[str, Any]:
    """Evidence: the change by cause (see `decomposition`), and the parts that changed most.

    `before` is compared as `scale` times as much; `names` are what the two halves of a part are called.
    """
    weights = weights_of({model for _, model in before | now}, catalogue, time_ns)
    causes = decompose(_by(before, 1), _by(now, 1), weights, scale)
    change = sum(causes.values())
    evidence: dict[str, Any] = {
        "change_usd": usd_text(change),
        "change_by_cause_usd": {cause: usd_text(value) for cause, value in causes.items()},
    }
    for half, name in enumerate(names):
        changes = _changes(_by(before, half), _by(now, half), scale)
        evidence[f"top_{name}s"] = [
            {name: each or "unattributed", "change_usd": usd_text(value)} for each, value in changes[:TOP] if value
        ]
    return evidence


def part_of(who: str, call: Call) -> Part:
    return who, f"{call.provider}/{call.model}"


def weights_of(models: Iterable[str], catalogue: Catalogue, time_ns: int) -> dict[str, Weights]:
    """What tokens of these models cost in proportion to one of fresh input, by their list prices at `time_ns`."""
    found: dict[str, Weights] = {}
    for named in models:
        provider, _, model = named.partition("/")
        asked = Call(
            trace_id=b"",
            span_id=b"",
            start_ns=time_ns,
            end_ns=time_ns,
            provider=provider,
            request_model=model,
            tokens=Tokens(1, 1),
        )
        applied = catalogue.applied(asked)
        if applied is None or not applied[0].input:
            continue
        rates = applied[0]
        cached = rates.input if rates.cache_read is None else rates.cache_read
        found[named] = Weights(Fraction(cached or 0, rates.input or 1), Fraction(rates.output or 0, rates.input or 1))
    return found


def _add(cell: _Cell, part: Part, values: Sums) -> None:
    sums = cell.get(part)
    if sums is None:
        cell[part] = list(values)
        return
    calls, read, cached, written, nanos = values
    sums[0] += calls
    sums[1] += read
    sums[2] += cached
    sums[3] += written
    sums[4] += nanos


def _sum(cells: Iterable[_Cell]) -> dict[Part, Sums]:
    total: _Cell = {}
    for cell in cells:
        for part, sums in cell.items():
            _add(total, part, Sums(*sums))
    return {part: Sums(*sums) for part, sums in total.items()}


def _by(parts: dict[Part, Sums], half: int) -> dict[str, Sums]:
    total: dict[str, Sums] = {}
    for part, sums in parts.items():
        known = total.get(part[half], Sums())
        total[part[half]] = Sums(*(one + other for one, other in zip(known, sums, strict=True)))
    return total


def _changes(before: dict[str, Sums], now: dict[str, Sums], scale: Fraction) -> list[tuple[str, int]]:
    """Largest first, whichever way it went."""
    none = Sums()
    changes = [(name, now.get(name, none).nanos - round(scale * before.get(name, none).nanos)) for name in before | now]
    return sorted(changes, key=lambda each: (-abs(each[1]), each[0]))
