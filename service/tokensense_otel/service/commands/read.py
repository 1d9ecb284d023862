"""`usage` and `report`: read the store."""

from typing import Annotated, Any

import typer

from tokensense_otel.service.commands.options import ConfigOption, FormatOption, load, open_store, option_error
from tokensense_otel.service.footers import footers
from tokensense_otel.service.output import Format, note, print_json, print_table, say

SinceOption = Annotated[
    str | None, typer.Option(help="From when: 2026-01-31T08:00:00Z, Unix seconds, or how long ago (24h, 7d).")
]
UntilOption = Annotated[str | None, typer.Option(help="Until when, in the same ways.")]
TenantOption = Annotated[str | None, typer.Option(help="Of this tenant only.")]
ProjectOption = Annotated[str | None, typer.Option(help="Of this project only.")]

_COLUMNS = {
    "calls": "calls",
    "errors": "errors",
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cache read",
    "reasoning_tokens": "reasoning",
    "cost_usd": "cost USD",
    "cost_high_usd": "at most USD",
    "unpriced_calls": "unpriced",
    "unknown_usage_calls": "no usage",
}
NUMBERS = tuple(_COLUMNS.values())


def usage(
    config: ConfigOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    group_by: Annotated[str | None, typer.Option(help="Dimensions, with commas: team,model")] = None,
    tenant: TenantOption = None,
    project: ProjectOption = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also what became of every span, and what is not known.")
    ] = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show what was used and what it cost."""
    from tokensense_otel.core.component import system_clock
    from tokensense_otel.service import accounting, queries

    filters = given(since=since, until=until, group_by=group_by, tenant=tenant, project=project)
    try:
        query = queries.usage_query(filters, system_clock())
    except ValueError as error:
        raise option_error(error) from None
    store = open_store(load(config).settings)
    rows = queries.ask_usage(store, query)
    behind = accounting.make_accounting(store, query) if explain else {}
    if format_ is Format.JSON:
        print_json({"usage": rows, **behind})
        return
    print_usage(rows, query.group_by)
    if explain:
        accounting.print_accounting(behind)


def report(
    config: ConfigOption = None,
    since: SinceOption = "7d",
    until: UntilOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Sum up spend by team and by model, what was found, and what it would save. Text is Markdown."""
    from tokensense_otel.core.component import system_clock
    from tokensense_otel.service import report as reports

    settings = load(config).settings
    try:
        document = reports.make_report(open_store(settings), given(since=since, until=until), system_clock())
    except ValueError as error:
        raise option_error(error) from None
    if format_ is Format.JSON:
        print_json(document)
    else:
        say(reports.to_markdown(document))


def print_usage(rows: list[dict[str, Any]], group_by: tuple[str, ...]) -> None:
    """The usage table; `–` is what nobody reported or what has no known price."""
    if not rows:
        note("nothing was used in that time")
        return
    shown = {name: title for name, title in _COLUMNS.items() if name != "cost_high_usd" or _is_open(rows)}
    columns = [*group_by, *shown.values()]
    print_table(columns, [[row[name] for name in (*group_by, *shown)] for row in rows], right=NUMBERS)
    for line in footers(rows):
        say(line)


def _is_open(rows: list[dict[str, Any]]) -> bool:
    """Whether some cost is only known between bounds."""
    return any(row["cost_usd"] != row["cost_high_usd"] for row in rows)


def given(**filters: str | None) -> dict[str, str]:
    return {name: value for name, value in filters.items() if value is not None}
