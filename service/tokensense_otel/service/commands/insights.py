"""`insights` lists what was found; `insights show ID` proves it, `insights ack ID` says that somebody knows."""

import getpass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.commands.options import ConfigOption, FormatOption, load, open_store, option_error
from tokensense_otel.service.commands.read import ProjectOption, SinceOption, TenantOption, given
from tokensense_otel.service.output import Format, clean, note, print_json, print_table, say

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

app = typer.Typer(no_args_is_help=False)

IdArgument = Annotated[str, typer.Argument(help="The id of an insight or of an episode.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, so that others understand it.")]
UntilOption = Annotated[
    str, typer.Option("--until", help="Until when: 2h, 7d, or 2026-01-31T08:00:00Z. Nothing is muted for ever.")
]
ByOption = Annotated[str | None, typer.Option("--by", help="Who says so; without it, your login name.")]


@app.callback(invoke_without_command=True)
def insights(
    context: typer.Context,
    config: ConfigOption = None,
    since: SinceOption = None,
    status: Annotated[str | None, typer.Option(help="firing, update or resolved")] = None,
    rule: Annotated[str | None, typer.Option(help="Of this rule only.")] = None,
    tenant: TenantOption = None,
    project: ProjectOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 100,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show what was found, oldest first; or prove and acknowledge one with a subcommand."""
    if context.invoked_subcommand is not None:
        return
    from tokensense_otel.core.component import system_clock
    from tokensense_otel.core.insight import to_dict
    from tokensense_otel.service import queries

    filters = given(since=since, status=status, rule=rule, tenant=tenant, project=project, limit=str(limit))
    try:
        query = queries.insight_query(filters, system_clock())
    except ValueError as error:
        raise option_error(error) from None
    found = [to_dict(insight) for insight in queries.ask_insights(open_store(load(config).settings), query)]
    if format_ is Format.JSON:
        print_json({"insights": found})
    else:
        print_insights(found)


@app.command("show")
def show(id_: IdArgument, config: ConfigOption = None, format_: FormatOption = Format.TEXT) -> None:
    """Print the proof: the numbers, its life, who muted it, and what was delivered of it."""
    from tokensense_otel.core.component import system_clock
    from tokensense_otel.service.muting import NoSuchThing
    from tokensense_otel.service.proof import make_proof, to_text

    try:
        proof = make_proof(_store(config), id_, system_clock())
    except NoSuchThing as error:
        raise ConfigError(str(error)) from None
    if format_ is Format.JSON:
        print_json(proof)
        return
    for line in to_text(proof):
        say(clean(line))


@app.command("ack")
def ack(
    id_: IdArgument,
    reason: ReasonOption,
    until: UntilOption = "24h",
    by: ByOption = None,
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Acknowledge a finding that is open: no more updates of it until then. Its end is told all the same."""
    from tokensense_otel.core.component import system_clock
    from tokensense_otel.service import muting

    now_ns = system_clock()
    asked = muting.Asked(by=name_of(by), reason=reason, until=until)
    try:
        mute = muting.acknowledge(_store(config), id_, asked, now_ns)
    except muting.NoSuchThing as error:
        raise ConfigError(str(error)) from None
    except ValueError as error:
        raise option_error(error) from None
    print_mute(muting.to_document(mute, now_ns), format_)


def print_insights(found: list[dict[str, Any]]) -> None:
    """One insight a row."""
    if not found:
        note("nothing was found")
        return
    columns = ("detected", "status", "severity", "rule", "title", "savings USD/month", "id")
    names = ("detected_at", "status", "severity", "rule", "title", "estimated_monthly_savings_usd", "id")
    print_table(columns, [[insight[name] for name in names] for insight in found], right=columns[-2:-1])


def print_mute(document: dict[str, Any], format_: Format) -> None:
    """A silence or an acknowledgement that was made, or ended."""
    if format_ is Format.JSON:
        print_json(document)
        return
    what = " ".join(document["matchers"])
    say(clean(f"{document['id']}: {document['kind']} of {what}, {document['state']}, until {document['ends_at']}"))


def name_of(by: str | None) -> str:
    """Who says so.

    Raises:
        ConfigError: where the system knows no name either.
    """
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigError("--by: this system has no name for you; write one") from None


def _store(config: "Path | None") -> "Engine":
    return open_store(load(config).settings)
