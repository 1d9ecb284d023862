"""`exporters` runs the exporters' process; `exporters list` and `exporters test NAME` look at them."""

import asyncio
import contextlib
import dataclasses
import sys
from typing import Annotated

import typer

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.commands.options import ConfigOption, FormatOption, ReadyFdOption, load
from tokensense_otel.service.commands.run import run_part
from tokensense_otel.service.output import Format, note, print_json, print_table, say

app = typer.Typer(no_args_is_help=False)


@app.callback(invoke_without_command=True)
def exporters(
    context: typer.Context,
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
    ready_fd: ReadyFdOption = None,
) -> None:
    """Run the exporters alone (deliver insights), or look at them with a subcommand."""
    if context.invoked_subcommand is None:
        run_part("exporters", config, format_, ready_fd)


@app.command("list")
def list_(config: ConfigOption = None, format_: FormatOption = Format.TEXT) -> None:
    """List the configured exporters and the types there are."""
    from tokensense_otel.exporters.registry import installed_types, load_exporters

    loaded = load(config)
    named = load_exporters(loaded.settings.exporters, base_dir=loaded.base_dir)
    rows = [{"name": exporter.name, "type": exporter.config.type} for exporter in named]
    if format_ is Format.JSON:
        print_json({"exporters": rows, "types": installed_types()})
        return
    print_table(("name", "type"), [(row["name"], row["type"]) for row in rows])
    say(f"types: {', '.join(installed_types())}, ./file.py:Class")


@app.command("test")
def send_test(
    name: Annotated[str, typer.Argument(help="The exporter's name in the configuration.")],
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Send one labelled test insight through an exporter. Exit 1 when it does not arrive."""
    from tokensense_otel.core.names import nearest
    from tokensense_otel.exporters.registry import load_exporters
    from tokensense_otel.exporters.trial import send_test as send

    loaded = load(config)
    section = loaded.settings.exporters.get(name)
    if section is None:
        raise ConfigError(f"exporters: there is no exporter {name!r}; {nearest(name, loaded.settings.exporters)}")
    (named,) = load_exporters({name: section}, base_dir=loaded.base_dir, among=loaded.settings.exporters)
    # What the console exporter prints is the message itself: beside the answer when that has to be one document.
    with contextlib.redirect_stdout(sys.stderr) if format_ is Format.JSON else contextlib.nullcontext():
        result = asyncio.run(send(named))
    if format_ is Format.JSON:
        print_json(dataclasses.asdict(result))
    elif result.ok:
        say(f"{name}: {result.verdict} in {result.latency_ms:.0f} ms: {result.detail}")
    else:
        note(f"{name}: {result.verdict}: {result.detail}")
    if not result.ok:
        raise typer.Exit(1)
