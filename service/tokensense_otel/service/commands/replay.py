"""`replay`: recorded OTLP through the dataflow, then what it came to."""

from pathlib import Path
from typing import Annotated

import typer

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.commands.insights import print_insights
from tokensense_otel.service.commands.options import ConfigOption, FormatOption, load
from tokensense_otel.service.commands.read import print_usage
from tokensense_otel.service.output import Format, note, print_json, say

PathsArgument = Annotated[
    list[Path], typer.Argument(metavar="PATH…", help="Files or folders: .pb, .json, .jsonl; .gz or .zst of each.")
]


def replay(
    paths: PathsArgument,
    rules: Annotated[
        Path | None, typer.Option("--rules", help="Backtest the rules of this file in place of the configured ones.")
    ] = None,
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Run recorded OTLP through the same dataflow, then print usage and insights."""
    from tokensense_otel.core.events import configure_logging
    from tokensense_otel.core.usage import DEFAULT_GROUPS
    from tokensense_otel.service.accounting import print_corrections
    from tokensense_otel.service.replay.backtest import print_backtest
    from tokensense_otel.service.replay.read import Reader
    from tokensense_otel.service.replay.replay import replay as run
    from tokensense_otel.service.replay.replay import with_rules

    settings = load(config).settings
    configure_logging(json_lines=settings.logging.format == "json", level=settings.logging.number)
    tried = None if rules is None else with_rules(settings, rules)
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path}: there is no such file or folder; write a path to recorded OTLP")
    reader = Reader(lambda where, why: note(f"{where}: passed over: {why}"), settings.receiver.max_request_bytes)
    document = run(settings, reader, paths, tried)
    if reader.rejected:
        note(f"{reader.read} requests read, {reader.rejected} files or lines passed over")
    if format_ is Format.JSON:
        print_json(document)
    else:
        print_usage(document["usage"], DEFAULT_GROUPS)
        print_insights(document["insights"])
        if tried is not None:
            print_backtest(document["backtest"])
        print_corrections(document["corrections"])
        say(" ".join(f"{name}={count}" for name, count in document["accounting"].items()))
    if not reader.read:
        raise typer.Exit(1)
