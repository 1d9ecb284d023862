"""Alerts against the truth: what was found, how soon, what was not, and what nobody should have been told.

An alert is right where an incident of its rule agrees with its scope and it came between the incident's begin and the
end of the window in which it shows. It is excused, neither right nor wrong, where a label says that another incident
gives its rule a reason. Everything else is wrong. An incident counts once, however often it was told, so that many
alerts about one thing make precision no better.
"""

import statistics
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from benchmarks.incidents.labels import DAY_NS, HOUR_NS, Incident, NearMiss, Truth, agree, named
from benchmarks.measure import quantile

BASELINED: Final = frozenset({"SPIKE", "COST_SPIKE", "LATENCY_REGRESSION", "TELEMETRY_SILENT"})
"""Rules that compare with their own past: their wrong alerts of the first two weeks are counted apart."""
_CLOCK_NS: Final = 1_000_000_000
"""Times of insights are whole seconds."""
_WEEK_NS: Final = 7 * DAY_NS


class Alert(msgspec.Struct, frozen=True):
    """Something that was told. `opens` is false for news of a finding that is open already."""

    rule: str
    time_ns: int
    scope: dict[str, str]
    opens: bool = True
    detail: str = ""


class Score(msgspec.Struct):
    """Of one rule, or of one way to alert."""

    rule: str
    incidents: int = 0
    found: int = 0
    alerts: int = 0
    wrong: int = 0
    excused: int = 0
    early: int = 0
    """Wrong alerts of a rule with a baseline in the first two weeks; not among `wrong`."""
    delays_s: list[float] = []
    weeks: float = 0.0
    missed: list[str] = []
    mistakes: list[str] = []

    @property
    def precision(self) -> float | None:
        return self.found / (self.found + self.wrong) if self.found + self.wrong else None

    @property
    def recall(self) -> float | None:
        return self.found / self.incidents if self.incidents else None

    @property
    def pages_a_week(self) -> float:
        return self.alerts / self.weeks if self.weeks else 0.0

    def add(self, other: "Score") -> None:
        """Another seed."""
        for name in ("incidents", "found", "alerts", "wrong", "excused", "early", "weeks"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("delays_s", "missed", "mistakes"):
            setattr(self, name, [*getattr(self, name), *getattr(other, name)])

    def to_dict(self) -> dict[str, Any]:
        median, p95 = delays(self)
        return {
            **msgspec.to_builtins(self),
            "precision": self.precision,
            "recall": self.recall,
            "detect_median_s": median,
            "detect_p95_s": p95,
            "pages_a_week": round(self.pages_a_week, 2),
        }


def delays(score: Score) -> tuple[float | None, float | None]:
    """Median and 95th percentile of the seconds until an incident was told."""
    if not score.delays_s:
        return None, None
    return statistics.median(score.delays_s), quantile(score.delays_s, 0.95)


def score_rules(truth: Truth, alerts: Iterable[Alert], rules: Iterable[str]) -> list[Score]:
    """One score for each rule."""
    told: dict[str, list[Alert]] = {rule: [] for rule in rules}
    for alert in alerts:
        told.setdefault(alert.rule, []).append(alert)
    return [
        score(rule, some, [each for each in truth.incidents if each.rule == rule], truth, excusing(truth, rule))
        for rule, some in told.items()
    ]


def excusing(truth: Truth, *rules: str) -> list[Incident | NearMiss]:
    """Labels that give these rules a reason of another kind."""
    labels: list[Incident | NearMiss] = [*truth.incidents, *truth.near_misses]
    return [label for label in labels if set(rules) & set(label.may)]


def score(
    name: str, alerts: list[Alert], incidents: list[Incident], truth: Truth, excuses: list[Incident | NearMiss]
) -> Score:
    """How well `alerts`, all of one kind, tell `incidents`."""
    made = Score(name, incidents=len(incidents), weeks=(truth.end_ns - truth.start_ns) / _WEEK_NS)
    first: dict[int, int] = {}
    for alert in sorted(alerts, key=lambda each: each.time_ns):
        made.alerts += alert.opens
        matched = [number for number, incident in enumerate(incidents) if _within(alert, incident, incident.grace_ns)]
        for number in matched:
            first.setdefault(number, alert.time_ns)
        if matched or not alert.opens:
            continue
        # An alert about everything would always find a reason somewhere.
        if alert.scope and any(_within(alert, label, _grace(label)) for label in excuses):
            made.excused += 1
        elif name in BASELINED and alert.time_ns < truth.warm_ns:
            made.early += 1
        else:
            made.wrong += 1
            made.mistakes.append(_mistake(alert, truth))
    made.found = len(first)
    made.delays_s = [max(0, at - incidents[number].from_ns) / 1e9 for number, at in first.items()]
    made.missed = [
        f"seed {truth.seed} {each.name} {_at(each.from_ns, truth)} {each.size}"
        for number, each in enumerate(incidents)
        if number not in first
    ]
    return made


def _within(alert: Alert, label: Incident | NearMiss, grace_ns: int) -> bool:
    return label.from_ns - _CLOCK_NS <= alert.time_ns <= label.to_ns + grace_ns and agree(label.scope, alert.scope)


def _grace(label: Incident | NearMiss) -> int:
    return max(DAY_NS, label.grace_ns) if isinstance(label, Incident) else DAY_NS


def _mistake(alert: Alert, truth: Truth) -> str:
    near = [label.kind for label in truth.near_misses if label.rule == alert.rule and _within(alert, label, DAY_NS)]
    why = f"near-miss: {', '.join(near)}" if near else "no label"
    return f"seed {truth.seed} {alert.rule} {named(alert.scope)} {_at(alert.time_ns, truth)} ({why}) {alert.detail}"


def _at(time_ns: int, truth: Truth) -> str:
    since = time_ns - truth.start_ns
    return f"day {since // DAY_NS} {since % DAY_NS / HOUR_NS:.1f} h"
