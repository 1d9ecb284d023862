"""Usage: sums of what calls used and cost, by the things people ask about.

`UsageKey` names a cell (an hour of one model, operation, team, …), `Usage` holds its integer sums. Sums accept
postings of either sign and add up in any order, so a reversal takes out exactly what its posting put in.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from tokensense_otel.core.call import UNATTRIBUTED, CostKind, Posting
from tokensense_otel.core.money import usd_text

# Looked up once: on Python 3.11 naming the member of an enumeration costs a quarter of a microsecond.
_UNKNOWN, _ESTIMATED = CostKind.UNKNOWN, CostKind.ESTIMATED
HOUR_NS = 3_600_000_000_000


class UsageKey(NamedTuple):
    """A cell of the rollup. `hour` is Unix seconds at the start of the UTC hour in which the call ended."""

    tenant: str
    project: str
    hour: int
    provider: str
    model: str
    operation: str
    team: str
    feature: str
    service: str
    environment: str


class Usage(msgspec.Struct):
    """Integer sums over the calls of a cell; money in nano-dollars.

    A `*_known` field counts the calls that reported that class of tokens, which tells an unknown sum from a zero one.
    `cost` covers the priced calls (an estimated one at its low end), `cost_high` takes estimates at their high end.
    `reported_cost` is what emitters say that `reported_calls` cost; `disputed_calls` of them are `Call.disputed`.
    """

    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    input_known: int = 0
    output_known: int = 0
    cache_read_known: int = 0
    cache_write_known: int = 0
    reasoning_known: int = 0
    cost: int = 0
    cost_high: int = 0
    priced_calls: int = 0
    estimated_calls: int = 0
    unpriced_calls: int = 0
    unknown_usage_calls: int = 0
    unpriced_tokens: int = 0
    reported_calls: int = 0
    reported_cost: int = 0
    disputed_calls: int = 0

    def post(self, posting: Posting) -> None:
        """Put a posting on this cell. Its tokens and its cost are those of all its calls."""
        call = posting.call
        sign, tokens, cost = posting.sign, call.tokens, call.cost
        calls = sign * call.count
        self.calls += calls
        if call.failed:
            self.errors += calls
        if tokens.input is not None:
            self.input_tokens += sign * tokens.input
            self.input_known += calls
        if tokens.output is not None:
            self.output_tokens += sign * tokens.output
            self.output_known += calls
        if tokens.cache_read is not None:
            self.cache_read_tokens += sign * tokens.cache_read
            self.cache_read_known += calls
        if tokens.cache_write is not None:
            self.cache_write_tokens += sign * tokens.cache_write
            self.cache_write_known += calls
        if tokens.reasoning is not None:
            self.reasoning_tokens += sign * tokens.reasoning
            self.reasoning_known += calls
        if cost.kind is _UNKNOWN:
            if tokens.known:
                self.unpriced_calls += calls
                self.unpriced_tokens += sign * ((tokens.input or 0) + (tokens.output or 0))
            elif call.lacks_usage:
                self.unknown_usage_calls += calls
        else:
            self.cost += sign * cost.low
            self.cost_high += sign * cost.high
            self.priced_calls += calls
            if cost.kind is _ESTIMATED:
                self.estimated_calls += calls
        if call.reported_cost is not None:
            self.reported_calls += calls
            self.reported_cost += sign * call.reported_cost
            if call.disputed:
                self.disputed_calls += calls

    def add(self, other: "Usage") -> None:
        """Add the sums of another cell."""
        for name in USAGE_FIELDS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def empty(self) -> bool:
        return not any(getattr(self, name) for name in USAGE_FIELDS)


USAGE_FIELDS: tuple[str, ...] = Usage.__struct_fields__
GROUPS: tuple[str, ...] = tuple(field for field in UsageKey._fields if field != "hour")
DEFAULT_GROUPS = ("tenant", "provider", "model", "operation", "team")


def usage_key(posting: Posting) -> UsageKey:
    """The cell of a posting."""
    call = posting.call
    where = call.dimensions
    return UsageKey._make(
        (
            call.tenant,
            call.project,
            call.end_ns // HOUR_NS * 3600,
            call.provider,
            call.response_model or call.request_model,
            call.operation,
            where.team,
            where.feature,
            where.service,
            where.environment,
        )
    )


def usage_rows(
    cells: Iterable[tuple[UsageKey, Usage]], group_by: tuple[str, ...] = DEFAULT_GROUPS
) -> list[dict[str, Any]]:
    """The rows of `replay`, `usage` and `GET /api/v1/usage`: one for each group, in the order of their names.

    Token sums are `None` where no call of the row reported that class, money where no call has a known price.
    """
    groups: dict[tuple[str, ...], Usage] = {}
    for key, cell in cells:
        group = tuple(getattr(key, name) for name in group_by)
        groups.setdefault(group, Usage()).add(cell)
    return [
        _row(dict(zip(group_by, group, strict=True)), usage) for group, usage in sorted(groups.items()) if usage.calls
    ]


_DIMENSIONS = frozenset({"team", "feature", "service", "environment"})


def _row(group: dict[str, str], usage: Usage) -> dict[str, Any]:
    named = {name: value or (UNATTRIBUTED if name in _DIMENSIONS else value) for name, value in group.items()}
    return named | {
        "calls": usage.calls,
        "errors": usage.errors,
        "input_tokens": usage.input_tokens if usage.input_known else None,
        "output_tokens": usage.output_tokens if usage.output_known else None,
        "cache_read_tokens": usage.cache_read_tokens if usage.cache_read_known else None,
        "cache_write_tokens": usage.cache_write_tokens if usage.cache_write_known else None,
        "reasoning_tokens": usage.reasoning_tokens if usage.reasoning_known else None,
        "cost_usd": usd_text(usage.cost) if usage.priced_calls else None,
        "cost_high_usd": usd_text(usage.cost_high) if usage.priced_calls else None,
        "unpriced_calls": usage.unpriced_calls,
        "unknown_usage_calls": usage.unknown_usage_calls,
        "unpriced_tokens": usage.unpriced_tokens,
        "reported_calls": usage.reported_calls,
        "reported_cost_usd": usd_text(usage.reported_cost) if usage.reported_calls else None,
        "disputed_calls": usage.disputed_calls,
    }


class Accounting(msgspec.Struct):
    """What became of every span, at every moment:

        spans + records + metered = calls + duplicates + wrappers + not_genai + rejected

    `wrappers` are GenAI spans that are no model call of their own (agents, chains, tools, retrievals); `duplicates`
    are spans that tell again of a call or of a span that was already counted. `records` are calls that a log record
    told of and no span, or none as well; `metered` those that nothing but metrics told of. Records and metrics about
    calls that are counted already add nothing here.
    """

    spans: int = 0
    calls: int = 0
    duplicates: int = 0
    wrappers: int = 0
    not_genai: int = 0
    rejected: int = 0
    records: int = 0
    metered: int = 0

    def add(self, other: "Accounting") -> None:
        for name in ACCOUNTING_FIELDS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def empty(self) -> bool:
        return self == _NOTHING


ACCOUNTING_FIELDS: tuple[str, ...] = Accounting.__struct_fields__
_NOTHING = Accounting()
