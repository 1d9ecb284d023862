"""What may be asked of the store, by the API and the CLI alike: filters are checked here, answers are made here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.core.names import nearest
from tokensense_otel.core.usage import DEFAULT_GROUPS, GROUPS, HOUR_NS, usage_rows
from tokensense_otel.service.times import parse_time
from tokensense_otel.store.insights import list_insights
from tokensense_otel.store.reader import read_usage

MOST_INSIGHTS = 1000
USAGE_FILTERS = ("since", "until", "group_by", "tenant", "project")
ACCOUNTING_FILTERS = ("since", "until", "tenant", "project")
INSIGHT_FILTERS = ("since", "status", "rule", "tenant", "project", "limit")


@dataclass(frozen=True)
class UsageQuery:
    """Times are Unix seconds. Usage is kept by the hour: the hours that begin before `until` and end after `since`."""

    since: int | None = None
    until: int | None = None
    group_by: tuple[str, ...] = DEFAULT_GROUPS
    tenant: str | None = None
    project: str | None = None


@dataclass(frozen=True)
class InsightQuery:
    since_ns: int | None = None
    status: Status | None = None
    rule: str | None = None
    tenant: str | None = None
    project: str | None = None
    limit: int = 100


def usage_query(filters: Mapping[str, str], now_ns: int, known: tuple[str, ...] = USAGE_FILTERS) -> UsageQuery:
    """Check the filters of a question about usage, out of those that are `known`.

    Raises:
        ValueError: with what to write instead.
    """
    _known(filters, known)
    since, until = (_time(filters, name, now_ns) for name in ("since", "until"))
    if since is not None and until is not None and since >= until:
        raise ValueError("since is not before until; write an earlier since")
    return UsageQuery(
        since=None if since is None else since // HOUR_NS * 3600,
        until=None if until is None else -(-until // 1_000_000_000),
        group_by=_groups(filters["group_by"]) if "group_by" in filters else DEFAULT_GROUPS,
        tenant=filters.get("tenant"),
        project=filters.get("project"),
    )


def insight_query(filters: Mapping[str, str], now_ns: int) -> InsightQuery:
    """Check the filters of a question about insights.

    Raises:
        ValueError: with what to write instead.
    """
    _known(filters, INSIGHT_FILTERS)
    status = filters.get("status")
    if status is not None and status not in set(Status):
        raise ValueError(f"status: {status!r} is not known; {nearest(status, set(Status))}")
    limit = filters.get("limit", "100")
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= MOST_INSIGHTS:
        raise ValueError(f"limit: {limit!r} is not a count; write a number from 1 to {MOST_INSIGHTS}")
    return InsightQuery(
        since_ns=_time(filters, "since", now_ns),
        status=None if status is None else Status(status),
        rule=filters.get("rule"),
        tenant=filters.get("tenant"),
        project=filters.get("project"),
        limit=int(limit),
    )


def explain_tenant(filters: Mapping[str, str]) -> str | None:
    """The one filter of an explanation.

    Raises:
        ValueError: with what to write instead.
    """
    _known(filters, ("tenant",))
    return filters.get("tenant")


def ask_usage(engine: Engine, query: UsageQuery) -> list[dict[str, Any]]:
    """The rows of `usage` for a query."""
    cells = read_usage(engine, tenant=query.tenant, project=query.project, since=query.since, until=query.until)
    return usage_rows(cells, query.group_by)


def ask_insights(engine: Engine, query: InsightQuery) -> list[Insight]:
    """The newest insights that match, oldest first."""
    found = list_insights(
        engine,
        tenant=query.tenant,
        project=query.project,
        rule=query.rule,
        status=query.status,
        since_ns=query.since_ns,
        limit=query.limit,
    )
    return [insight for _, insight in found]


def _known(filters: Mapping[str, str], known: tuple[str, ...]) -> None:
    for name in filters:
        if name not in known:
            raise ValueError(f"there is no filter {name!r}; {nearest(name, known)}")


def _time(filters: Mapping[str, str], name: str, now_ns: int) -> int | None:
    if name not in filters:
        return None
    try:
        return parse_time(filters[name], now_ns)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _groups(text: str) -> tuple[str, ...]:
    groups = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in groups:
        if name not in GROUPS:
            raise ValueError(f"group_by: there is no dimension {name!r}; {nearest(name, GROUPS)}")
    if not groups or len(set(groups)) != len(groups):
        raise ValueError(f"group_by: write each once, out of {', '.join(GROUPS)}")
    return groups
