"""The plan of some weeks: teams with their everyday traffic, to which scenarios add what happens.

Weeks begin on Monday, 20 July 2026, whatever the seed: three list prices in the catalogue change within five weeks.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from benchmarks.incidents.labels import HOUR_NS, Incident, NearMiss
from benchmarks.incidents.lanes import DAY_HOURS, Change, Lane, Shape, Values, Week, consumer, office, steady

START_NS: Final = int(datetime(2026, 7, 20, tzinfo=UTC).timestamp()) * 1_000_000_000
WARM_DAYS: Final = 14
_NOTABLE: Final = 0.3

FLAGSHIP: Final = (
    ("anthropic", "claude-opus-4-1"),
    ("gcp.gemini", "gemini-2.5-pro"),
    ("anthropic", "claude-opus-4-5"),
    ("openai", "o1"),
    ("openai", "gpt-4-turbo"),
)
PREMIUM: Final = (
    ("openai", "gpt-4o"),
    ("anthropic", "claude-sonnet-4-5"),
    ("openai", "gpt-5"),
    ("openai", "gpt-4.1"),
    ("openai", "gpt-5.1"),
    ("x_ai", "grok-4"),
    ("cohere", "command-r-plus"),
    ("openai", "o3"),
    ("openai", "gpt-5.2"),
)
CHEAP: Final = (
    ("openai", "gpt-4o-mini"),
    ("gcp.gemini", "gemini-2.5-flash"),
    ("anthropic", "claude-haiku-4-5"),
    ("openai", "gpt-4.1-mini"),
    ("openai", "gpt-5-mini"),
    ("openai", "gpt-4.1-nano"),
    ("openai", "gpt-5-nano"),
    ("mistral_ai", "mistral-small-latest"),
    ("x_ai", "grok-3-mini"),
    ("groq", "llama-3.3-70b-versatile"),
)
_NAMES: Final = (
    "checkout",
    "search",
    "support",
    "growth",
    "fraud",
    "catalogue",
    "payments",
    "hr",
    "legal",
    "logistics",
    "pricing",
    "reviews",
    "seller",
    "travel",
    "ads",
    "docs",
    "billing",
    "risk",
    "content",
    "mobile",
    "maps",
    "platform",
)
_TASKS: Final = (
    "answer",
    "draft",
    "summarise",
    "translate",
    "classify",
    "extract",
    "rank",
    "explain",
    "review",
    "plan",
)


@dataclass
class Team:
    """`taken` are hours in which something happens to the team as a whole."""

    name: str
    week: Week
    zone: int
    office: bool
    volume: float
    models: dict[str, list[tuple[str, str]]]
    project: str = ""
    lanes: list[int] = field(default_factory=list)
    taken: list[tuple[float, float]] = field(default_factory=list)

    def model(self, tier: str) -> Values:
        """A model that this team uses for nothing else, as fields of a shape."""
        if not self.models[tier]:
            raise ValueError(f"{self.name} has no {tier} model left; plan with more teams")
        provider, model = self.models[tier].pop()
        return {"provider": provider, "model": model}


Reading = tuple[str, int, int, int | None]
"""(function, time in ns, bytes used, bytes allocated or `None`)."""


class Plan:
    """What will be generated. Scenarios add lanes, changes and labels."""

    def __init__(self, seed: int, *, teams: int, weeks: int) -> None:
        self.seed = seed
        self.hours = weeks * 7 * DAY_HOURS
        self.random = Random(f"plan/{seed}")
        self.lanes: list[Lane] = []
        self.labels: list[Incident | NearMiss] = []
        self.teams = [self._team(number) for number in range(teams)]
        self._turn = 0

    @property
    def days(self) -> int:
        return self.hours // DAY_HOURS

    def ns(self, hour: float) -> int:
        return START_NS + int(hour * HOUR_NS)

    def next_team(self) -> Team:
        """Teams in turn, so that what happens is spread over all of them."""
        self._turn += 1
        return self.teams[self._turn % len(self.teams)]

    def add(self, team: Team, feature: str, volume: float, shape: Shape, **more: Any) -> Lane:
        """A lane of a team with the team's own week, unless told otherwise."""
        settings = {"week": team.week, "project": team.project, "service": f"{team.name}-{feature}"} | more
        lane = Lane(team=team.name, feature=feature, volume=volume, shape=shape, **settings)
        self.lanes.append(lane)
        return lane

    def begin(self, team: Team, at: float, until: float) -> None:
        """Let the lane added last be there for that time only.

        A new feature that makes a good part of its team's calls is a jump, whatever else it is: to tell it in its first
        week is neither right nor wrong.
        """
        lane = self.lanes[-1]
        self.lanes[-1] = lane.only(at, until)
        if until < self.hours:
            # It is silent from then on, and that it was meant to end nobody tells.
            ended = {"service": lane.service}
            self.near_miss("TELEMETRY_SILENT", "a service that ends", ended, until, may=("TELEMETRY_SILENT",))
        if at > 0 and lane.volume > _NOTABLE * team.volume:
            jumps = ("SPIKE", "COST_SPIKE")
            end = min(self.hours, at + 7 * DAY_HOURS)
            self.near_miss(jumps[0], "a new feature", {"team": team.name}, at, end, may=jumps)

    def change(self, index: int, *changes: Change) -> None:
        self.lanes[index] = self.lanes[index].changed(*changes)

    def incident(self, rule: str, kind: str, scope: dict[str, str], at: float, until: float, **more: Any) -> None:
        label = Incident(rule=rule, kind=kind, scope=scope, from_ns=self.ns(at), to_ns=self.ns(until), **more)
        self.labels.append(label)

    def near_miss(
        self, rule: str, kind: str, scope: dict[str, str], at: float = 0, until: float | None = None, **more: Any
    ) -> None:
        end = self.hours if until is None else until
        self.labels.append(NearMiss(rule=rule, kind=kind, scope=scope, from_ns=self.ns(at), to_ns=self.ns(end), **more))

    def weekday(self, *, first_day: int = 1, last_day: int | None = None, days: Iterable[int] = range(5)) -> int:
        """A random day of the plan that is one of these days of the week."""
        end = self.days if last_day is None else last_day
        wanted = set(days)
        return self.random.choice([day for day in range(first_day, end) if day % 7 in wanted])

    def morning(self, team: Team, day: int) -> float:
        """About nine o'clock where the team is, in hours since the start; never before the UTC day."""
        return day * DAY_HOURS + min(max(0.0, 9 - team.zone), 12.0) + self.random.random()

    def free(
        self, hours: float, *, rest: float = 96, days: Iterable[int] = range(5), office: bool | None = None
    ) -> tuple[Team, float]:
        """A team and a morning after the warm-up from which on nothing else happens to it, nor shortly before."""
        for _ in range(2_000):
            team = self.random.choice(self.teams)
            if office is not None and team.office is not office:
                continue
            at = self.morning(team, self.weekday(first_day=WARM_DAYS + 1, last_day=self.days - 1, days=days))
            if all(at - until > rest or since - at - hours > rest for since, until in team.taken):
                team.taken.append((at, at + hours))
                return team, at
        raise ValueError("there are too few teams and days for all that is to happen")

    def _team(self, number: int) -> Team:
        random = self.random
        name = _NAMES[number] if number < len(_NAMES) else f"team-{number}"
        zone = random.choice((-8, -5, 0, 1, 2, 5))
        kind = ("office", "office", "consumer", "office", "steady")[number % 5]
        week = {"office": office, "consumer": consumer}[kind](zone) if kind != "steady" else steady()
        models = {
            tier: random.sample(some, len(some))
            for tier, some in (("flagship", FLAGSHIP), ("premium", PREMIUM), ("cheap", CHEAP))
        }
        team = Team(name, week, zone, kind == "office", random.uniform(180, 400), models)
        growth = random.uniform(-0.002, 0.008)
        tasks = random.sample(_TASKS, 3)
        hashed = 0 if number % 4 == 1 else None
        everyday: tuple[tuple[float, str, Values], ...] = (
            (0.45, "premium" if number % 4 else "flagship", {"output": random.randint(380, 600), "users": 40}),
            (0.35, "cheap", {"streaming": True, "users": 120, "output": random.randint(220, 420)}),
            (0.20, "cheap", {"tools": True, "output": random.randint(150, 260), "prompts": hashed}),
        )
        for task, (share, tier, values) in zip(tasks, everyday, strict=True):
            shape = Shape(**team.model(tier), input=random.randint(500, 1_300), **values)
            team.lanes.append(len(self.lanes))
            self.add(team, task, team.volume * share, shape, growth=growth, service=f"{name}-{task}")
        return team
