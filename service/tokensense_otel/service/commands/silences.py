"""`silences add/list/end`: keep findings from being told for a while, with who, why and until when."""

from typing import Annotated

import typer

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.commands.insights import ByOption, ReasonOption, UntilOption, name_of, print_mute
from tokensense_otel.service.commands.options import ConfigOption, FormatOption, load, open_store, option_error
from tokensense_otel.service.output import Format, note, print_json, print_table

app = typer.Typer(help="Silences and acknowledgements: who, why, until when.", no_args_is_help=True)


@app.command("add")
def add(
    matchers: Annotated[
        list[str],
        typer.Argument(help="Which insights: team=payments rule=SPIKE model=~gpt-4.*; all of them have to hold."),
    ],
    until: UntilOption,
    reason: ReasonOption,
    starts: Annotated[str, typer.Option("--starts", help="From when, in the same ways; without it, from now.")] = "",
    by: ByOption = None,
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Silence what matches. When it ends, what is still so is told."""
    from tokensense_otel.core.component import system_clock
    from tokensense_otel.service import muting

    now_ns = system_clock()
    asked = muting.Asked(by=name_of(by), reason=reason, until=until, starts=starts, matchers=tuple(matchers))
    try:
        mute = muting.silence(open_store(load(config).settings), asked, now_ns)
    except ValueError as error:
        raise option_error(error) from None
    print_mute(muting.to_document(mute, now_ns), format_)


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """List what is in force or to come, newest first."""
    from tokensense_otel.core.component import system_clock
    from tokensense_otel.service import muting

    found = muting.listing(open_store(load(config).settings), system_clock(), all_=all_)
    if format_ is Format.JSON:
        print_json({"silences": found})
    elif found:
        names = ("id", "kind", "state", "matchers", "starts_at", "ends_at", "by", "reason")
        rows = [[" ".join(each[name]) if name == "matchers" else each[name] for name in names] for each in found]
        print_table(names, rows)
    else:
        note("nothing is silenced")


@app.command("end")
def end(
    id_: Annotated[str, typer.Argument(help="Its id, as `silences list` shows it.")],
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """End one now. What it held back and is still so is told."""
    from tokensense_otel.core.component import system_clock
    from tokensense_otel.service import muting

    now_ns = system_clock()
    try:
        mute = muting.end(open_store(load(config).settings), id_, now_ns)
    except muting.NoSuchThing as error:
        raise ConfigError(str(error)) from None
    print_mute(muting.to_document(mute, now_ns), format_)
