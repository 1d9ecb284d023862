"""Agents: sessions of model calls and tools, most of them healthy, some of them running away."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from benchmarks.incidents.calls import SECOND_NS, Made
from benchmarks.incidents.labels import HOUR_NS
from benchmarks.incidents.lanes import DAY_HOURS, Lane, Shape, consumer, count
from benchmarks.incidents.plan import Plan

_MINUTE_NS = 60 * SECOND_NS


@dataclass(frozen=True)
class Session:
    """`calls` over `minutes`, each followed by a tool, with a context that grows from `first` to `last` tokens.

    It is cut back to `first` every `compacted` calls. `repeats` is the share of tools called with the same arguments.
    """

    calls: int
    minutes: float
    first: int
    last: int
    compacted: int = 1_000
    repeats: float = 0.0


HEALTHY = Session(calls=9, minutes=12, first=600, last=1_900, repeats=0.05)
KINDS = {
    "the same tool again and again": Session(60, 10, 1_500, 4_000, repeats=1.0),
    "a context that only grows": Session(70, 18, 2_000, 120_000),
    "tokens by the million": Session(90, 4, 40_000, 45_000),
}
NEAR = {
    "long and healthy": Session(110, 270, 700, 2_400, compacted=11, repeats=0.02),
    "asks for a job's state": Session(36, 200, 700, 1_600, compacted=12, repeats=0.15),
}


class Agents:
    """The sessions of one agent team, by the hour in which they begin."""

    def __init__(self, lane: Lane, seed: int) -> None:
        self.lane = lane
        self._random = Random(f"{seed}/agents/{lane.team}")
        self._fixed: dict[int, list[tuple[float, Session, str]]] = {}
        self._number = 0

    def plant(self, at: float, session: Session, name: str) -> None:
        self._fixed.setdefault(int(at), []).append((at, session, name))

    def hour(self, hour: int, start_ns: int) -> Iterator[Made]:
        random = self._random
        for _ in range(count(random, self.lane.volume * self.lane.week[hour % len(self.lane.week)])):
            self._number += 1
            yield from self._session(start_ns, hour + random.random(), HEALTHY, f"conversation-{self._number}")
        for at, session, name in self._fixed.get(hour, ()):
            yield from self._session(start_ns, at, session, name)

    def _session(self, start_ns: int, at: float, session: Session, name: str) -> Iterator[Made]:
        random, shape = self._random, self.lane.shape
        trace = random.getrandbits(127)
        step_ns = int(session.minutes * _MINUTE_NS / session.calls)
        user = f"user-agent-{random.randrange(60)}"
        for number in range(session.calls):
            end_ns = start_ns + int(at * HOUR_NS) + number * step_ns + int(random.uniform(0, 0.3) * step_ns)
            span = min(session.calls, session.compacted)
            grown = (number % span) / max(1, span - 1)
            read = int((session.first + (session.last - session.first) * grown) * random.uniform(0.97, 1.03))
            said = random.randint(130, 260)
            took = int((0.4 + said / 70) * SECOND_NS)
            yield Made(
                end_ns,
                took,
                self.lane,
                shape,
                trace,
                random.getrandbits(63) or 1,
                read,
                said,
                finish="tool_calls",
                user=user,
                session=name,
            )
            same = random.random() < session.repeats
            query = "state of the job" if same else f"{name} {number}"
            yield Made(
                end_ns + int(0.2 * SECOND_NS),
                int(0.15 * SECOND_NS),
                self.lane,
                shape,
                trace,
                random.getrandbits(63) or 1,
                tool="search",
                arguments=f'{{"query": "{query}"}}',
                session=name,
            )


def add(plan: Plan) -> Agents:
    """Thirty sessions a day, and what runs away after the second day."""
    shape = Shape(provider="openai", model="gpt-4.1", tools=True)
    agents = Agents(Lane("agents", "agent-service", "assist", consumer(0), 30, shape), plan.seed)
    also = ("LONG_PROMPTS", "COST_SPIKE", "SPIKE", "LATENCY_REGRESSION")
    for kind, session in (KINDS | NEAR).items():
        for number in range(1 if plan.days < 14 else 2):
            at = plan.weekday(first_day=3) * DAY_HOURS + plan.random.uniform(7, 18)
            name = f"{kind.replace(' ', '-')}-{number}"
            agents.plant(at, session, name)
            until = at + session.minutes / 60
            scope = {"team": "agents", "session": name}
            if kind in KINDS:
                size = {"calls": session.calls, "minutes": session.minutes, "last_context": session.last}
                plan.incident("RUNAWAY_SESSION", kind, scope, at, until, size=size, may=also)
            else:
                plan.near_miss("RUNAWAY_SESSION", kind, scope, at, until)
    return agents
