"""`outbox ls/show/replay/audit`: what is to be delivered to whom, and what became of it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.commands.options import ConfigOption, FormatOption, load, open_store
from tokensense_otel.service.output import Format, note, print_json, print_table, say

if TYPE_CHECKING:
    from pathlib import Path

    from tokensense_otel.store.outbox import Delivery, Outbox, State

app = typer.Typer(help="See deliveries and what became of them; send them again.", no_args_is_help=True)

ExporterOption = Annotated[str | None, typer.Option("--exporter", help="Of this exporter only.")]


@app.command("ls")
def ls(
    config: ConfigOption = None,
    exporter: ExporterOption = None,
    state: Annotated[str | None, typer.Option(help="pending, delivered, dead or suppressed")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 100,
    format_: FormatOption = Format.TEXT,
) -> None:
    """List deliveries, newest first."""
    wanted = None if state is None else _state(state)
    _print(_outbox(config).listing(exporter=exporter, state=wanted, limit=limit), format_)


@app.command("show")
def show(
    insight: Annotated[str, typer.Argument(help="The insight's id.")],
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show what became of one insight, for each exporter."""
    deliveries = _outbox(config).show(insight)
    if not deliveries:
        raise ConfigError(f"there is no delivery of {insight!r}; `tokensense outbox ls` lists the newest")
    _print(deliveries, format_)


@app.command("replay")
def replay(
    config: ConfigOption = None,
    exporter: ExporterOption = None,
    insight: Annotated[str | None, typer.Option("--insight", help="This insight only.")] = None,
    state: Annotated[str, typer.Option(help="Those that ended in this state: dead, delivered or suppressed")] = "dead",
    format_: FormatOption = Format.TEXT,
) -> None:
    """Send again what ended. Copies carry the same insight id, so a receiver can tell."""
    wanted = _state(state)
    if wanted == "pending":
        raise ConfigError("--state: what is pending is sent anyway; write dead, delivered or suppressed")
    count = _outbox(config).replay(exporter=exporter, insight_id=insight, state=wanted)
    if format_ is Format.JSON:
        print_json({"replayed": count})
    else:
        say(f"{count} {'delivery' if count == 1 else 'deliveries'} will be sent again")


@app.command("audit")
def audit(config: ConfigOption = None, format_: FormatOption = Format.TEXT) -> None:
    """Check the books: accepted = delivered + dead + suppressed + pending. Exit 1 when they do not balance."""
    books = _outbox(config).audit()
    balanced = all(book.balanced for book in books)
    if format_ is Format.JSON:
        print_json({"balanced": balanced, "exporters": [book._asdict() for book in books]})
    elif books:
        print_table(books[0]._fields, books, right=books[0]._fields[1:])
    else:
        note("nothing was ever delivered here")
    if not balanced:
        raise typer.Exit(1)


def _outbox(config: "Path | None") -> "Outbox":
    from tokensense_otel.store.outbox import Outbox

    return Outbox(open_store(load(config).settings))


def _state(text: str) -> "State":
    from tokensense_otel.core.names import nearest
    from tokensense_otel.store.outbox import State

    try:
        return State(text)
    except ValueError:
        raise ConfigError(
            f"--state: {text!r} is not known; {nearest(text, [state.value for state in State])}"
        ) from None


def _print(deliveries: "list[Delivery]", format_: Format) -> None:
    if format_ is Format.JSON:
        print_json({"deliveries": [_document(delivery) for delivery in deliveries]})
    elif deliveries:
        columns = ("insight", "exporter", "state", "attempts", "queued", "reason")
        rows = [
            [row[name] for name in ("insight_id", *columns[1:4], "queued_at", "reason")]
            for row in map(_document, deliveries)
        ]
        print_table(columns, rows, right=("attempts",))
    else:
        note("there are no such deliveries")


def _document(delivery: "Delivery") -> dict[str, Any]:
    from tokensense_otel.core.insight import rfc3339

    return {
        "insight_id": delivery.insight_id,
        "episode_id": delivery.episode_id,
        "exporter": delivery.exporter,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "queued_at": rfc3339(delivery.queued_ns),
        "next_at": rfc3339(delivery.next_ns) if delivery.next_ns else None,
        "ended_at": None if delivery.ended_ns is None else rfc3339(delivery.ended_ns),
        "reason": delivery.reason,
        "receipt": delivery.receipt,
    }
