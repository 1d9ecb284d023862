"""From a transition of an episode to the insight that people get."""

from typing import Any

from tokensense_otel.core.insight import Insight, Severity, Status, rfc3339
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.evaluation.durations import span_text
from tokensense_otel.dataflow.rules.evaluation.episodes import Transition
from tokensense_otel.dataflow.rules.evaluation.in_force import InForce
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries, Series
from tokensense_otel.dataflow.rules.rule import RuleConfig


def compose(
    each: InForce,
    key: tuple[str, ...],
    series: Series,
    transition: Transition,
    *,
    time_ns: int,
    now_ns: int,
    catalogue: Catalogue,
) -> Insight:
    """The insight about `key` = (tenant, project, …parts), judged at `time_ns` and told at `now_ns`."""
    rule, config = each.rule, each.config
    tenant, project, *parts = key
    scope = rule.scope_of(tuple(parts), series)
    words = rule.words(scope, series, config, catalogue)
    start, end = rule.period(series)
    options = config.model_dump(mode="json")
    evidence: dict[str, Any] = {
        "thresholds": {name: options[name] for name in rule.thresholds},
        "observed": rule.observed(series),
        "window": {"from": rfc3339(start), "to": rfc3339(max(start, min(end, time_ns)))},
        "sample_trace_ids": _traces(series),
    }
    evidence |= rule.money(series, config, catalogue) | rule.evidence(scope, catalogue)
    if transition.flapping_ns:
        evidence["flapping"] = {"within": span_text(transition.flapping_ns)}
    if series.partial:
        evidence["counts_are_lower_bounds"] = True
    other = each.table.other
    if other.keys:
        evidence["not_followed"] = {"keys": other.keys, "calls": other.calls, "usd": usd_text(other.nanos)}
    return Insight(
        id=transition.id,
        episode_id=transition.episode_id,
        status=transition.status,
        rule=rule.name,
        severity=Severity(config.severity),
        tenant=tenant,
        project=project,
        scope=scope,
        title=words.title,
        summary=_summary(words.summary, transition, config),
        evidence=evidence,
        suggested_fix=words.suggested_fix,
        estimated_monthly_savings_usd=usd_text(rule.savings(series)),
        started_at=rfc3339(transition.started_ns),
        detected_at=rfc3339(max(now_ns, transition.started_ns)),
        resolved_at=None if transition.resolved_ns is None else rfc3339(transition.resolved_ns),
    )


def _summary(words: str, transition: Transition, config: RuleConfig) -> str:
    calm = span_text(max(config.keep_firing_for, transition.flapping_ns))
    if transition.status is Status.RESOLVED:
        return f"Over: the condition has been false for {calm}."
    if transition.flapping_ns:
        return f"{words} It came and went within {calm}; its end is told when it has been calm for as long."
    return words


def _traces(series: Series) -> list[str]:
    """Newest first, each trace once."""
    samples = series.samples if isinstance(series, CallSeries) else []
    return list(dict.fromkeys(trace_id.hex() for _, trace_id in reversed(samples)))
