"""From lanes to calls, hour by hour. Each lane draws from its own seed, so that one more lane changes no other."""

import math
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Final

import msgspec

from benchmarks.incidents.labels import HOUR_NS
from benchmarks.incidents.lanes import DAY_HOURS, DAY_NOISE, HOUR_SHAPE, WEEK_HOURS, Lane, Shape, count, tokens

SECOND_NS: Final = 1_000_000_000
_ERRORS: Final = ("rate_limit_exceeded", "timeout", "server_error")


class Made(msgspec.Struct, gc=False):
    """One call as it will be reported. `trace` and `span` are ids as integers."""

    end_ns: int
    took_ns: int
    lane: Lane
    shape: Shape
    trace: int
    span: int
    input: int | None = None
    output: int | None = None
    cached: int | None = None
    written: int | None = None
    reasoning: int | None = None
    error: str = ""
    finish: str = "stop"
    first_token_s: float = 0.0
    prompt: str = ""
    prefix: str = ""
    user: str = ""
    session: str = ""
    tool: str = ""
    """The name of the tool where this is no call, but a tool's execution."""
    arguments: str = ""


class Source:
    """The calls of one lane."""

    def __init__(self, lane: Lane, seed: int) -> None:
        self.lane = lane
        self._name = f"{seed}/{lane.team}/{lane.service}/{lane.feature}/{lane.shape.model}/{lane.extra}"
        self._random = Random(self._name)
        self._seed = seed
        self._noise: tuple[int, float] = (-1, 1.0)
        self._trace = self._random.getrandbits(96) << 32

    def hour(self, hour: int, start_ns: int) -> Iterator[Made]:
        """The calls that end in an hour since `start_ns`, in no order."""
        lane, random = self.lane, self._random
        weight = lane.week[hour % WEEK_HOURS]
        if weight <= 0:
            return
        mean = lane.volume * weight * (1 + lane.growth) ** (hour / DAY_HOURS)
        if lane.noisy:
            mean *= self._day(hour // DAY_HOURS) * random.gammavariate(HOUR_SHAPE, 1 / HOUR_SHAPE)
        edges = lane.edges(hour)
        for since, until in pairwise(edges):
            factor, shape = lane.at(since)
            for _ in range(count(random, mean * factor * (until - since))):
                at = since + random.random() * (until - since) * lane.minutes / 60
                yield from self._request(start_ns + int(at * HOUR_NS), shape)

    def _day(self, day: int) -> float:
        if self._noise[0] != day:
            own = self._random.gauss(0, DAY_NOISE)
            common = Random(f"{self._seed}/{self.lane.team}/{day}").gauss(0, DAY_NOISE / 2)
            self._noise = (day, math.exp(own + common))
        return self._noise[1]

    def _request(self, end_ns: int, shape: Shape) -> Iterator[Made]:
        random = self._random
        made = self._call(end_ns, shape)
        if shape.retried and random.random() < shape.retried:
            at = end_ns - made.took_ns
            for _ in range(random.choice((1, 1, 2))):
                at -= int(random.uniform(2, 9) * SECOND_NS)
                failed = self._call(at, shape)
                failed.prompt, failed.prefix, failed.user = made.prompt, made.prefix, made.user
                failed.input, failed.cached = made.input, made.cached
                failed.error, failed.finish = "timeout", "error"
                yield failed
                at -= failed.took_ns
            yield made
            return
        if random.random() < shape.failing:
            made.error = random.choice(_ERRORS)
            if not shape.failed_use:
                made.input = made.output = made.cached = made.written = made.reasoning = None
                made.took_ns = int(random.uniform(0.1, 0.6) * SECOND_NS)
                made.first_token_s = 0.0
            made.finish = "error"
        yield made

    def _call(self, end_ns: int, shape: Shape) -> Made:
        random = self._random
        self._trace += 1
        read = tokens(random, shape.input, shape.spread)
        said = tokens(random, shape.output, shape.spread) if shape.operation == "chat" else None
        seconds = (0.35 + (said or 0) / 70 + read / 9_000) * shape.slowness * math.exp(random.gauss(0, 0.25))
        made = Made(
            end_ns, int(seconds * SECOND_NS), self.lane, shape, self._trace, random.getrandbits(63) or 1, read, said
        )
        if shape.cached is not None:
            made.cached = int(read * min(0.99, shape.cached * random.uniform(0.95, 1.05)))
        if shape.cache_written is not None:
            made.written = int(read * shape.cache_written)
        if shape.reasoning is not None:
            made.reasoning = tokens(random, shape.reasoning, shape.spread)
            made.output = (said or 0) + made.reasoning
        if shape.streaming:
            made.first_token_s = round((0.3 + read / 8_000) * shape.first_slowness * math.exp(random.gauss(0, 0.3)), 4)
        if random.random() < shape.truncated:
            made.finish = "length"
        elif shape.tools:
            made.finish = "tool_calls"
        if shape.prompts is not None:
            number = random.randrange(shape.prompts) if shape.prompts else random.getrandbits(64)
            made.prompt = _hash(self._name, number, "prompt")
        if shape.prefixes is not None:
            made.prefix = _hash(self._name, random.randrange(shape.prefixes) if shape.prefixes else 0, "prefix")
        if shape.users:
            made.user = f"user-{self.lane.service}-{random.randrange(shape.users)}"
        return made


def _hash(name: str, number: int, what: str) -> str:
    return f"{Random(f'{name}/{what}/{number}').getrandbits(128):032x}"
