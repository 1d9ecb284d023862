"""A rule that a user wrote in YAML, as the engine knows rules."""

import re
from fractions import Fraction
from typing import Any, Final

from tokensense_otel.core.call import Call
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.call_rule import CallRule, Fact
from tokensense_otel.dataflow.rules.evaluation.durations import bucket_ns, span_text
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.language import fields
from tokensense_otel.dataflow.rules.language.amounts import Unit, as_json, read_amount, shown
from tokensense_otel.dataflow.rules.language.definition import RuleDefinition
from tokensense_otel.dataflow.rules.language.measure import (
    Value,
    beside,
    forget_other_times,
    now,
    other_times,
    period_start,
    value_of,
)
from tokensense_otel.dataflow.rules.language.metrics import MEMBERS, METRICS, QUANTILES
from tokensense_otel.dataflow.rules.language.series import FIELDS, OTHER, VALUE, YamlSeries, waits
from tokensense_otel.dataflow.rules.rule import Level, Words

MINUTE_NS: Final = 60_000_000_000
_MILLION: Final = 1_000_000
_SCALES: Final = {Unit.COUNT: 1_000, Unit.USD: 1, Unit.TIME: 1, Unit.SHARE: _MILLION, Unit.TIMES: _MILLION}
"""So that the size of a finding is a whole number of some precision, and fits 64 bits."""
_UNBOUNDED: Final = {"user", "session", "prompt_hash", "prefix_hash"}


class YamlRule(CallRule[RuleDefinition]):
    """Made by `rule_of`. Calls that do not tell of the metric are not counted; a measure that is not known, or has
    nothing to be compared with, makes nobody be told."""

    fields = FIELDS
    config_type = RuleDefinition
    thresholds = ("metric", "aggregate", "window", "compare", "min_samples", "where", "unless")

    def __init__(self, definition: RuleDefinition) -> None:
        how = definition.how
        self._tests = fields.tests(definition.where, definition.unless)
        self._key = tuple(fields.FIELDS[name] for name in definition.group_by)
        self._member = MEMBERS.get(definition.metric)
        metric = METRICS.get(definition.metric)
        self._read = metric.read if metric is not None else None
        self._whole = metric.whole if metric is not None and how == "share" else None
        measured = (VALUE, OTHER) if definition.compare.kind in ("baseline", "window") else (VALUE,)
        self._measured = measured if how in QUANTILES else ()
        self.takes_sums = how not in QUANTILES and self._member is None

    def new_series(self, config: RuleDefinition, /) -> YamlSeries:
        return YamlSeries(config)

    def observe(self, call: Call, _config: RuleDefinition, _catalogue: Catalogue, /) -> Fact | None:
        for passes in self._tests:
            if not passes(call):
                return None
        key = tuple([read(call) for read in self._key])
        if self._read is None:
            assert self._member is not None  # noqa: S101 - a metric is one or the other
            member = self._member(call)
            return Fact(key, (call.count, 0, 0), members=((VALUE, member),)) if member else None
        amount = self._read(call)
        if amount is None:
            return None
        whole = self._whole(call) if self._whole is not None else 0
        if whole is None:
            return None
        return Fact(key, (call.count, amount, whole), measured=tuple([(name, amount) for name in self._measured]))

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:
        if isinstance(series, YamlSeries) and series.base is not None:
            forget_other_times(series, time_ns)
        if super().post(series, call, fact, sign, time_ns):
            return True
        other = series.windows.get(OTHER)
        return other is not None and time_ns >= other.bounds()[0]

    def judge(self, series: CallSeries, config: RuleDefinition, /) -> int | None:
        assert isinstance(series, YamlSeries)  # noqa: S101 - the only ones that it makes
        series.definition = config
        if series.counts[0] < config.min_samples:
            return None
        sums = now(series, config)
        if sums is None or sums.samples < config.min_samples:
            return None
        value = value_of(sums, series.how)
        if value is None:
            return None
        limits = config.limits
        amount, of = value
        if amount * limits.least[1] < limits.least[0] * of:
            return None
        base = beside(series, config)
        if base is None or base[0] <= 0:
            return None
        limit = limits.soft if series.episode.firing else limits.hard
        reached, allowed = amount * limit[1] * base[1], limit[0] * base[0] * of
        if limits.above:
            # By the measure, not by the threshold: that may change while the finding is open.
            return (
                max(1, amount * base[1] * _SCALES[config.threshold_unit] // (of * base[0]))
                if reached > allowed
                else None
            )
        return max(1, allowed * _MILLION // max(1, reached)) if reached < allowed else None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        assert isinstance(series, YamlSeries)  # noqa: S101 - the only ones that it makes
        definition = series.definition
        sums, unit = now(series, definition), definition.unit
        if sums is None:
            return {"value": None, "samples": 0}
        value = value_of(sums, definition.how)
        seen: dict[str, Any] = {"value": _json(value, unit), "samples": sums.samples}
        if definition.how == "share":
            of = METRICS[definition.metric].unit
            seen |= {"amount": _json((sums.amount, 1), of), "of": _json((sums.whole, 1), of)}
        elif definition.how == "distinct":
            seen["exact"] = series.distinct[VALUE].exact
        if definition.compare.relative:
            base = beside(series, definition)
            times = Fraction(*value) / Fraction(*base) if value is not None and base is not None and base[0] else None
            seen |= {
                "compared_with": _json(base, unit),
                "times": None if times is None else as_json(times, Unit.TIMES),
            }
        if definition.compare.baseline is not None:
            seen["other_windows"] = [_json(each, unit) for each in other_times(series, definition.compare.baseline)]
        return seen

    def period(self, series: CallSeries, /) -> tuple[int, int]:
        assert isinstance(series, YamlSeries)  # noqa: S101 - the only ones that it makes
        definition = series.definition
        start, end = series.bounds()
        if definition.compare.budget is not None:
            return period_start(series.now_ns, definition.compare.budget.per), end
        return (start, end - series.size_ns) if series.waits else (start, end)

    def words(
        self, scope: dict[str, str], series: CallSeries, config: RuleDefinition, _catalogue: Catalogue, /
    ) -> Words:
        assert isinstance(series, YamlSeries)  # noqa: S101 - the only ones that it makes
        sums = now(series, config)
        value = None if sums is None else value_of(sums, config.how)
        base = beside(series, config) if config.compare.relative else None
        told = {
            "value": _shown(value, config.unit),
            "threshold": threshold_text(config),
            "base": _shown(base, config.unit),
            "window": span_text(config.window),
            "samples": f"{sums.samples:,}" if sums is not None else "0",
            **scope,
        }
        whose = " of " + ", ".join(scope.values()) if scope else ""
        return Words(
            title=_filled(config.title, told) or f"{measure_text(config)}{whose}: {told['value']}",
            summary=_summary(config, told),
            suggested_fix=_filled(config.fix, told) or "Look at the sample traces for what changed.",
        )


def rule_of(definition: RuleDefinition) -> YamlRule:
    """The rule that a definition is."""
    made: type[YamlRule] = type(
        definition.name,
        (YamlRule,),
        {
            "name": definition.name,
            "description": definition.description or f"{describe(definition)}.",
            "scope": definition.group_by,
            "level": Level.TEAM if "team" in definition.group_by else Level.TENANT,
            # Such keys are many, and most come once.
            "unbounded": definition.min_samples > 1 and bool(_UNBOUNDED & set(definition.group_by)),
            # Too little shows only as time goes by.
            "beat_ns": max(MINUTE_NS, bucket_ns(definition.window)) if waits(definition) else None,
            "__module__": __name__,
        },
    )
    return made(definition)


def describe(definition: RuleDefinition) -> str:
    """When it fires, in one sentence without its full stop."""
    over = "" if definition.compare.budget else f" over {span_text(definition.window)}"
    return f"{measure_text(definition)}{over} is {threshold_text(definition)}"


def measure_text(definition: RuleDefinition) -> str:
    """What is measured: `Share of failed calls`, `95th percentile of latency`."""
    how, name = definition.how, definition.metric
    noun = METRICS[name].noun if name in METRICS else name
    if how in ("count", "sum"):
        text = noun
    elif how == "rate":
        text = f"{noun} per minute"
    elif how in QUANTILES:
        text = f"{how} of {noun}"
    elif how == "distinct":
        text = f"different {noun}"
    elif how == "share":
        text = f"share of {noun}"
    else:
        text = f"mean {noun} per call"
    return text[0].upper() + text[1:]


def threshold_text(definition: RuleDefinition) -> str:
    """`above 5%`, `above 3x the median of the 6 windows before`."""
    compare, unit = definition.compare, definition.threshold_unit
    which, written = ("above", compare.above) if compare.above is not None else ("below", compare.below)
    assert written is not None  # noqa: S101 - one of the two is there
    limit = f"{which} {shown(read_amount(written, unit), unit)}"
    if compare.budget is not None:
        amount = shown(read_amount(compare.budget.amount, definition.unit), definition.unit)
        return f"{limit} of {amount} for the {compare.budget.per}"
    if compare.window is not None:
        return f"{limit} what it is over {span_text(compare.window)}"
    if compare.baseline is None:
        return limit
    baseline = compare.baseline
    times = (
        f"{baseline.previous} windows before"
        if baseline.previous is not None
        else f"{baseline.count} {'days' if baseline.days is not None else 'weeks'} before at this time"
    )
    return f"{limit} the {baseline.statistic} of the {times}"


def _summary(definition: RuleDefinition, told: dict[str, str]) -> str:
    over = "" if definition.compare.budget else f" over {told['window']}"
    base = f" ({told['base']})" if definition.compare.relative and not definition.compare.budget else ""
    what = f"{measure_text(definition)}{over}: {told['value']}, {told['threshold']}{base}"
    return f"{what}; {told['samples']} calls told it."


def _filled(text: str, told: dict[str, str]) -> str:
    return re.sub(r"\{([^{}]*)\}", lambda match: told.get(match[1], "–"), text)


def _json(value: Value | None, unit: Unit) -> Any:
    return None if value is None else as_json(Fraction(*value), unit)


def _shown(value: Value | None, unit: Unit) -> str:
    return "unknown" if value is None else shown(Fraction(*value), unit)
