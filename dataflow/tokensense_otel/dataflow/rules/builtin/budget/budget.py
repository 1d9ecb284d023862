"""BUDGET: so much of a budget is spent, or it is being spent so fast that it will not last.

Each threshold, and the pace, is a key of its own, so that each has its own life. A threshold that is passed together
with a higher one is not told, and all are over when the period is.

The pace is that of multi-window burn rates (Google, The Site Reliability Workbook, chapter 5, "Alerting on SLOs"): so
many times the speed at which the budget would last for exactly the period, over a long window and, so that what is over
already is not told, over a twelfth of it as well.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, Literal, cast

from pydantic import Field, field_validator, model_validator

from tokensense_otel.core.call import DEFAULT_PROJECT, Call, CostKind, Source
from tokensense_otel.core.config import Config
from tokensense_otel.core.insight import Severity, rfc3339
from tokensense_otel.core.money import NANOS_PER_USD, usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.budget.budget_series import HOUR_NS, BudgetSeries, Spend
from tokensense_otel.dataflow.rules.builtin.budget.periods import Period, Zone, bounds
from tokensense_otel.dataflow.rules.call_rule import CallRule, Fact, team_of
from tokensense_otel.dataflow.rules.evaluation.durations import Duration
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import Level, RuleConfig, Words
from tokensense_otel.dataflow.rules.thresholds import dollars

PACE: Final = "pace"
FAST_SHARE: Final = 4
SLOW_SHARE: Final = 4 / 3
"""Where a period is short, a quarter of the budget in an hour, or three quarters in six hours, are fast enough."""

Dimension = Literal["project", "team", "feature", "environment", "service", "user", "provider", "model"]
_READ: Final[Mapping[str, Callable[[Call], str]]] = {
    "project": lambda call: call.project,
    "team": team_of,
    "feature": lambda call: call.dimensions.feature,
    "environment": lambda call: call.dimensions.environment,
    "service": lambda call: call.dimensions.service,
    "user": lambda call: call.dimensions.user,
    "provider": lambda call: call.provider,
    "model": lambda call: call.model,
}


class Budget(Config):
    """One budget."""

    name: str = Field(min_length=1, max_length=100)
    """What it is called in findings; each budget has another name."""
    scope: dict[Dimension, str | list[str]] = Field(default={})
    """Which calls it is for: `{team: search}`, `{model: [gpt-4o, gpt-5]}`; all names have to match. `{}` is all of the
    tenant's calls. It is for all projects unless it names one; in a project's own rules it has to name that project."""
    amount_usd: float = Field(gt=0, le=1_000_000_000_000)
    """USD for one period."""
    period: Period = "month"
    """`day`, `week` (from Monday) or `month`, by the calendar."""
    timezone: Zone = "UTC"
    """Where its days begin: an IANA name."""
    thresholds: tuple[float, ...] = (50, 80, 100)
    """Percentages at each of which it is told once in a period."""
    pace: bool | None = None
    """Whether it is told when the budget is spent too fast to last; without a word, for weeks and months only."""

    @field_validator("thresholds")
    @classmethod
    def _ordered(cls, thresholds: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < each <= 10_000 for each in thresholds):
            raise ValueError("a threshold is a percentage; write for instance 80")
        return tuple(sorted(set(thresholds)))

    @cached_property
    def amount(self) -> int:
        """Nano-dollars."""
        return round(self.amount_usd * NANOS_PER_USD)

    @cached_property
    def watches(self) -> tuple[str, ...]:
        """What is watched, each with a finding of its own."""
        paced = self.period != "day" if self.pace is None else self.pace
        return (*(f"{each:g}%" for each in self.thresholds), *([PACE] if paced else ()))

    @cached_property
    def wanted(self) -> list[tuple[Callable[[Call], str], frozenset[str]]]:
        """What a call has to say for itself to belong."""
        return [
            (_READ[name], frozenset([each] if isinstance(each, str) else each)) for name, each in self.scope.items()
        ]

    def covers(self, call: Call) -> bool:
        return all(read(call) in names for read, names in self.wanted)


class BudgetConfig(RuleConfig):
    """Budgets, and when their pace is too fast."""

    severity: Severity = Severity.HIGH
    """`high`, `medium` or `low`."""
    keep_firing_for: Duration = Duration("0s")
    """How long the condition has to be false before the finding is resolved. At 0 that is when the period ends."""
    budgets: tuple[Budget, ...] = ()
    """The budgets, each with name, scope, amount, period, time zone and thresholds. Without any the rule is idle."""
    fast_burn_rate: float = Field(default=14.4, gt=1)
    """The pace is too fast at so many times the even one over the last hour and the last five minutes."""
    slow_burn_rate: float = Field(default=6.0, gt=1)
    """… or at so many times the even one over the last six hours and the last half hour."""

    @model_validator(mode="after")
    def _named_once(self) -> "BudgetConfig":
        names = [each.name for each in self.budgets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two budgets are called {name!r}; give each its own name")
        return self

    @cached_property
    def by_name(self) -> dict[str, Budget]:
        return {each.name: each for each in self.budgets}


class BudgetRule(CallRule[BudgetConfig]):
    """What counts is the lower bound of what was spent. Calls without a price are counted beside it, never as zero."""

    name = "BUDGET"
    description = "A budget is spent up to one of its thresholds, or so fast that it will not last for its period."
    scope = ("budget", "threshold")
    fields = Spend._fields
    takes_sums = True
    level = Level.TENANT
    thresholds = ("fast_burn_rate", "slow_burn_rate")
    config_type = BudgetConfig

    def new_series(self, _config: BudgetConfig, /) -> CallSeries:
        return BudgetSeries()

    def observe(self, call: Call, config: BudgetConfig, _catalogue: Catalogue, /) -> Fact | None:
        fact: Fact | None = None
        for budget in config.budgets:
            if not budget.covers(call):
                continue
            project = call.project if "project" in budget.scope else DEFAULT_PROJECT
            counts, calendar = _spend(call), ((budget.period, budget.timezone),)
            for watch in reversed(budget.watches):
                fact = Fact((budget.name, watch), counts, members=calendar, project=project, more=fact)
        return fact

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:
        budget = cast("BudgetSeries", series)
        budget.name, budget.watch = fact.key
        spend = Spend(*fact.counts)
        ((period, zone),) = fact.members
        start_ns, _ = bounds(time_ns, cast("Period", period), zone)
        if not budget.add(start_ns, spend, sign):
            return False
        if budget.watch == PACE:
            budget.window.add(time_ns, (spend.low,), sign)
        if call.source is not Source.METER:
            budget.sample(time_ns, call.trace_id, sign)
        return True

    def judge(self, series: CallSeries, config: BudgetConfig, /) -> int | None:
        watched = cast("BudgetSeries", series)
        budget = watched.budget = config.by_name.get(watched.name)
        if budget is None or watched.watch not in budget.watches:
            return None
        start_ns, end_ns = watched.bounds()
        spent = watched.of(start_ns).low
        if watched.watch == PACE:
            return self._pace(watched, budget, config, spent, end_ns - start_ns, end_ns)
        percent = float(watched.watch[:-1])
        if spent * 100 < percent * budget.amount:
            return None
        higher = next((each for each in budget.thresholds if each > percent), None)
        if higher is not None:
            # One that is passed together with a higher one is not told, and one that is open grows no more.
            return None if not watched.episode.firing and spent * 100 >= higher * budget.amount else 1
        return spent * 100 // budget.amount

    def _pace(
        self, series: BudgetSeries, budget: Budget, config: BudgetConfig, spent: int, length_ns: int, end_ns: int
    ) -> int | None:
        """The pace in hundredths of the even one, where it is too fast for what is left."""
        left, lately = budget.amount - spent, series.lately("6h")
        if left <= 0 or lately <= budget.amount * HOUR_NS // length_ns:
            return None  # six hours did not spend what is even for one
        found: int | None = None
        for span, short, hours, rate, most in (
            ("1h", "5m", 1, config.fast_burn_rate, FAST_SHARE),
            ("6h", "30m", 6, config.slow_burn_rate, SLOW_SHARE),
        ):
            even = budget.amount * hours * HOUR_NS / length_ns
            needed = min(rate, length_ns / (most * hours * HOUR_NS)) * even
            now = series.lately(span)
            if series.episode.firing:
                needed *= config.hysteresis
            elif series.lately(short) * 12 < needed:
                continue
            if now >= needed and series.now_ns + left * hours * HOUR_NS // now < end_ns:
                found = max(found or 0, round(now * 100 / even))
        return found

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        watched = cast("BudgetSeries", series)
        budget: Budget | None = watched.budget
        if budget is None:
            return {}
        start_ns, end_ns = watched.bounds()
        spend = watched.of(start_ns)
        evidence: dict[str, Any] = {
            "amount_usd": usd_text(budget.amount),
            "spent_usd": usd_text(spend.low),
            "spent_at_most_usd": usd_text(spend.high),
            "spent_percent": round(spend.low * 100 / budget.amount, 1),
            "crossed_percent": [each for each in budget.thresholds if spend.low * 100 >= each * budget.amount],
            "calls": spend.calls,
            "unpriced_calls": spend.unpriced_calls,
            "unpriced_tokens": spend.unpriced_tokens,
            "period": {"from": rfc3339(start_ns), "to": rfc3339(end_ns), "timezone": budget.timezone},
        }
        if watched.watch == PACE:
            evidence["last_hour_usd"] = usd_text(watched.lately("1h"))
            evidence["last_6_hours_usd"] = usd_text(watched.lately("6h"))
        return evidence | {"runs_out": _runs_out(watched, budget, spend, start_ns, end_ns)}

    def scope_of(self, parts: tuple[str, ...], series: CallSeries, /) -> dict[str, str]:
        budget: Budget | None = cast("BudgetSeries", series).budget
        where = {} if budget is None else budget.scope
        return super().scope_of(parts, series) | {
            name: each for name, each in where.items() if isinstance(each, str) and name != "project"
        }

    def words(
        self, scope: dict[str, str], series: CallSeries, _config: BudgetConfig, _catalogue: Catalogue, /
    ) -> Words:
        shown, name = self.observed(series), scope["budget"]
        budget: Budget | None = cast("BudgetSeries", series).budget
        if budget is None:
            return Words(f"Budget {name} is gone", "It is not in the configuration any more.", "Nothing is to be done.")
        spent = cast("BudgetSeries", series).of(series.bounds()[0]).low
        state = f"{dollars(spent)} of {dollars(budget.amount)} for this {budget.period} are spent"
        beside = f" {shown['unpriced_calls']:,} calls without a price come on top." if shown["unpriced_calls"] else ""
        until = _until(shown["runs_out"])
        if scope["threshold"] == PACE:
            return Words(
                title=f"Budget {name} is being spent too fast",
                summary=f"{state}, {dollars(cast('BudgetSeries', series).lately('1h'))} of it in the last hour.{until}"
                f"{beside}",
                suggested_fix="See what runs now that did not before (COST_SPIKE, RUNAWAY_SESSION), and slow it.",
            )
        return Words(
            title=f"Budget {name} is spent to {scope['threshold']}",
            summary=f"{state}.{until}{beside}",
            suggested_fix="See who spends it (`tokensense usage`), and take up the savings that other findings name, "
            "or agree on another amount.",
        )

    def money(self, _series: CallSeries, _config: BudgetConfig, _catalogue: Catalogue, /) -> dict[str, Any]:
        return {}

    def savings(self, _series: CallSeries, /) -> int | None:
        return None


def _spend(call: Call) -> Spend:
    cost, tokens = call.cost, call.tokens
    if cost.kind is not CostKind.UNKNOWN:
        return Spend(call.count, cost.low, cost.high)
    used = (tokens.input or 0) + (tokens.output or 0)
    return Spend(call.count, 0, 0, call.count if used or call.lacks_usage else 0, used)


def _runs_out(
    series: BudgetSeries, budget: Budget, spend: Spend, start_ns: int, end_ns: int
) -> dict[str, str | None] | None:
    """Between when and when the budget ends, by the paces of the period so far and of the last hours; `None` after.

    Where one of them does not end it within the period, `latest` is `None`.
    """
    left, now_ns = budget.amount - spend.low, series.now_ns
    if left <= 0 or spend.low <= 0:
        return None
    spans = [(spend.low, now_ns - start_ns)]
    if series.watch == PACE:
        spans += [(series.lately("1h"), HOUR_NS), (series.lately("6h"), 6 * HOUR_NS)]
    ends = [now_ns + left * span_ns // spent if spent > 0 else end_ns for spent, span_ns in spans]
    if min(ends) >= end_ns:
        return None
    return {"earliest": rfc3339(min(ends)), "latest": rfc3339(max(ends)) if max(ends) < end_ns else None}


def _until(runs_out: dict[str, str | None] | None) -> str:
    if runs_out is None:
        return ""
    earliest, latest = runs_out["earliest"], runs_out["latest"]
    at_latest = f", and no later than {latest}" if latest and latest != earliest else ""
    return f" At this pace it runs out by {earliest}{at_latest}." if earliest else ""
