"""`doctor`: what is wrong with this install and how to mend it."""

import os

import typer

from tokensense_otel.service.commands.options import ConfigOption, FormatOption
from tokensense_otel.service.output import Format, print_json, print_table


def doctor(config: ConfigOption = None, format_: FormatOption = Format.TEXT) -> None:
    """Check this install and say how to mend what is wrong. Exit 1 when something is."""
    from tokensense_otel.service.doctor.examination import examine
    from tokensense_otel.service.doctor.finding import Verdict

    findings = examine(config, os.environ)
    well = all(finding.verdict is not Verdict.FAIL for finding in findings)
    if format_ is Format.JSON:
        print_json({"ok": well, "checks": [finding.to_dict() for finding in findings]})
    else:
        rows = [(finding.verdict, finding.check, finding.detail, finding.mend) for finding in findings]
        print_table(("", "check", "found", "how to mend it"), rows)
    if not well:
        raise typer.Exit(1)
