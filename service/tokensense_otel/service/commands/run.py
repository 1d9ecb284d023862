"""`up`, `receiver`, `dataflow`, `api`, `demo`: the commands that run until they are stopped."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tokensense_otel.service.commands.options import ConfigOption, FormatOption, NumberOption, ReadyFdOption, load
from tokensense_otel.service.output import Format, say


def up(config: ConfigOption = None, format_: FormatOption = Format.TEXT) -> None:
    """Run everything on this machine. Prints `ready` with the endpoints; SIGTERM or ctrl-C stops it cleanly."""
    from tokensense_otel.service.up import run_up

    code = run_up(load(config), lambda endpoints: _say_ready(endpoints, format_), stdout_is_ours=format_ is Format.JSON)
    raise typer.Exit(code)


def receiver(
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
    ready_fd: ReadyFdOption = None,
    number: NumberOption = 1,
) -> None:
    """Run the receiver alone, in as many processes as are configured: OTLP over gRPC and HTTP onto the log."""
    if ready_fd is None and (loaded := load(config)).settings.receiver.processes > 1:
        from tokensense_otel.service.up import run_receivers

        raise typer.Exit(run_receivers(loaded, lambda endpoints: _say_ready(endpoints, format_)))
    run_part("receiver", config, format_, ready_fd, number)


def dataflow(config: ConfigOption = None, format_: FormatOption = Format.TEXT, ready_fd: ReadyFdOption = None) -> None:
    """Run the dataflow alone: from the log to usage and insights in the store."""
    run_part("dataflow", config, format_, ready_fd)


def api(config: ConfigOption = None, format_: FormatOption = Format.TEXT, ready_fd: ReadyFdOption = None) -> None:
    """Run the HTTP API alone: usage, insights, health and metrics."""
    run_part("api", config, format_, ready_fd)


def demo(
    duration: Annotated[float, typer.Option(min=10.0, max=3600.0, help="About how many seconds it takes.")] = 45.0,
    keep: Annotated[bool, typer.Option("--keep", help="Stay up until ctrl-C.")] = False,
) -> None:
    """Run everything for about a minute on traffic that misbehaves in each way the rules know."""
    from tokensense_otel.service.demo import run_demo

    raise typer.Exit(run_demo(duration, keep=keep, plain=not sys.stdout.isatty()))


def run_part(part: str, config: Path | None, format_: Format, ready_fd: int | None, number: int = 1) -> None:
    """Run one part here: by itself, or as a child of `up`, which then says with what and hears when it is ready."""
    from tokensense_otel.service import parts
    from tokensense_otel.service.units import Unit

    if ready_fd is not None:
        parts.run_supervised(Unit(part, number), ready_fd)
    else:
        parts.run_alone(part, load(config), lambda endpoints: _say_ready(endpoints, format_))


def _say_ready(endpoints: Mapping[str, str], format_: Format) -> None:
    if format_ is Format.JSON:
        import json

        say(json.dumps({"status": "ready", **endpoints}))
    else:
        say("  ".join(["ready", " ".join(f"{name}={endpoint}" for name, endpoint in endpoints.items())]).rstrip())
