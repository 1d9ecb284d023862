"""`explain`: why each span counts or does not, and how each token and dollar came about."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.commands.options import ConfigOption, FormatOption, load, open_store
from tokensense_otel.service.output import Format, note, print_json

if TYPE_CHECKING:
    from tokensense_otel.dataflow.explain.sources import Source
    from tokensense_otel.service.config import Settings


def explain(
    id_: Annotated[
        str,
        typer.Argument(metavar="ID", help="A trace or span id in hex, or a provider's response id; or how it begins."),
    ],
    from_: Annotated[
        list[Path] | None, typer.Option("--from", help="Explain recorded OTLP instead of the store: a file or folder.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show what a trace, span or response was counted as, and why."""
    from tokensense_otel.dataflow.explain.explain import Unexplained
    from tokensense_otel.dataflow.explain.explain import explain as run
    from tokensense_otel.dataflow.explain.explanation import to_document
    from tokensense_otel.dataflow.pricing import Catalogue
    from tokensense_otel.service.explained import print_explanation

    settings = load(config).settings
    source = _recorded(settings, from_) if from_ else _kept(settings, tenant)
    try:
        explanation = run(source, id_, catalogue=Catalogue.load(settings.prices), config=settings.dataflow.accounting)
    except Unexplained as error:
        raise ConfigError(str(error)) from None
    if format_ is Format.JSON:
        print_json(to_document(explanation))
    else:
        print_explanation(explanation)


def _kept(settings: "Settings", tenant: str | None) -> "Source":
    from tokensense_otel.dataflow.explain.sources import Kept

    if not settings.explain.keep_spans:
        note("explain.keep_spans is 0, so nothing new is kept to be explained")
    return Kept(open_store(settings), tenant)


def _recorded(settings: "Settings", paths: list[Path]) -> "Source":
    from tokensense_otel.service.replay.read import Reader
    from tokensense_otel.service.replay.recorded import read_facts

    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path}: there is no such file or folder; write a path to recorded OTLP")
    reader = Reader(lambda where, why: note(f"{where}: passed over: {why}"), settings.receiver.max_request_bytes)
    return read_facts(settings, reader, paths)
