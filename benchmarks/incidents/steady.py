"""Memory of functions, and budgets of teams: what is measured against a limit that somebody set."""

from random import Random
from typing import Any, Final

from benchmarks.incidents.labels import DAY_NS, HOUR_NS, Incident, NearMiss
from benchmarks.incidents.lanes import DAY_HOURS, Shape, Values
from benchmarks.incidents.plan import START_NS, Plan, Reading, Team

_MIB: Final = 1_048_576
_ALLOCATED: Final = 1_024 * _MIB
_EVERY_HOURS: Final = 0.25

BUDGET_MODEL: Final[Values] = {"provider": "openai", "model": "gpt-4o"}
INPUT_NANOS, OUTPUT_NANOS = 2_500, 10_000
"""What a token of gpt-4o costs, in nano-dollars: 2.50 and 10.00 USD a million."""
PERCENTS: Final = (50, 80, 100)
WEEK_NS: Final = 7 * DAY_NS


def memory(plan: Plan) -> list[Reading]:
    """Functions that report what each invocation used, out of 1 GiB."""
    readings: list[Reading] = []
    for name, kind, usual, peak in (("fn-parse", "a fifth used", 0.22, 0.0), ("fn-mail", "a third used", 0.34, 0.0)):
        at = plan.weekday(first_day=1, last_day=max(2, plan.days // 2)) * DAY_HOURS + 6.0
        readings += _used(plan, name, at, usual, peak)
        plan.incident("RAM_OVER_PROVISION", kind, {"function": name}, at, plan.hours, size={"used": usual})
    for name, kind, usual, peak, every, allocated in (
        ("fn-peak", "peaks every half day", 0.2, 0.72, _EVERY_HOURS, _ALLOCATED),
        ("fn-half", "nearly half used", 0.46, 0.0, _EVERY_HOURS, _ALLOCATED),
        ("fn-free", "no limit told", 0.2, 0.0, _EVERY_HOURS, None),
        ("fn-rare", "too few observations", 0.2, 0.0, 3.0, _ALLOCATED),
    ):
        readings += _used(plan, name, 0.0, usual, peak, every=every, allocated=allocated)
        plan.near_miss("RAM_OVER_PROVISION", kind, {"function": name})
    return readings


def _used(
    plan: Plan,
    name: str,
    at: float,
    usual: float,
    peak: float,
    *,
    every: float = _EVERY_HOURS,
    allocated: int | None = _ALLOCATED,
) -> list[Reading]:
    random = Random(f"{plan.seed}/{name}")
    readings: list[Reading] = []
    hour, number = at, 0
    while hour < plan.hours:
        # The first reading of a function that peaks is a peak: until then it would look as small as it is between.
        share = peak if peak and number % 40 == 0 else usual * random.uniform(0.9, 1.05)
        readings.append((name, plan.ns(hour), int(share * _ALLOCATED), allocated))
        hour += every
        number += 1
    return readings


def budget_teams(plan: Plan) -> list[str]:
    """Teams with a budget a week, which spend at an ordinary pace."""
    names = [f"budgeted-{number}" for number in range(3)]
    for name in names:
        team = Team(name, plan.teams[0].week, 0, True, 110, {})
        plan.add(team, "answer", 110, Shape(**BUDGET_MODEL, output=420, users=20))
    return names


def budgets(plan: Plan, spent: dict[str, list[tuple[int, int]]]) -> dict[str, Any]:
    """Amounts that the teams' weeks do or do not reach, and the moment at which each percentage was reached.

    `spent` has (end in ns, nano-dollars) of the calls of each team. The first team's amount is below every week's
    spend, the second's is above all, so that only the lower percentages are crossed, the third's is three times that.
    """
    listed = []
    for (name, calls), factor in zip(spent.items(), (0.7, 1.12, 3.0), strict=True):
        weeks = [
            sum(cost for at, cost in calls if week <= (at - START_NS) // WEEK_NS < week + 1)
            for week in range(plan.days // 7)
        ]
        amount = round((min(weeks) if factor < 1 else max(weeks)) * factor / 1e9, 2)
        listed.append(
            {
                "name": f"budget-{name}",
                "scope": {"team": name},
                "amount_usd": amount,
                "period": "week",
                "thresholds": list(PERCENTS),
            }
        )
        _crossings(plan, name, calls, amount)
    return {"budgets": listed}


def _crossings(plan: Plan, name: str, calls: list[tuple[int, int]], amount: float) -> None:
    budget = f"budget-{name}"
    for week in range(plan.days // 7):
        since = START_NS + week * WEEK_NS
        total, left = 0.0, list(PERCENTS)
        for at, cost in sorted(each for each in calls if since <= each[0] < since + WEEK_NS):
            total += cost / 1e9
            while left and total * 100 >= left[0] * amount:
                percent = left.pop(0)
                plan.labels.append(
                    Incident(
                        rule="BUDGET",
                        kind=f"{percent} percent of a week",
                        scope={"budget": budget, "threshold": f"{percent}%"},
                        from_ns=at,
                        to_ns=at + HOUR_NS,
                        grace_ns=0,
                        size={"percent": percent, "amount_usd": amount, "week": week},
                    )
                )
        for percent in left:
            scope = {"budget": budget, "threshold": f"{percent}%"}
            kind = f"week without {percent} percent"
            plan.labels.append(NearMiss(rule="BUDGET", kind=kind, scope=scope, from_ns=since, to_ns=since + WEEK_NS))
        # Its pace may be told where the week overspends, and not where the budget is enough.
        pace = {"budget": budget, "threshold": "pace"}
        may = () if left else ("BUDGET",)
        plan.labels.append(
            NearMiss(rule="BUDGET", kind="pace", scope=pace, from_ns=since, to_ns=since + WEEK_NS, may=may)
        )
