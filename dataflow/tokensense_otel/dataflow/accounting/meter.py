"""A meter: all time series that tell of the same calls, and what they come to, export interval by export interval."""

from typing import Final, NamedTuple

import msgspec

from tokensense_otel.core.call import UNKNOWN_COST, Call, Cost, CostKind, Tokens
from tokensense_otel.dataflow.accounting.ledger import Price
from tokensense_otel.dataflow.accounting.series import Series
from tokensense_otel.dataflow.facts import Measure, MeterPoint
from tokensense_otel.dataflow.normalise.usage import Contract, resolve

SeriesKey = tuple[int, int, bytes, int]
"""Measure, choice, series id, and start where the series is cumulative."""

_CLASSES: Final = {
    Measure.INPUT: "input",
    Measure.OUTPUT: "output",
    Measure.CACHE_READ: "cache_read",
    Measure.CACHE_WRITE: "cache_write",
    Measure.REASONING: "reasoning",
}
_FIELDS: Final = Tokens.__struct_fields__
_SHARE: Final = 100_000
"""Input tokens of one call where nothing tells how many calls there were: below every price for long contexts."""


class Interval(NamedTuple):
    """What a meter counts in (from_ns, to_ns]."""

    from_ns: int
    to_ns: int
    amounts: dict[Measure, int]


class Meter(msgspec.Struct, array_like=True):
    """`posted` are the calls on the books by the end of their interval; up to `closed_ns` nothing changes any more."""

    call: Call
    rank: int
    resource: bytes
    input_excludes_cache: bool
    output_excludes_reasoning: bool
    series: dict[SeriesKey, Series] = {}
    posted: dict[int, Call] = {}
    closed_ns: int = 0

    @classmethod
    def of(cls, point: MeterPoint) -> "Meter":
        """The meter that a point is of, before it is taken in."""
        return cls(point.call, point.rank, point.resource, point.input_excludes_cache, point.output_excludes_reasoning)

    def series_of(self, point: MeterPoint, *, room: bool) -> Series | None:
        """The series that a point is of; a new one where there is room for one more, else `None`."""
        key = (point.measure, point.choice, point.series, -1 if point.delta else point.start_ns)
        series = self.series.get(key)
        if series is None and room:
            series = self.series[key] = Series(point.delta, point.start_ns)
        return series

    def measures(self) -> dict[Measure, int]:
        """What is measured, and the choice that counts."""
        best: dict[Measure, int] = {}
        for measure, choice, _, _ in self.series:
            known = Measure(measure)
            best[known] = min(best.get(known, choice), choice)
        return best

    def intervals(self, watched_ns: int, since_ns: int = 0) -> list[Interval]:
        """Those in which anything was counted and that are not closed, the earliest first; see `Series.amounts`."""
        best = self.measures()
        found: dict[int, Interval] = {}
        for (number, choice, _, _), series in self.series.items():
            measure = Measure(number)
            if best[measure] != choice:
                continue
            for from_ns, to_ns, value in series.amounts(watched_ns, since_ns):
                if to_ns <= self.closed_ns:
                    continue
                known = found.get(to_ns)
                amounts = known.amounts if known else {}
                amounts[measure] = amounts.get(measure, 0) + value
                found[to_ns] = Interval(min(from_ns, known.from_ns if known else from_ns), to_ns, amounts)
        return [found[to_ns] for to_ns in sorted(found)]

    @property
    def length(self) -> int:
        """How many intervals are kept, at most as many as this for each series."""
        return max(len(self.posted), *(len(series.marks) for series in self.series.values()))

    def close(self, until_ns: int) -> None:
        """Let what was counted up to then stand as it is."""
        if until_ns <= self.closed_ns:
            return
        self.closed_ns = until_ns
        for series in self.series.values():
            series.close(until_ns)
        self.posted = {to_ns: call for to_ns, call in self.posted.items() if to_ns > until_ns}

    def forget(self, before_ns: int) -> int:
        """Let go of the series of which no point came since then. Returns how many."""
        old = [key for key, series in self.series.items() if series.last_ns <= before_ns]
        for key in old:
            del self.series[key]
        return len(old)


def posting_of(meter: Meter, interval: Interval) -> Call:
    """The calls of one interval as one, without their cost.

    Where no series tells how many there were they are counted as one: there was at least that.
    """
    measured = meter.measures()
    counts = {name: interval.amounts.get(measure, 0) for measure, name in _CLASSES.items() if measure in measured}
    calls = interval.amounts.get(Measure.CALLS, 0)
    notes = [
        f"told by metrics alone: a sum over {calls} calls" if calls else "told by metrics alone: at least one call"
    ]
    call = meter.call
    contract = Contract(meter.input_excludes_cache, meter.output_excludes_reasoning)
    tokens = resolve(counts, contract, call.provider, call.operation, notes) if counts else Tokens()
    return msgspec.structs.replace(
        call,
        span_id=interval.to_ns.to_bytes(8, "big"),
        start_ns=interval.from_ns,
        end_ns=max(interval.from_ns, interval.to_ns - 1),
        tokens=tokens,
        count=max(calls, 1),
        notes=tuple(notes),
    )


def priced(call: Call, price: Price) -> Cost:
    """What a sum of calls costs: as if they were of one size, so that none of them is a long one by mistake."""
    tokens = call.tokens
    shares = call.count if call.count > 1 else -(-(tokens.input or 0) // _SHARE) or 1
    each = {name: getattr(tokens, name) // shares for name in _FIELDS if getattr(tokens, name) is not None}
    rest = {name: getattr(tokens, name) - part * (shares - 1) for name, part in each.items()}
    cost, last = (
        price(msgspec.structs.replace(call, tokens=Tokens(**share), count=1, cost=UNKNOWN_COST))
        for share in (each, rest)
    )
    if CostKind.UNKNOWN in (cost.kind, last.kind):
        return last
    reasons = [f"a sum over {call.count} calls" if call.count > 1 else "the number of calls is not known"]
    if tokens.cache_read is None:
        reasons.append("cached tokens were not told apart")
    return msgspec.structs.replace(
        last,
        kind=CostKind.ESTIMATED,
        low=cost.low * (shares - 1) + last.low,
        high=cost.high * (shares - 1) + last.high,
        reason="; ".join(filter(None, (*reasons, last.reason))),
    )
