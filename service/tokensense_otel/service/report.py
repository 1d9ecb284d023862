"""A summary for people who pay: spend by team and model, what was found, what it would save."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from tokensense_otel.core.insight import Status, rfc3339, to_dict
from tokensense_otel.service import queries
from tokensense_otel.service.footers import footers

_OPEN = (Status.FIRING, Status.UPDATE)


def make_report(engine: Engine, times: Mapping[str, str], now_ns: int) -> dict[str, Any]:
    """The report as plain data. `insights` holds the latest state of each finding that is still open.

    Raises:
        ValueError: for a time that is none.
    """
    total = queries.ask_usage(engine, queries.usage_query({**times, "group_by": "tenant"}, now_ns))
    by_team = queries.ask_usage(engine, queries.usage_query({**times, "group_by": "team"}, now_ns))
    by_model = queries.ask_usage(engine, queries.usage_query({**times, "group_by": "provider,model"}, now_ns))
    since = {name: value for name, value in times.items() if name == "since"}
    query = queries.insight_query({**since, "limit": str(queries.MOST_INSIGHTS)}, now_ns)
    latest = {insight.episode_id: insight for insight in queries.ask_insights(engine, query)}
    open_now = [to_dict(insight) for insight in latest.values() if insight.status in _OPEN]
    return {
        "made_at": rfc3339(now_ns),
        "since": times.get("since"),
        "until": times.get("until"),
        "calls": sum(row["calls"] for row in total),
        "errors": sum(row["errors"] for row in total),
        "unpriced_calls": sum(row["unpriced_calls"] + row["unknown_usage_calls"] for row in total),
        "cost_usd": _sum(row["cost_usd"] for row in total),
        "cost_high_usd": _sum(row["cost_high_usd"] for row in total),
        "reported_cost_usd": _sum(row["reported_cost_usd"] for row in total),
        "remarks": footers(total),
        "estimated_monthly_savings_usd": _savings(open_now),
        "teams": _dearest_first(by_team),
        "models": _dearest_first(by_model),
        "insights": open_now,
    }


def to_markdown(report: dict[str, Any]) -> str:
    """The report as Markdown that also reads well as it is."""
    period = f"{report['since'] or 'the beginning'} to {report['until'] or report['made_at']}"
    lines = [
        f"# LLM spend, {period}",
        "",
        f"{report['calls']} calls ({report['errors']} failed), {_dollars(report['cost_usd'])}.",
        f"{report['unpriced_calls']} calls have no known cost and are not in it.",
        "",
        *_bullets(report["remarks"]),
        *_table(("team", "calls", "cost"), [(row["team"], row["calls"], row["cost_usd"]) for row in report["teams"]]),
        *_table(
            ("model", "calls", "cost"),
            [(f"{row['provider']}/{row['model']}", row["calls"], row["cost_usd"]) for row in report["models"]],
        ),
        f"## {len(report['insights'])} open findings",
        "",
    ]
    for insight in report["insights"]:
        savings = insight["estimated_monthly_savings_usd"]
        worth = f" Saves about {_dollars(savings)} a month." if savings is not None else ""
        lines.append(f"- **{insight['title']}** ({insight['severity']}). {insight['suggested_fix']}{worth}")
    if report["estimated_monthly_savings_usd"] is not None:
        lines += ["", f"Together they could save up to {_dollars(report['estimated_monthly_savings_usd'])} a month."]
    return "\n".join(lines).rstrip()


def _table(columns: tuple[str, str, str], rows: list[tuple[Any, Any, Any]]) -> list[str]:
    head = f"| {' | '.join(columns)} |"
    body = [f"| {_plain(name)} | {calls} | {_dollars(cost)} |" for name, calls, cost in rows]
    return [head, "|---|---:|---:|", *body, ""]


def _bullets(remarks: list[str]) -> list[str]:
    return [*(f"- {remark[0].upper()}{remark[1:]}." for remark in remarks), ""] if remarks else []


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _dollars(amount: str | None) -> str:
    return "unknown" if amount is None else f"${Decimal(amount):,.2f}"


def _sum(amounts: Iterable[Decimal | str | None]) -> str | None:
    known = [Decimal(amount) for amount in amounts if amount is not None]
    return f"{sum(known):f}" if known else None


def _savings(insights: list[dict[str, Any]]) -> str | None:
    """Findings about the same calls are no sum: of each team and model, the one that saves most counts."""
    best: dict[tuple[Any, ...], Decimal] = {}
    for insight in insights:
        if (amount := insight["estimated_monthly_savings_usd"]) is not None:
            scope = insight["scope"]
            key = (insight["tenant"], insight["project"], scope.get("team"), scope.get("model"))
            best[key] = max(best.get(key, Decimal(0)), Decimal(amount))
    return _sum(best.values())


def _dearest_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: Decimal(row["cost_usd"] or 0), reverse=True)
