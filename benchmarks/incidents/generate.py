"""Writes weeks of traffic as OTLP files that `tokensense replay` reads; beside them the truth and a rules file."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.incidents import sessions, shifts, steady, waste
from benchmarks.incidents.calls import Made, Source
from benchmarks.incidents.labels import DAY_NS, Truth
from benchmarks.incidents.otlp import memory_request, trace_request, write
from benchmarks.incidents.plan import START_NS, WARM_DAYS, Plan

FILE_HOURS: Final = 6
HISTORY_WEEKS: Final = 4
"""Fewer weeks have no room for what needs two weeks of history."""

TRUTH, RULES = "truth.json", "rules.yaml"


def generate(folder: Path, seed: int, *, teams: int = 10, weeks: int = 5) -> Truth:
    """Write the files of one seed into an empty folder. The same arguments give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(seed, teams=teams, weeks=weeks)
    waste.add(plan)
    if weeks >= HISTORY_WEEKS:
        shifts.add(plan)
    agents = sessions.add(plan)
    readings = steady.memory(plan)
    spent: dict[str, list[tuple[int, int]]] = {name: [] for name in steady.budget_teams(plan)}
    number = calls = 0
    for batch in _batches(plan, agents):
        for made in batch:
            if made.tool:
                continue
            calls += 1
            if made.lane.team in spent and made.input is not None:
                cost = made.input * steady.INPUT_NANOS + (made.output or 0) * steady.OUTPUT_NANOS
                spent[made.lane.team].append((made.end_ns, cost))
        if batch:
            number += 1
            write(folder, number, "traces", trace_request(batch))
    for day in range(plan.days):
        number += 1
        since = plan.ns(day * 24)
        write(folder, number, "metrics", memory_request(each for each in readings if since <= each[1] < since + DAY_NS))
    (folder / RULES).write_text(yaml.safe_dump({"rules": _rules(plan, spent)}, sort_keys=False), encoding="utf-8")
    truth = Truth(
        seed=seed,
        start_ns=START_NS,
        end_ns=plan.ns(plan.hours),
        warm_ns=START_NS + WARM_DAYS * DAY_NS,
        calls=calls,
        teams=len({lane.team for lane in plan.lanes}),
    )
    for label in plan.labels:
        truth.add(label)
    truth.write(folder / TRUTH)
    return truth


def _rules(plan: Plan, spent: dict[str, list[tuple[int, int]]]) -> dict[str, Any]:
    """What an operator would set for traffic of this size, and the budgets: everything else is left at its default."""
    return {"BUDGET": steady.budgets(plan, spent)}


def _batches(plan: Plan, agents: sessions.Agents) -> Iterator[list[Made]]:
    sources: list[Source | sessions.Agents] = [Source(lane, plan.seed) for lane in plan.lanes]
    sources.append(agents)
    for since in range(0, plan.hours, FILE_HOURS):
        hours = range(since, min(since + FILE_HOURS, plan.hours))
        batch = list(chain.from_iterable(each.hour(hour, START_NS) for hour in hours for each in sources))
        yield sorted(batch, key=lambda made: made.end_ns)
