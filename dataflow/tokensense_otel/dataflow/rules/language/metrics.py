"""What a rule can measure of a call. What nobody told is `None` and never counts, as zero or as anything else."""

from collections.abc import Callable
from typing import Final

import msgspec

from tokensense_otel.core.call import Call, CostKind, Source
from tokensense_otel.dataflow.rules.language.amounts import Unit

_UNKNOWN = CostKind.UNKNOWN

ADDITIVE: Final = ("count", "sum", "rate")
"""Aggregates that grow with traffic, so that a longer time has more of them."""
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


class Metric(msgspec.Struct, frozen=True):
    """`read` is the value of a call (of all its calls, where metrics told of many), `whole` what a share is of.

    `aggregates` are those that make sense of it, the usual one first.
    """

    name: str
    unit: Unit
    noun: str
    aggregates: tuple[str, ...]
    read: Callable[[Call], int | None]
    whole: Callable[[Call], int | None] | None = None


def _errors(call: Call) -> int:
    return call.count if call.error_type else 0


def _cost(call: Call) -> int | None:
    return None if call.cost.kind is _UNKNOWN else call.cost.low


def _total(call: Call) -> int | None:
    tokens = call.tokens
    return None if tokens.input is None or tokens.output is None else tokens.input + tokens.output


def _latency(call: Call) -> int | None:
    return call.end_ns - call.start_ns if call.end_ns > call.start_ns and call.source is not Source.METER else None


_SUMS = ("sum", "rate", "mean", *QUANTILES)
_TIMES = ("p95", "p50", "p90", "p99", "mean")

_PARTS = (*_SUMS, "share")


def _input(call: Call) -> int | None:
    return call.tokens.input


def _output(call: Call) -> int | None:
    return call.tokens.output


def _calls(call: Call) -> int:
    return call.count


_ALL: Final = (
    Metric("calls", Unit.COUNT, "calls", ("count", "sum", "rate"), _calls),
    Metric("errors", Unit.COUNT, "failed calls", ("count", "sum", "rate", "share"), _errors, _calls),
    Metric("cost_usd", Unit.USD, "dollars", _SUMS, _cost),
    Metric("input_tokens", Unit.COUNT, "input tokens", _SUMS, _input),
    Metric("output_tokens", Unit.COUNT, "output tokens", _SUMS, _output),
    Metric("total_tokens", Unit.COUNT, "tokens", _SUMS, _total),
    Metric("cache_read_tokens", Unit.COUNT, "cached tokens", _PARTS, lambda call: call.tokens.cache_read, _input),
    Metric("cache_write_tokens", Unit.COUNT, "tokens cached", _PARTS, lambda call: call.tokens.cache_write, _input),
    Metric("reasoning_tokens", Unit.COUNT, "reasoning tokens", _PARTS, lambda call: call.tokens.reasoning, _output),
    Metric("latency", Unit.TIME, "latency", _TIMES, _latency),
    Metric("time_to_first_token", Unit.TIME, "time to first token", _TIMES, lambda call: call.first_token_ns),
)
METRICS: Final[dict[str, Metric]] = {metric.name: metric for metric in _ALL}

MEMBERS: Final[dict[str, Callable[[Call], str]]] = {
    "users": lambda call: call.dimensions.user,
    "sessions": lambda call: call.dimensions.session,
    "agents": lambda call: call.dimensions.agent,
    "prompts": lambda call: call.prompt_hash,
}
"""Metrics that count different names: `aggregate: distinct` is the only one they have."""

NAMES: Final = (*METRICS, *MEMBERS)
AGGREGATES: Final = ("count", "sum", "mean", "share", "rate", *QUANTILES, "distinct")
