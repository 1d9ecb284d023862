"""A rule as its user writes it: what to measure, of which calls, for each of what, and when that is too much."""

import re
from fractions import Fraction
from functools import cached_property
from typing import Any, Final, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from tokensense_otel.core.config import Config, refused
from tokensense_otel.core.names import nearest
from tokensense_otel.dataflow.rules.evaluation.durations import Window, span_text
from tokensense_otel.dataflow.rules.language.amounts import Amount, Unit, read_amount
from tokensense_otel.dataflow.rules.language.fields import FIELDS, Wanted
from tokensense_otel.dataflow.rules.language.metrics import ADDITIVE, AGGREGATES, MEMBERS, METRICS, NAMES
from tokensense_otel.dataflow.rules.rule import WindowConfig

DAY_NS: Final = 86_400_000_000_000
PLACEHOLDERS: Final = ("value", "threshold", "base", "window", "samples")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class _Written(Config):
    """Shown as it was written: without the keys that were left out."""

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


class Baseline(_Written):
    """The same measure at other times; exactly one of `previous`, `days` and `weeks`."""

    previous: int | None = Field(default=None, ge=1, le=48)
    """The windows of the same length just before this one, as many as this."""
    days: int | None = Field(default=None, ge=1, le=28)
    """The same time of day on the days before, as many as this."""
    weeks: int | None = Field(default=None, ge=1, le=4)
    """The same time on the same day of the weeks before, as many as this."""
    statistic: Literal["median", "mean"] = "median"
    """What is taken of them."""
    min_windows: int = Field(default=3, ge=1, le=48)
    """Of how many of them something has to be known before the rule may fire; never more than there are."""

    @model_validator(mode="after")
    def _one(self) -> "Baseline":
        if sum(each is not None for each in (self.previous, self.days, self.weeks)) != 1:
            raise ValueError("a baseline is one of previous, days and weeks; write for instance {previous: 6}")
        return self

    @property
    def count(self) -> int:
        return self.previous or self.days or self.weeks or 0


class Budget(_Written):
    """An amount for each day, week (from Monday) or month, in UTC."""

    amount: Amount
    """What may be used, such as `$500` or `10M`."""
    per: Literal["day", "week", "month"]
    """The period."""


class Compare(_Written):
    """What is too much, or too little: `above` or `below`, of the measure itself or times something else."""

    above: Amount | None = None
    """The rule fires while the measure is above this: `5%`, `$20`, `500ms`, `10k`; where it is compared with
    something else, how many times that: `3x` or `300%`."""
    below: Amount | None = None
    """The rule fires while the measure is below this."""
    baseline: Baseline | None = None
    """Compare with the same measure at other times."""
    window: Window | None = None
    """Compare with the same measure over this longer window; what adds up with time is taken for as long a time."""
    budget: Budget | None = None
    """Compare what the period has come to so far with an amount."""
    min_value: Amount | None = None
    """The measure itself has to be at least this, so that three times very little is nothing."""

    @model_validator(mode="after")
    def _one(self) -> "Compare":
        if (self.above is None) == (self.below is None):
            raise ValueError("write one of above and below, for instance {above: 5%}")
        if sum(each is not None for each in (self.baseline, self.window, self.budget)) > 1:
            raise ValueError("compare with one thing: baseline, window or budget; leave the others out")
        return self

    @property
    def kind(self) -> str:
        """What it compares with."""
        return next((name for name in ("baseline", "window", "budget") if getattr(self, name) is not None), "amount")

    @property
    def relative(self) -> bool:
        """Whether `above` or `below` says how many times something else."""
        return self.kind != "amount"


class RuleDefinition(WindowConfig):
    """A rule of your own. What it measures is fixed; thresholds, window and words can be overridden."""

    name: str
    """Its name, in capitals as the others: `PAYMENTS_ERRORS`."""
    metric: str
    """What is measured: `calls`, `errors`, `cost_usd`, `input_tokens`, `output_tokens`, `total_tokens`,
    `cache_read_tokens`, `cache_write_tokens`, `reasoning_tokens`, `latency`, `time_to_first_token`, `users`,
    `sessions`, `agents` or `prompts`."""
    aggregate: str = ""
    """What is made of it: `count`, `sum`, `mean`, `share`, `rate` (per minute), `p50`, `p90`, `p95`, `p99` or
    `distinct`; without it, what the metric is usually asked for."""
    group_by: tuple[str, ...] = ("team",)
    """What it is judged for each of. Without `team` among them, calls of all teams come together; with `[]`, all of
    a project."""
    where: dict[str, Wanted] = Field(default={})
    """Only calls whose fields have these values: one, or a list of which any; `*` stands for anything."""
    unless: dict[str, Wanted] = Field(default={})
    """Not the calls whose fields have these values."""
    description: str = ""
    """One sentence: when it fires. Written for you where you leave it out."""
    title: str = ""
    """The insight's title; `{team}` and other fields of `group_by`, `{value}`, `{threshold}`, `{base}`, `{window}` and
    `{samples}` are filled in."""
    fix: str = ""
    """What to do about it; the same may be filled in."""
    compare: Compare
    """When it fires."""
    min_samples: int = Field(default=1, ge=1)
    """Calls that tell of the metric in the window before the rule may fire."""
    max_keys: int = Field(default=2_000, ge=1)
    """Keys followed at once in each shard; the least used are given up beyond it."""

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name):
            written = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
            raise ValueError(f"{name!r} is no name of a rule; write it in capitals, as {written or 'MY_RULE'}")
        return name

    @field_validator("metric")
    @classmethod
    def _measured(cls, metric: str) -> str:
        if metric not in NAMES:
            raise ValueError(f"there is no metric {metric!r}; {nearest(metric, NAMES)}")
        return metric

    @field_validator("aggregate")
    @classmethod
    def _aggregated(cls, aggregate: str) -> str:
        if aggregate and aggregate not in AGGREGATES:
            raise ValueError(f"there is no aggregate {aggregate!r}; {nearest(aggregate, AGGREGATES)}")
        return aggregate

    @field_validator("group_by")
    @classmethod
    def _grouped(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in FIELDS:
                raise ValueError(f"calls have no field {name!r}; {nearest(name, FIELDS)}")
        if len(set(names)) < len(names):
            raise ValueError("a field is here twice; keep one of the two")
        return names

    @field_validator("where", "unless", mode="before")
    @classmethod
    def _texts(cls, wanted: Any) -> Any:
        """YAML reads `429` as a number; a field of a call is text."""
        if not isinstance(wanted, dict):
            return wanted
        return {
            name: [_text(each) for each in it] if isinstance(it, list) else _text(it) for name, it in wanted.items()
        }

    @field_validator("where", "unless")
    @classmethod
    def _filtered(cls, wanted: dict[str, Wanted]) -> dict[str, Wanted]:
        for name in wanted:
            if name not in FIELDS:
                raise ValueError(f"calls have no field {name!r}; {nearest(name, FIELDS)}")
        return wanted

    @field_validator("title", "fix")
    @classmethod
    def _filled(cls, text: str) -> str:
        for name in _PLACEHOLDER.findall(text):
            known = (*PLACEHOLDERS, *FIELDS)
            if name not in known:
                raise ValueError(f"{{{name}}} stands for nothing; {nearest(name, known)}")
        return text

    @model_validator(mode="after")
    def _fits(self) -> "RuleDefinition":
        if self.how not in self.aggregates:
            kinds = ", ".join(self.aggregates)
            raise refused(("aggregate",), f"there is no {self.aggregate} of {self.metric}; write one of {kinds}")
        compare = self.compare
        for name, amount, unit in (
            ("above", compare.above, self.threshold_unit),
            ("below", compare.below, self.threshold_unit),
            ("min_value", compare.min_value, self.unit),
        ):
            if amount is not None:
                _readable(("compare", name), amount, unit)
        self._fits_base()
        for key, text in (("title", self.title), ("fix", self.fix)):
            for name in _PLACEHOLDER.findall(text):
                if name not in (*PLACEHOLDERS, *self.group_by):
                    raise refused((key,), f"{{{name}}} is not in group_by, so it has no one value; leave it out")
        return self

    def _fits_base(self) -> None:
        compare = self.compare
        if compare.relative and self.how == "distinct":
            raise refused(("compare", compare.kind), "different names are compared with a number only; leave it out")
        if compare.budget is not None:
            if self.how not in ("sum", "count"):
                raise refused(("compare", "budget"), "a budget is for a sum; write aggregate: sum, or leave it out")
            if compare.above is None:
                raise refused(("compare", "below"), "a budget is used up; write above, for instance above: 80%")
            amount = ("compare", "budget", "amount")
            if not _readable(amount, compare.budget.amount, self.unit):
                raise refused(amount, "a budget of nothing is used up at once; write what may be used")
        elif compare.window is not None and compare.window < 2 * self.window:
            least = span_text(2 * self.window)
            raise refused(
                ("compare", "window"), f"{compare.window} is hardly longer than the window; write {least} or more"
            )
        elif compare.baseline is not None and compare.baseline.previous is None and self.window > DAY_NS:
            text = f"a window of {self.window} has no time of day; write {{previous: 4}}"
            raise refused(("compare", "baseline"), text)
        elif compare.baseline is not None and compare.baseline.previous is not None:
            most = 31 * DAY_NS // self.window - 1
            if compare.baseline.previous > most:
                text = f"together they are longer than a month; write {most} or less"
                raise refused(("compare", "baseline", "previous"), text)

    @property
    def aggregates(self) -> tuple[str, ...]:
        """Those that make sense of the metric, the usual one first."""
        return ("distinct",) if self.metric in MEMBERS else METRICS[self.metric].aggregates

    @property
    def how(self) -> str:
        """The aggregate."""
        return self.aggregate or self.aggregates[0]

    @property
    def additive(self) -> bool:
        return self.how in ADDITIVE or self.how == "distinct"

    @property
    def unit(self) -> Unit:
        """What the measure itself is in."""
        if self.how == "share":
            return Unit.SHARE
        return Unit.COUNT if self.metric in MEMBERS else METRICS[self.metric].unit

    @property
    def threshold_unit(self) -> Unit:
        return Unit.TIMES if self.compare.relative else self.unit

    @cached_property
    def limits(self) -> "Limits":
        return Limits(self)


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Limits:
    """The thresholds of a definition as fractions of integers, before and after a finding is open."""

    __slots__ = ("above", "budget", "hard", "least", "soft")

    def __init__(self, definition: RuleDefinition) -> None:
        compare = definition.compare
        self.above = compare.above is not None
        written = compare.above if compare.above is not None else compare.below
        assert written is not None  # noqa: S101 - one of the two is there
        limit = read_amount(written, definition.threshold_unit)
        softer = read_amount(definition.hysteresis, Unit.TIMES)
        self.hard = limit.as_integer_ratio()
        self.soft = (limit * softer if self.above else limit / softer).as_integer_ratio()
        least = 0 if compare.min_value is None else read_amount(compare.min_value, definition.unit)
        self.least = least.as_integer_ratio()
        self.budget = (1, 1)
        if compare.budget is not None:
            self.budget = read_amount(compare.budget.amount, definition.unit).as_integer_ratio()


def _readable(place: tuple[str, ...], amount: Amount, unit: Unit) -> Fraction:
    try:
        return read_amount(amount, unit)
    except ValueError as error:
        raise refused(place, str(error)) from None


OVERRIDABLE: Final = frozenset(
    {"enabled", "severity", "for", "keep_firing_for", "hysteresis", "update_factor", "no_data", "max_keys", "window"}
    | {"compare", "min_samples", "title", "fix"}
)
"""What a project may say differently. What a rule measures, and for each of what, is the rule."""
