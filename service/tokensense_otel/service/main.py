"""The `tokensense` command."""

import os
import sys
from collections.abc import Callable
from importlib.metadata import version as installed_version

import typer

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.commands import doctor, explain, exporters, insights, outbox, read, replay, rules, silences
from tokensense_otel.service.commands import run as running
from tokensense_otel.service.commands.options import FormatOption
from tokensense_otel.service.output import Format, note, print_json, say

DEBUG = "TOKENSENSE_DEBUG"

app = typer.Typer(
    name="tokensense",
    help="An OpenTelemetry-native cost sentinel for LLM traffic.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS: tuple[Callable[..., None], ...] = (
    running.up,
    running.demo,
    replay.replay,
    read.usage,
    read.report,
    explain.explain,
    doctor.doctor,
    running.receiver,
    running.dataflow,
    running.api,
)

for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(insights.app, name="insights")
app.add_typer(silences.app, name="silences")
app.add_typer(exporters.app, name="exporters")
app.add_typer(outbox.app, name="outbox")
app.add_typer(rules.app, name="rules")


@app.command()
def version(format_: FormatOption = Format.TEXT) -> None:
    """Show the version."""
    number = installed_version("tokensense-otel")
    if format_ is Format.JSON:
        print_json({"version": number})
    else:
        say(f"tokensense {number}")


def run() -> None:
    """The console entry point: one line on standard error for whatever goes wrong.

    Exit codes: 0 done, 1 it failed, 2 something has to be written differently, 130 interrupted.
    """
    try:
        app(prog_name="tokensense")
    except ConfigError as error:
        note(str(error))
        code = 2
    except KeyboardInterrupt:
        code = 130
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        note(f"tokensense: {type(error).__name__}: {' '.join(str(error).split())}; {DEBUG}=1 shows where")
        code = 1
    else:
        code = 0
    sys.exit(_flushed(code))


def _flushed(code: int) -> int:
    """A reader that went away (`tokensense usage | head`) is no error worth a traceback."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    run()
