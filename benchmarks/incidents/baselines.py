"""How others tell that spending jumped, on the same calls: their conditions and how often they look.

- LiteLLM: today's spend of a user above 3 × the mean of the 7 days before and a least amount, looked at each hour,
  told once a day (`integrations/SlackAlerting/user_spend_alerts.py`). A team stands for the user.
- LangWatch: spend of the last window at least 2 × the mean of the 6 windows before, which has a least amount, looked at
  each 5 minutes over buckets of whole hours, not told again within a window (`spendSpikeAnomalyEvaluator.service.ts`).
  Both of its windows: an hour (the default) and a day (the form's). One rule a team stands for its scopes.
- Langfuse: one threshold on the spend of a project, looked at each minute 30 seconds late, told when it is crossed
  (`monitors/service/helpers.ts`). No grouping. The threshold is the best one on other seeds.

The least amounts are a tenth of those products' defaults, 10 USD and 1 USD: generated teams spend a few USD a day.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from benchmarks.incidents.labels import DAY_NS, HOUR_NS
from benchmarks.incidents.score import Alert
from tokensense_otel.core.call import Call, CostKind

MINUTE_NS: Final = 60_000_000_000
NANOS: Final = 1_000_000_000
LITELLM_LEAST: Final = NANOS
LANGWATCH_LEAST: Final = NANOS // 10
LITELLM, LANGWATCH_HOUR, LANGWATCH_DAY, LANGFUSE = (
    "3 × mean of 7 days, hourly (LiteLLM)",
    "2 × mean of 6 hours, each 5 minutes (LangWatch)",
    "2 × mean of 6 days, each 5 minutes (LangWatch)",
    "fixed threshold of the project, each minute (Langfuse)",
)

Cost = tuple[int, str, int]
"""(end in ns, team, nano-dollars) of a call."""


class Spend:
    """Nano-dollars of one scope, summed up over time."""

    def __init__(self, costs: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(costs)
        self._ends = [end for end, _ in ordered]
        self._sums = [0, *accumulate(cost for _, cost in ordered)]

    def between(self, since_ns: int, until_ns: int) -> int:
        """Of what ended in [since, until)."""
        return self._sums[bisect_left(self._ends, until_ns)] - self._sums[bisect_left(self._ends, since_ns)]


def costs_of(calls: Iterable[Call]) -> list[Cost]:
    """The priced calls; an estimate counts at its low end."""
    return [
        (call.end_ns, call.dimensions.team, call.cost.low) for call in calls if call.cost.kind is not CostKind.UNKNOWN
    ]


def spend_by_team(costs: Iterable[Cost]) -> dict[str, Spend]:
    """Of the teams that are named."""
    teams: dict[str, list[tuple[int, int]]] = {}
    for end_ns, team, nanos in costs:
        if team:
            teams.setdefault(team, []).append((end_ns, nanos))
    return {team: Spend(some) for team, some in teams.items()}


def everything(costs: Iterable[Cost]) -> Spend:
    """The spend of the whole project."""
    return Spend((end_ns, nanos) for end_ns, _, nanos in costs)


def litellm(teams: dict[str, Spend], start_ns: int, end_ns: int) -> list[Alert]:
    alerts = []
    for team, spend in teams.items():
        told = -1
        for now in range(start_ns + DAY_NS, end_ns, HOUR_NS):
            today = now // DAY_NS * DAY_NS
            spent = spend.between(today, now)
            before = spend.between(today - 7 * DAY_NS, today)
            if told == today or spent < LITELLM_LEAST or (before > 0 and spent * 7 <= 3 * before):
                continue
            told = today
            alerts.append(Alert(LITELLM, now, {"team": team}, detail=f"${spent / 1e9:.2f} of ${before / 7e9:.2f}"))
    return alerts


def langwatch(teams: dict[str, Spend], start_ns: int, end_ns: int, window_ns: int) -> list[Alert]:
    name = LANGWATCH_HOUR if window_ns == HOUR_NS else LANGWATCH_DAY
    alerts = []
    for team, spend in teams.items():
        told = -window_ns
        for now in range(start_ns + DAY_NS, end_ns, 5 * MINUTE_NS):
            # Only buckets that begin within the window count, so an hour's window sees the hour that has just begun.
            since = -(-(now - window_ns) // HOUR_NS) * HOUR_NS
            before = spend.between(-(-(now - 7 * window_ns) // HOUR_NS) * HOUR_NS, since) // 6
            current = spend.between(since, now)
            if told >= now - window_ns or before < LANGWATCH_LEAST or current < 2 * before:
                continue
            told = now
            alerts.append(Alert(name, now, {"team": team}, detail=f"${current / 1e9:.2f} of ${before / 1e9:.2f}"))
    return alerts


def langfuse(everything: Spend, start_ns: int, end_ns: int, window_ns: int, threshold: int) -> list[Alert]:
    alerts = []
    above = False
    for now in range(start_ns + window_ns, end_ns, MINUTE_NS):
        crossed = everything.between(now - window_ns, now) > threshold
        if crossed and not above:
            told = now + MINUTE_NS // 2
            alerts.append(Alert(LANGFUSE, told, {}, detail=f"above ${threshold / 1e9:.2f} in {window_ns // HOUR_NS} h"))
        above = crossed
    return alerts
