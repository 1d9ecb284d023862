"""What only a comparison with the past can tell: volume, money, latency, caches and silence that change.

Whatever happens to a team as a whole happens after two weeks of history and at least four days after the last thing.
"""

from dataclasses import replace
from typing import Final

from benchmarks.incidents.labels import numbers
from benchmarks.incidents.lanes import DAY_HOURS, Change, Shape, Values, consumer, nightly, office, steady
from benchmarks.incidents.plan import Plan, Team

_COSTLY = ("COST_SPIKE",)
_AROUND_MONEY = ("LONG_PROMPTS", "BUDGET", "LATENCY_REGRESSION", "UNATTRIBUTED")


def spikes(plan: Plan) -> None:
    """A loop or a forgotten job, at a constant rate, on top of what the team does anyway."""
    for kind, times, most in (("loop", 4.5, 9.0), ("retry storm", 7.0, 4.0), ("backfill", 5.5, 12.0)):
        team, at = plan.free(most)
        hours = min(most, DAY_HOURS - at % DAY_HOURS - 0.1)
        _burst(plan, team, kind, at, hours, team.volume * times)
    # A quiet Saturday: far above any Saturday, and below an ordinary Tuesday.
    team, at = plan.free(8, days=(5,), office=True)
    _burst(plan, team, "on a quiet Saturday", at, 8.0, max(300.0, team.volume * 0.9), money=False)


def _burst(plan: Plan, team: Team, kind: str, at: float, hours: float, calls: float, *, money: bool = True) -> None:
    source = plan.lanes[team.lanes[0]]
    volume = calls / hours * DAY_HOURS
    lane = replace(source, volume=volume, week=steady(), noisy=False, growth=0.0, changes=(), extra=f"burst {at}")
    plan.lanes.append(lane.only(at, at + hours))
    size = {"calls": round(calls), "times_a_usual_day": round(calls / team.volume, 2), "hours": hours}
    shared = {"size": size, "needs_history": True}
    scope = {"team": team.name}
    around = (*_AROUND_MONEY, "RETRY_WASTE", "BATCH_ELIGIBLE", "RUNAWAY_SESSION")
    plan.incident("SPIKE", kind, scope, at, at + hours, may=(*around, *_COSTLY), **shared)
    if money:
        plan.incident("COST_SPIKE", f"volume, {kind}", scope, at, at + hours, may=(*around, "SPIKE"), **shared)


def costs(plan: Plan) -> None:
    """The same number of calls, each many times dearer: context, answers, or a model."""
    changes: tuple[tuple[str, Values], ...] = (
        ("context grew", {"input": 14_000, "output": 1_400}),
        ("answers grew", {"output": 4_000}),
        ("dearer model", {"provider": "anthropic", "model": "claude-opus-4-0", "output": 1_100}),
    )
    for kind, values in changes:
        team, at = plan.free(14)
        until = at + 14
        for index in team.lanes:
            plan.change(index, Change(at, until, shape=values))
        plan.incident(
            "COST_SPIKE",
            kind,
            {"team": team.name},
            at,
            until,
            needs_history=True,
            size=numbers(values),
            may=(*_AROUND_MONEY, "PREFIX_CACHE_MISS", "SPIKE"),
        )


def calm(plan: Plan) -> None:
    """What a person would not want to be woken for, though it is more than yesterday."""
    money = ("SPIKE", "COST_SPIKE")
    team, at = plan.free(30)
    for index in team.lanes:
        plan.change(index, Change(at, at + 30, volume=1.8))
    _quiet(plan, money, "a busy day", team, at, at + 30)

    launch = Team("launch", consumer(1), 1, False, 80, {})
    plan.add(launch, "assistant", 80, Shape(provider="openai", model="gpt-4o", output=420), growth=0.045)
    _quiet(plan, money, "steady growth", launch, 0, plan.hours)

    weekly = Team("reporting", office(1), 1, True, 120, {})
    plan.add(weekly, "ask", 120, Shape(provider="openai", model="gpt-4.1", output=350))
    job = Shape(provider="openai", model="gpt-5", output=900, input=1_600)
    plan.add(weekly, "weekly-report", 600, job, week=nightly(6, days=(0,)))
    _quiet(plan, money, "the job of every Monday", weekly, 14 * DAY_HOURS, plan.hours, may=("BATCH_ELIGIBLE",))

    small = Team("tiny", office(0), 0, True, 9, {})
    plan.add(small, "try", 9, Shape(provider="openai", model="gpt-4o", output=200))
    at = plan.morning(small, 22)
    plan.change(len(plan.lanes) - 1, Change(at, at + 8, volume=7.0))
    _quiet(plan, money, "seven times almost nothing", small, 14 * DAY_HOURS, plan.hours)

    away = Team("holidays", office(0), 0, True, 160, {})
    first = 14 * DAY_HOURS
    plan.add(away, "answer", 160, Shape(provider="openai", model="gpt-4o", output=400, users=20))
    plan.change(len(plan.lanes) - 1, Change(first, first + 7 * DAY_HOURS, volume=0.12))
    _quiet(plan, (*money, "TELEMETRY_SILENT"), "back from holidays", away, first, plan.hours)

    monday = Team("weekdays", office(0, weekend=0.0), 0, True, 160, {})
    plan.add(monday, "answer", 160, Shape(provider="openai", model="gpt-4o", output=400, users=20))
    _quiet(
        plan, (*money, "TELEMETRY_SILENT"), "Monday after a weekend without calls", monday, 14 * DAY_HOURS, plan.hours
    )


def _quiet(
    plan: Plan, rules: tuple[str, ...], kind: str, team: Team, at: float, until: float, may: tuple[str, ...] = ()
) -> None:
    for rule in rules:
        plan.near_miss(rule, kind, {"team": team.name}, at, until, may=may)


def latency(plan: Plan) -> None:
    """Lanes of their own with enough calls for a 95th percentile."""
    around = ("BATCH_ELIGIBLE",)
    slower: tuple[tuple[str, Values], ...] = (
        ("three times as slow", {"slowness": 3.0}),
        ("first token late", {"first_slowness": 5.0}),
        ("twice and a half", {"slowness": 2.5}),
    )
    for kind, values in slower:
        team, scope, index = _timed(plan)
        at = plan.morning(team, plan.weekday(first_day=15, last_day=plan.days - 2))
        plan.change(index, Change(at, at + 20, shape=values))
        plan.incident(
            "LATENCY_REGRESSION", kind, scope, at, at + 20, needs_history=True, size=numbers(values), may=around
        )
    not_slower: tuple[tuple[str, Values], ...] = (
        ("answers three times as long", {"output": 1_000}),
        ("a fifth slower", {"slowness": 1.2}),
        ("a new version as fast as the old", {"version": "1.1.0"}),
    )
    for kind, values in not_slower:
        team, scope, index = _timed(plan)
        at = plan.morning(team, plan.weekday(first_day=15, last_day=plan.days - 2))
        plan.change(index, Change(at, at + 20, shape=values))
        plan.near_miss("LATENCY_REGRESSION", kind, scope, 14 * DAY_HOURS, may=("COST_SPIKE",))


def _timed(plan: Plan) -> tuple[Team, dict[str, str], int]:
    team = plan.next_team()
    shape = Shape(**team.model("cheap"), streaming=True, users=80, output=330)
    plan.add(team, f"live-{len(plan.lanes)}", 170, shape, week=consumer(team.zone))
    return team, {"team": team.name, "model": shape.model}, len(plan.lanes) - 1


def prefix_caches(plan: Plan) -> None:
    """Prompts that share a beginning of 1,400 tokens of 1,750, minutes apart in working hours, for two weeks each."""
    also = ("LONG_PROMPTS", "COST_SPIKE", "CACHE_WASTE")
    lost: tuple[tuple[str, Values, Values], ...] = (
        ("lost with a deploy", {"cached": 0.8}, {"cached": 0.0, "version": "1.1.0"}),
        ("mostly lost with a deploy", {"cached": 0.8}, {"cached": 0.12, "version": "1.1.0"}),
        ("never cached", {"cached": 0.0}, {}),
        ("written and never read", {**_WRITTEN, "cached": 0.0, "cache_written": 0.8}, {}),
    )
    for kind, values, later in lost:
        scope, at, until = _prefixed(plan, values, later, always=not later)
        if kind == "never cached" and scope["model"] not in _CACHED_MODELS:
            plan.near_miss("PREFIX_CACHE_MISS", "no cache that is documented", scope, may=also[:1])
            continue
        plan.incident("PREFIX_CACHE_MISS", kind, scope, at, until, may=also, size=numbers(values | later))
    kept: tuple[tuple[str, Values, Values], ...] = (
        ("cold for half an hour after a deploy", {"cached": 0.8}, {"cached": 0.0, "version": "1.1.0"}),
        ("a little worse", {"cached": 0.8}, {"cached": 0.68, "version": "1.1.0"}),
        ("not reported", {"cached": None}, {"version": "1.1.0"}),
        ("too short to be cached", {"cached": 0.0, "input": 500}, {"version": "1.1.0"}),
    )
    for kind, values, later in kept:
        scope, _, _ = _prefixed(plan, values, later, hours=0.5 if "half an hour" in kind else 72)
        plan.near_miss("PREFIX_CACHE_MISS", kind, scope, may=also[:1])


_CACHED_MODELS: Final = frozenset(
    {"gpt-4o", "gpt-4.1", "gpt-5", "gpt-5.1", "gpt-5.2", "o3", "claude-sonnet-4-5", "claude-sonnet-4-0"}
)
"""Models whose provider documents a prompt cache for beginnings of 1,024 tokens and more."""
_WRITTEN: Values = {"provider": "anthropic", "model": "claude-sonnet-4-0"}


def _prefixed(
    plan: Plan, values: Values, later: Values, *, hours: float = 72, always: bool = False
) -> tuple[dict[str, str], float, float]:
    """A lane that changes after eight days; (scope, when, until when). With `always` it is so from its first call."""
    team = plan.next_team()
    cached: Values = {"input": 1_750, "spread": 0.03, "prefixes": 1, "prompts": 0, "output": 220}
    shape = Shape(**(team.model("premium") | cached | values))
    at = plan.weekday(first_day=9, last_day=plan.days - 4, days=(0, 1, 2)) * DAY_HOURS + plan.random.uniform(7, 10)
    plan.add(team, f"prefix-{len(plan.lanes)}", 240, shape, week=office(0))
    plan.change(len(plan.lanes) - 1, Change(at, at + hours, shape=later))
    plan.begin(team, at if always else at - 8 * DAY_HOURS, at + 4 * DAY_HOURS)
    return {"team": team.name, "model": shape.model}, at, at + hours


def silence(plan: Plan) -> None:
    """Services that stop, and some that are only quiet, each of a team of its own."""
    for number, (kind, week, hours) in enumerate(
        (("at all hours", steady(), 14.0), ("for a day", consumer(0), 26.0), ("in working hours", office(0), 30.0))
    ):
        team = Team(f"sender-{number}", week, 0, False, 200, {})
        plan.add(team, "answer", 120, Shape(provider="openai", model="gpt-4o-mini", users=30), service=f"svc-{number}")
        day = plan.weekday(first_day=15, last_day=plan.days - 4, days=(1, 2))
        at = day * 24 + (10.5 if week == office(0) else plan.random.uniform(2, 12))
        plan.change(len(plan.lanes) - 1, Change(at, at + hours, volume=0.0))
        plan.incident(
            "TELEMETRY_SILENT",
            kind,
            {"service": f"svc-{number}"},
            at,
            at + hours,
            needs_history=True,
            size={"hours": hours},
            grace_ns=0,
        )
    rare = Team("rare", steady(), 0, False, 7, {})
    plan.add(rare, "look", 7, Shape(provider="openai", model="gpt-4o-mini"), service="svc-rare")
    plan.near_miss("TELEMETRY_SILENT", "seldom and irregular", {"service": "svc-rare"})
    nights = Team("nights", office(0, weekend=0.0), 0, True, 120, {})
    plan.add(nights, "look", 120, Shape(provider="openai", model="gpt-4o-mini"), service="svc-office")
    plan.near_miss("TELEMETRY_SILENT", "nights and weekends", {"service": "svc-office"})
    daily = Team("daily", steady(), 0, False, 60, {})
    plan.add(daily, "job", 60, Shape(provider="openai", model="gpt-4o-mini"), service="svc-daily", week=nightly(5))
    plan.near_miss(
        "TELEMETRY_SILENT", "a job once a day", {"service": "svc-daily", "team": "daily"}, may=("BATCH_ELIGIBLE",)
    )


def add(plan: Plan) -> None:
    for scenario in (spikes, costs, calm, latency, prefix_caches, silence):
        scenario(plan)
