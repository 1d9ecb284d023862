"""Money spent without need, that a count can tell: each kind as it has to be found, and as it only looks like it.

Each has a model of its team to itself, so that the rule's key sees it alone.
"""

from typing import Any, Final

from benchmarks.incidents.labels import numbers
from benchmarks.incidents.lanes import DAY_HOURS, Shape, Values, nightly, steady
from benchmarks.incidents.plan import Plan, Team

_LASTS_DAYS: Final = 6
_FORTNIGHT_HOURS: Final = 14 * DAY_HOURS
_BATCHING: Final = frozenset({"openai", "anthropic", "gcp.gemini"})
"""Providers that sell the same answers in batches at half the price."""


def _lane(plan: Plan, rule: str, kind: str, volume: float, tier: str, values: Values, **more: Any) -> None:
    """A feature that behaves so from a morning on, for six days."""
    team = plan.next_team()
    feature = f"{rule.lower().replace('_', '-')}-{len(plan.lanes)}"
    shape = Shape(**(values if "model" in values else team.model(tier) | values))
    at = plan.morning(team, plan.weekday(first_day=1, last_day=max(2, plan.days - _LASTS_DAYS)))
    until = min(plan.hours, at + _LASTS_DAYS * DAY_HOURS)
    plan.add(team, feature, volume, shape)
    plan.begin(team, at, until)
    scope = {"team": team.name, "model": shape.model}
    plan.incident(rule, kind, scope, at, until, size={"calls_a_day": volume, **numbers(values)}, **more)


def _miss(
    plan: Plan,
    rule: str,
    kind: str,
    volume: float,
    tier: str,
    values: Values,
    *,
    may: tuple[str, ...] = (),
    **lane: Any,
) -> None:
    """A feature that behaves so for two weeks."""
    team = plan.next_team()
    feature = f"no-{rule.lower().replace('_', '-')}-{len(plan.lanes)}"
    shape = Shape(**(values if "model" in values else team.model(tier) | values))
    plan.add(team, feature, volume, shape, **lane)
    at = _fortnight(plan, team)
    plan.near_miss(rule, kind, {"team": team.name, "model": shape.model}, at, at + _FORTNIGHT_HOURS, may=may)


def _fortnight(plan: Plan, team: Team) -> float:
    """When the lane added last begins, at a random midnight; two weeks later it ends."""
    at = float(DAY_HOURS * plan.random.randint(0, max(0, plan.days - 14)))
    plan.begin(team, at, at + _FORTNIGHT_HOURS)
    return at


def model_misuse(plan: Plan) -> None:
    _lane(plan, "MODEL_MISUSE", "short answers", 70, "premium", {"output": 30, "input": 350})
    _lane(plan, "MODEL_MISUSE", "one word", 45, "premium", {"output": 3, "input": 700})
    _lane(plan, "MODEL_MISUSE", "just below", 80, "premium", {"output": 80, "input": 300, "spread": 0.2})
    _miss(plan, "MODEL_MISUSE", "just above", 80, "premium", {"output": 125, "spread": 0.2})
    _miss(plan, "MODEL_MISUSE", "too few calls", 7, "premium", {"output": 20})
    _miss(plan, "MODEL_MISUSE", "cheap model", 150, "cheap", {"output": 20})
    _miss(plan, "MODEL_MISUSE", "calls tools", 90, "premium", {"output": 45, "tools": True})


def model_downgrade(plan: Plan) -> None:
    also = ("MODEL_MISUSE",)
    _lane(plan, "MODEL_DOWNGRADE", "short answers", 190, "flagship", {"output": 25, "input": 300}, may=also)
    _lane(plan, "MODEL_DOWNGRADE", "short titles", 230, "flagship", {"output": 40, "input": 500}, may=also)
    _miss(plan, "MODEL_DOWNGRADE", "too few", 45, "flagship", {"output": 40}, may=also)
    _miss(plan, "MODEL_DOWNGRADE", "longer answers", 190, "flagship", {"output": 190, "spread": 0.15})
    _miss(
        plan,
        "MODEL_DOWNGRADE",
        "reasons first",
        170,
        "flagship",
        {"output": 30, "reasoning": 400, "spread": 0.15},
        may=("REASONING_OVERSPEND",),
    )


def long_prompts(plan: Plan) -> None:
    _lane(plan, "LONG_PROMPTS", "twice as long", 60, "cheap", {"input": 4_200})
    _lane(plan, "LONG_PROMPTS", "whole documents", 45, "cheap", {"input": 11_000})
    _lane(plan, "LONG_PROMPTS", "just above", 70, "cheap", {"input": 2_350, "spread": 0.15})
    _miss(plan, "LONG_PROMPTS", "just below", 70, "cheap", {"input": 1_720, "spread": 0.15})
    _miss(plan, "LONG_PROMPTS", "mostly cached", 90, "cheap", {"input": 5_200, "cached": 0.85, "prefixes": 1})
    _miss(plan, "LONG_PROMPTS", "too few calls", 6, "cheap", {"input": 9_000})
    _miss(
        plan,
        "LONG_PROMPTS",
        "embeddings",
        80,
        "cheap",
        {"provider": "openai", "model": "text-embedding-3-large", "operation": "embeddings", "input": 6_000},
    )


def cache_waste(plan: Plan) -> None:
    values = {"input": 1_300, "output": 240, "spread": 0.02}
    _lane(plan, "CACHE_WASTE", "one prompt", 120, "cheap", {**values, "prompts": 1})
    _lane(plan, "CACHE_WASTE", "two prompts", 260, "cheap", {**values, "prompts": 2})
    _miss(plan, "CACHE_WASTE", "repeats seldom", 18, "cheap", {**values, "prompts": 1})
    _miss(plan, "CACHE_WASTE", "served from the cache", 120, "cheap", {**values, "prompts": 1, "cached": 0.9})
    _miss(plan, "CACHE_WASTE", "each prompt its own", 120, "cheap", {**values, "prompts": 0})
    _miss(plan, "CACHE_WASTE", "many prompts", 150, "cheap", {**values, "prompts": 400})


def failed(plan: Plan) -> None:
    """ERROR_SPEND, RETRY_WASTE and TRUNCATION: what was bought and thrown away."""
    bought = {"failing": 0.30, "failed_use": True, "output": 500}
    _lane(plan, "ERROR_SPEND", "a third fails", 130, "premium", bought, may=("RETRY_WASTE",))
    _lane(plan, "ERROR_SPEND", "two of three fail", 100, "flagship", {**bought, "failing": 0.65}, may=("RETRY_WASTE",))
    _miss(plan, "ERROR_SPEND", "few fail", 130, "premium", {"failing": 0.012, "failed_use": True})
    _miss(plan, "ERROR_SPEND", "refused unbilled", 130, "premium", {"failing": 0.35}, may=("RETRY_WASTE",))
    again = {"retried": 0.35, "prompts": 0, "output": 450, "input": 1_200}
    _lane(plan, "RETRY_WASTE", "sent again", 130, "premium", again, may=("ERROR_SPEND",))
    _lane(plan, "RETRY_WASTE", "sent again and again", 110, "flagship", {**again, "retried": 0.6}, may=("ERROR_SPEND",))
    _miss(plan, "RETRY_WASTE", "seldom", 150, "premium", {"retried": 0.004, "prompts": 0})
    _miss(plan, "RETRY_WASTE", "asked anew after success", 90, "cheap", {"prompts": 40, "output": 300})
    _miss(plan, "RETRY_WASTE", "no hashes", 120, "premium", {"retried": 0.35, "output": 300}, may=("ERROR_SPEND",))
    _lane(plan, "TRUNCATION", "every other", 110, "cheap", {"truncated": 0.5, "output": 512, "spread": 0.1})
    _lane(plan, "TRUNCATION", "every fourth", 160, "premium", {"truncated": 0.27, "output": 700, "spread": 0.1})
    _miss(plan, "TRUNCATION", "one in fifty", 160, "cheap", {"truncated": 0.02})


def reasoning(plan: Plan) -> None:
    _lane(plan, "REASONING_OVERSPEND", "much thought for a word", 110, "premium", {"output": 35, "reasoning": 2_600})
    _lane(plan, "REASONING_OVERSPEND", "much thought for a line", 140, "cheap", {"output": 70, "reasoning": 3_500})
    _miss(plan, "REASONING_OVERSPEND", "thought and said", 120, "premium", {"output": 700, "reasoning": 900})
    _miss(plan, "REASONING_OVERSPEND", "no thought", 120, "premium", {"output": 260, "reasoning": 0})


def batch_eligible(plan: Plan) -> None:
    """Jobs of the night, three weeks long; the same work with somebody waiting for it; work that is batched already."""
    for kind, tier, hour in (("nightly job", "premium", 2), ("job before work", "premium", 4)):
        team, shape = _job(plan, tier, {"output": 600, "input": 1_500})
        at = 24.0 * plan.random.randint(1, 4) + hour
        until = min(plan.hours, at + 21 * DAY_HOURS)
        plan.add(team, f"job-{len(plan.lanes)}", 150, shape, week=nightly(hour), minutes=22, noisy=False)
        plan.begin(team, at, until)
        scope = {"team": team.name, "model": shape.model}
        plan.incident("BATCH_ELIGIBLE", kind, scope, at, until, size={"calls_a_night": 150})
    for kind, values, week in (
        ("somebody waits", {"users": 60, "streaming": True}, nightly(3)),
        ("batched already", {"priced_tier": "batch"}, nightly(1)),
        ("all day", {}, steady()),
    ):
        team, shape = _job(plan, "cheap", {"output": 500, **values})
        plan.add(team, f"no-job-{len(plan.lanes)}", 150, shape, week=week, minutes=22 if week != steady() else 60)
        at = _fortnight(plan, team)
        scope = {"team": team.name, "model": shape.model}
        plan.near_miss("BATCH_ELIGIBLE", kind, scope, at, at + _FORTNIGHT_HOURS)


def _job(plan: Plan, tier: str, values: Values) -> tuple[Team, Shape]:
    team = plan.next_team()
    model: Values = team.model(tier)
    while model["provider"] not in _BATCHING:
        model = team.model(tier)
    if "priced_tier" in values:
        model = {"provider": "openai", "model": "gpt-4.1-mini"}
    return team, Shape(**(model | values))


def unpriced(plan: Plan) -> None:
    own = {"provider": "openai", "output": 300}
    _lane(plan, "UNPRICED", "a model of one's own", 80, "cheap", {**own, "model": f"acme-7b-v{plan.seed % 9}"})
    _lane(plan, "UNPRICED", "a new one", 50, "cheap", {**own, "model": "acme-reader-large"})
    _miss(plan, "UNPRICED", "tried once", 1.2, "cheap", {**own, "model": "acme-tiny"}, noisy=False)
    _miss(plan, "UNPRICED", "never answered", 40, "cheap", {**own, "model": "acme-broken", "failing": 1.0})


def unattributed(plan: Plan) -> None:
    """Projects of which a service names no team: a quarter of what is spent, and two percent."""
    for kind, share in (("a quarter", 0.33), ("half", 1.1), ("two percent", 0.02)):
        project = f"project-{kind.replace(' ', '-')}"
        known = Team(f"owners-of-{project}", steady(), 0, False, 120, {}, project=project)
        model: Values = {"provider": "openai", "model": "gpt-4o"}
        plan.add(known, "answer", 80, Shape(**model, output=450))
        nobody = Team("", steady(), 0, False, 1_000, {}, project=project)
        at = plan.morning(known, plan.weekday(first_day=1, last_day=max(2, plan.days - 8)))
        plan.add(nobody, "unknown", 80 * share, Shape(**model, output=450), service=f"nobody-{project}")
        if share < 0.1:
            plan.near_miss("UNATTRIBUTED", kind, {"project": project})
            continue
        until = min(plan.hours, at + 7 * DAY_HOURS)
        plan.begin(nobody, at, until)
        size = {"share": share / (1 + share)}
        plan.incident(
            "UNATTRIBUTED", kind, {"project": project}, at, until, size=size, grace_ns=7 * DAY_HOURS * 3_600 * 10**9
        )


def price_change(plan: Plan) -> None:
    """The catalogue's own changes within the five weeks, and models whose price stays."""
    if plan.days < 35:
        return
    for model, day in (("gpt-5.6-terra", 10), ("gpt-5.6-luna", 10), ("gpt-5.6-sol", 32)):
        team = plan.next_team()
        plan.add(team, f"price-{model}", 90, Shape(provider="openai", model=model, output=800, input=1_500))
        scope = {"provider": "openai", "model": model}
        # It may be told as soon as the list announces it, which a recording cannot date.
        plan.incident("PRICE_CHANGE", "list price", scope, 0, plan.hours, size={"changes_on_day": day})


def add(plan: Plan) -> None:
    for scenario in (
        model_misuse,
        model_downgrade,
        long_prompts,
        cache_waste,
        failed,
        reasoning,
        batch_eligible,
        unpriced,
        unattributed,
        price_change,
    ):
        scenario(plan)
