"""Options that commands share, and how they load settings."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.output import Format

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tokensense_otel.service.config import Settings
    from tokensense_otel.service.loader import Loaded

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; without it, ./tokensense.yaml if there is one."),
]
FormatOption = Annotated[Format, typer.Option("--format", help="text, or one JSON document on standard output.")]
ReadyFdOption = Annotated[int | None, typer.Option("--ready-fd", hidden=True)]
NumberOption = Annotated[int, typer.Option("--number", hidden=True)]


def load(config: Path | None) -> "Loaded":
    """The settings; from here on what happens is logged to standard error, if somebody has to know it.

    Raises:
        ConfigError: one line for each problem.
    """
    from tokensense_otel.core.events import configure_logging
    from tokensense_otel.service.loader import load as load_file

    loaded = load_file(config, os.environ)
    logs = loaded.settings.logging
    configure_logging(json_lines=logs.format == "json", level=max(logs.number, logging.WARNING))
    return loaded


def option_error(error: ValueError) -> ConfigError:
    """A filter that is wrong, said with the option's name instead of the query parameter's."""
    name, colon, text = str(error).partition(": ")
    return ConfigError(f"--{name.replace('_', '-')}{colon}{text}")


def open_store(settings: "Settings") -> "Engine":
    """The store, for reading it.

    Raises:
        ConfigError: when there is none yet, or it cannot be opened.
    """
    from tokensense_otel.store.database import database_path, open_database

    path = database_path(settings.store.url, settings.data_dir)
    if not path.exists():
        raise ConfigError(f"{path}: there is no store yet; run `tokensense up` first, or name its --config FILE")
    return open_database(settings.store.url, data_dir=settings.data_dir)
