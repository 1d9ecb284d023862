"""What SPIKE and COST_SPIKE have in common: much more of something than is usual at this hour of the week.

A surge is judged on four stretches of time: the current hour, the hour before it, the last six hours and the current
UTC day, each as far as it has come, against the whole of what is usual. So it is told as soon as it is certain, and an
hour is never scaled up from its first minutes. Before two weeks of history only the day is judged, against a mean.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar, Final, NamedTuple, TypeVar, cast

from pydantic import Field

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.surges.baseline import (
    DAY_HOURS,
    HOUR_NS,
    MEMORY_DAYS,
    WEEK_DAYS,
    Baseline,
    Hours,
    is_weekend,
)
from tokensense_otel.dataflow.rules.builtin.surges.movement import Parts, moved, part_of, values_of
from tokensense_otel.dataflow.rules.call_rule import CallRule, Fact
from tokensense_otel.dataflow.rules.evaluation.series import DAY_NS, MONEY, CallSeries, Ring
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling
from tokensense_otel.dataflow.rules.rule import RuleConfig

SIX: Final = 6
HOURS_NOISE: Final = 6
DAY_NOISE: Final = 4
"""How many times its usual spread something has to be above what is expected, for hours and for a day."""


class SurgeConfig(RuleConfig):
    """Thresholds of a surge."""

    multiplier: float = Field(default=3.0, gt=1)
    """The rule fires while the current UTC day is above what is usual by this factor."""
    six_hour_multiplier: float = Field(default=3.0, gt=1)
    """The factor for the last six hours."""
    hour_multiplier: float = Field(default=5.0, gt=1)
    """The factor for a single hour, which varies more."""
    min_impact: float = Field(default=0.25, ge=0, le=10)
    """What is on top of the usual has to be at least so much of a usual day: 0.25 is a quarter of a day."""
    baseline_days: int = Field(default=7, ge=1, le=28)
    """How many days before today the mean is taken over, while there are less than 14 full days of history."""
    min_history_days: int = Field(default=3, ge=1, le=28)
    """Full days of history before the rule may fire."""


ConfigT = TypeVar("ConfigT", bound=SurgeConfig)


class Stretch(NamedTuple):
    """Hours [first, last] since 1970 with more than usual. `days` are those of a mean, 0 where a season is known."""

    first: int
    last: int
    now: int
    usual: int
    days: int
    size: int
    """How many times as much as usual, or as an average hour of a usual day where that is more, in thousandths."""

    @property
    def words(self) -> str:
        """When it was."""
        if self.days:
            return "so far today (UTC)"
        hours = self.last - self.first + 1
        return "within an hour" if hours == 1 else f"in {hours} hours"


NOTHING_FOUND: Final = Stretch(0, 0, 0, 0, 0, 0)


class SurgeSeries(CallSeries):
    """A key's days, the hours of its last five weeks, what its spend is made of, and the surge that was found last."""

    __slots__ = ("_asked", "_bars", "_baseline", "_day", "_gap", "found", "hours", "parts")

    def __init__(self, fields: int) -> None:
        super().__init__(Rolling(MEMORY_DAYS * DAY_NS, MEMORY_DAYS, fields + MONEY))
        self.hours = Hours()
        self.parts = Parts()
        self.found: Stretch | None = None
        self._baseline: Baseline | None = None
        self._day = self._gap = 0
        self._asked: tuple[float, ...] = ()
        self._bars: list[tuple[int, int, int, int]] = []

    def measure(self, time_ns: int, value: int, sign: int) -> None:
        """Count into the hour of `time_ns`. What is usual is found anew where that changes it."""
        self.hours.add(time_ns, value, sign)
        if time_ns // DAY_NS < self._day - self._gap:
            self._baseline = None

    def baseline(self, hour: int) -> Baseline:
        """What is usual on the day of an hour. In its first hour the day before is left out: it still gets calls."""
        day, at = divmod(hour, DAY_HOURS)
        gap = 0 if at else 1
        if self._baseline is None or day != self._day or gap != self._gap:
            self._day, self._gap = day, gap
            self._baseline = Baseline(day, self.hours.before(day - gap), gap)
            self._asked = ()
        return self._baseline

    def bars(self, hour: int, config: SurgeConfig) -> list[tuple[int, int, int, int]]:
        """(first hour, last hour, bar, noise) of each stretch that is judged at an hour: it has to be above its bar.

        Beyond the factor: a quarter beyond the highest tenth of days, beyond noise, and by so much of a usual day that
        it is worth telling. What is open stays so while it is above the factor and worth half as much.
        """
        baseline, firing = self.baseline(hour), self.episode.firing
        asked: tuple[float, ...] = (
            hour,
            firing,
            config.multiplier,
            config.six_hour_multiplier,
            config.hour_multiplier,
            config.min_impact,
        )
        if self._asked == asked:
            return self._bars
        midnight = hour - hour % DAY_HOURS
        stretches = [
            (hour, hour, config.hour_multiplier, HOURS_NOISE),
            (hour - 1, hour - 1, config.hour_multiplier, HOURS_NOISE),
            (hour - SIX + 1, hour, config.six_hour_multiplier, HOURS_NOISE),
        ]
        if hour > midnight:
            stretches.append((midnight, midnight + DAY_HOURS - 1, config.multiplier, DAY_NOISE))
        impact = math.floor(config.min_impact * baseline.whole_day().expected)
        self._asked, self._bars = asked, []
        for first, last, multiplier, noise in stretches:
            expected, high, spread = baseline.usual(last - midnight, last - first + 1)
            bar = math.floor(multiplier * expected)
            if firing:
                self._bars.append((first, last, max(bar, expected + impact // 2), 0))
            else:
                bar = max(bar, high * 5 // 4, expected + noise * spread, expected + impact)
                self._bars.append((first, last, bar, noise))
        return self._bars

    def state(self) -> list[Any]:
        return [*super().state(), self.found]

    def load(self, state: list[Any]) -> bool:
        *rest, found = state
        self.found = None if found is None else Stretch(*found)
        return super().load(rest)

    def _rings(self) -> Iterator[Ring]:
        yield from super()._rings()
        yield self.hours
        yield self.parts


class SurgeRule(CallRule[ConfigT]):
    """`fields[measured]` is what may surge; `names` are what is told to have moved most: who, and which model."""

    measured: int
    names: tuple[str, str]
    thresholds: ClassVar[tuple[str, ...]] = (
        "multiplier",
        "six_hour_multiplier",
        "hour_multiplier",
        "min_impact",
        "baseline_days",
        "min_history_days",
    )
    above = ("multiplier", "six_hour_multiplier", "hour_multiplier")
    takes_sums = True

    @abstractmethod
    def least(self, config: ConfigT, /) -> int:
        """Of what may surge, in a stretch, below which nothing is told."""

    @abstractmethod
    def unit(self, series: SurgeSeries, /) -> int:
        """What one call is on average of what may surge: chance comes in such pieces."""

    @abstractmethod
    def who(self, call: Call, /) -> str:
        """To which part of its key's spend a call belongs."""

    def new_series(self, _config: ConfigT, /) -> CallSeries:
        return SurgeSeries(len(self.fields))

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:
        if not super().post(series, call, fact, sign, time_ns):
            return False
        surging = cast("SurgeSeries", series)
        surging.measure(time_ns, fact.counts[self.measured], sign)
        if call.cost.kind is not CostKind.UNKNOWN:
            surging.parts.add(time_ns, part_of(self.who(call), call), values_of(call), sign)
        return True

    def judge(self, series: CallSeries, config: ConfigT, /) -> int | None:
        found = self.find(cast("SurgeSeries", series), config)
        if found is None:
            return None
        cast("SurgeSeries", series).found = found
        return found.size

    def find(self, series: SurgeSeries, config: ConfigT) -> Stretch | None:
        """The largest surge there is now."""
        hours, least = series.hours, self.least(config)
        hour = hours.head
        if hour is None:
            return None
        day = hour // DAY_HOURS
        today = series.window.at(day)[self.measured]
        six = hours.between(hour - SIX + 1, hour)
        if today < least and six < least:
            return None
        baseline = series.baseline(hour)
        if not baseline.seasonal:
            return self._above_mean(series, config, hour, today) if today >= least else None
        bars = series.bars(hour, config)
        found: Stretch | None = None
        for first, last, bar, noise in bars:
            length = last - first + 1
            now = today if length == DAY_HOURS else six if length == SIX else hours.between(first, last)
            if now <= bar or now < least:
                continue
            usual = baseline.usual(last - day * DAY_HOURS, length).expected
            # Chance comes in calls: that many of them may come at random.
            over = now - usual
            if noise and over * over <= noise * noise * usual * self.unit(series):
                continue
            size = now * 1_000 // max(1, usual, baseline.whole_day().expected // DAY_HOURS)
            if found is None or size > found.size:
                found = Stretch(first, min(last, hour), now, usual, 0, size)
        return found

    def _above_mean(self, series: SurgeSeries, config: ConfigT, hour: int, today: int) -> Stretch | None:
        """Today against the mean of the days before, of those of the same kind, and the same weekday a week ago."""
        window, day = series.window, hour // DAY_HOURS
        sums = [window.at(day - back)[self.measured] for back in range(1, config.baseline_days + 1)]
        if today * len(sums) <= config.multiplier * sum(sums):
            return None
        first = window.first()
        days = 0 if first is None else min(config.baseline_days, day - first)
        if days < config.min_history_days or today * days <= config.multiplier * sum(sums):
            return None
        kind = [sums[back - 1] for back in range(1, days + 1) if is_weekend(day - back) == is_weekend(day)]
        if today * len(kind) <= config.multiplier * sum(kind) and kind:
            return None
        if 2 * today <= 3 * window.at(day - WEEK_DAYS)[self.measured]:
            return None
        mean = -(-sum(sums) // days)
        return Stretch(day * DAY_HOURS, hour, today, mean, days, today * 1_000 // max(1, mean))

    def period(self, series: CallSeries, /) -> tuple[int, int]:
        found = cast("SurgeSeries", series).found
        if found is None:
            return series.bounds()
        return found.first * HOUR_NS, (found.last + 1) * HOUR_NS

    def money(self, series: CallSeries, config: ConfigT, catalogue: Catalogue, /) -> dict[str, Any]:
        surging = cast("SurgeSeries", series)
        found = surging.found
        evidence = super().money(series, config, catalogue)
        # Once it is over, what it was made of has been told, and is kept no longer.
        if found is not None and found.last + 1 >= (surging.hours.head or 0) and evidence["priced_calls_30d"]:
            evidence["what_moved"] = self._moved(surging, found, catalogue)
        return evidence

    def _moved(self, series: SurgeSeries, found: Stretch, catalogue: Catalogue) -> dict[str, Any]:
        """The spend of the stretch against that of the seven days before, scaled down to what was usual."""
        day, parts = found.last // DAY_HOURS, series.parts
        so_far = found.first == day * DAY_HOURS and found.last == series.hours.head
        now = parts.days(day, day) if so_far else parts.hours(found.first, found.last)
        week = sum(series.window.at(day - back)[self.measured] for back in range(1, WEEK_DAYS + 1))
        scale = Fraction(found.usual, week) if week > 0 else Fraction(0)
        return moved(parts.days(day - WEEK_DAYS, day - 1), now, scale, catalogue, series.now_ns, self.names)
