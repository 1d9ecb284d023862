"""Lanes of traffic: one feature of one service of one team, what its calls are like, and what happens to it.

A week has 168 weights, one an hour, in shares of an ordinary weekday. The calls of an hour are Poisson around the
weight × volume × growth × the noise of the day and of the hour, so their variance is well above their mean, as it is in
real services.
"""

import math
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

Week = tuple[float, ...]
Values = dict[str, Any]
"""Fields of a `Shape`."""
WEEK_HOURS: Final = 168
DAY_HOURS: Final = 24
DAY_NOISE: Final = 0.10
"""Standard deviation of the logarithm of a day's volume."""
HOUR_SHAPE: Final = 14.0
"""Shape of the gamma noise of an hour: its coefficient of variation is 1 / √14 ≈ 0.27."""


def office(zone: int, *, weekend: float = 0.06) -> Week:
    """Working hours of a team `zone` hours east of Greenwich: two humps, a lunch, little at night."""
    day = [0.2] * 7 + [1, 4, 9, 10, 9.5, 6.5, 8, 10, 10, 9, 7, 4, 2, 1] + [0.4] * 3
    return _week([day] * 5 + [[each * weekend for each in day]] * 2, zone)


def consumer(zone: int) -> Week:
    """People at home: evenings more than mornings, weekends a little more than weekdays."""
    day = [2.5 + 2 * math.sin((hour - 13) / 24 * 2 * math.pi) + (1.5 if 17 <= hour <= 22 else 0) for hour in range(24)]
    return _week([day] * 5 + [[each * 1.15 for each in day]] * 2, zone)


def steady() -> Week:
    """Machines: the same at every hour."""
    return _week([[1.0] * 24] * 7, 0)


def nightly(hour: int, *, days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)) -> Week:
    """A job of one hour, on these days of the week (0 is Monday); its volume is that of one run."""
    return tuple(1.0 if at % DAY_HOURS == hour and at // DAY_HOURS in days else 0.0 for at in range(WEEK_HOURS))


def _week(days: list[list[float]], zone: int) -> Week:
    total = sum(days[0])
    weights = [each / total for day in days for each in day]
    return tuple(weights[(hour + zone) % WEEK_HOURS] for hour in range(WEEK_HOURS))


@dataclass(frozen=True)
class Shape:
    """What calls of a lane are like. Tokens are medians of log-normal draws; `None` is "not reported"."""

    provider: str = "openai"
    model: str = "gpt-4o-mini"
    operation: str = "chat"
    input: int = 900
    output: int = 320
    spread: float = 0.30
    """Standard deviation of the logarithm of tokens."""
    cached: float | None = None
    """Share of the input that came from the provider's cache."""
    cache_written: float | None = None
    reasoning: int | None = None
    """Tokens of reasoning, within the output."""
    failing: float = 0.006
    failed_use: bool = False
    """Whether failed calls report what they used."""
    retried: float = 0.0
    """Share of requests whose first attempts fail after they used tokens and are sent again."""
    truncated: float = 0.004
    slowness: float = 1.0
    first_slowness: float = 1.0
    """Of the time to first token."""
    streaming: bool = False
    prompts: int | None = None
    """Distinct prompts with a hash, drawn at random; 0: each its own; `None`: no hashes are sent."""
    prefixes: int | None = None
    users: int = 0
    tools: bool = False
    """Whether requests offer tools and answers call them."""
    priced_tier: str = ""
    version: str = "1.0.0"


@dataclass(frozen=True)
class Change:
    """From `at` until `until` (hours since the start): the volume times `volume`, and other values of the shape."""

    at: float
    until: float
    volume: float = 1.0
    shape: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Lane:
    team: str
    service: str
    feature: str
    week: Week
    volume: float
    """Calls of an ordinary weekday, or of one run of a job."""
    shape: Shape
    project: str = ""
    growth: float = 0.0
    """Relative, a day."""
    noisy: bool = True
    minutes: float = 60.0
    """The part of each hour in which its calls come."""
    changes: tuple[Change, ...] = ()
    extra: str = ""
    """Tells it from another lane of the same team, service, feature and model."""

    def changed(self, *changes: Change) -> "Lane":
        return replace(self, changes=(*self.changes, *changes))

    def only(self, at: float, until: float) -> "Lane":
        """The lane with calls in that time alone."""
        return self.changed(Change(0, at, volume=0.0), Change(until, math.inf, volume=0.0))

    def at(self, hour: float) -> tuple[float, Shape]:
        """(volume factor, shape) at an hour since the start."""
        factor, shape = 1.0, self.shape
        for change in self.changes:
            if change.at <= hour < change.until:
                factor *= change.volume
                if change.shape:
                    shape = replace(shape, **change.shape)
        return factor, shape

    def edges(self, hour: int) -> list[float]:
        """Where within an hour something changes, with both of its ends."""
        inside = {edge for change in self.changes for edge in (change.at, change.until) if hour < edge < hour + 1}
        return sorted({float(hour), float(hour + 1), *inside})


def count(random: Random, mean: float) -> int:
    """A Poisson draw."""
    if mean <= 0:
        return 0
    if mean > 60:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    limit, product, drawn = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        drawn += 1
    return drawn


def tokens(random: Random, median: int, spread: float) -> int:
    return max(1, round(median * math.exp(random.gauss(0, spread)))) if median else 0
