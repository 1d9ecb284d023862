"""`rules list/show/check/test`: the rules, their thresholds, a check of a configuration, tests of rules."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.commands.options import ConfigOption, FormatOption, load
from tokensense_otel.service.output import Format, print_json, print_table, say

if TYPE_CHECKING:
    from tokensense_otel.dataflow.rules import RuleInfo, RulesConfig

app = typer.Typer(help="The rules and their thresholds.", no_args_is_help=True)

ProjectOption = Annotated[str, typer.Option("--project", help="As they apply to this project.")]
TenantOption = Annotated[str, typer.Option("--tenant", help="As they apply to this tenant.")]


@app.command("list")
def list_(
    config: ConfigOption = None,
    project: ProjectOption = "",
    tenant: TenantOption = "",
    format_: FormatOption = Format.TEXT,
) -> None:
    """List the rules with what is in force."""
    in_force = load(config).settings.rule_set.in_force(tenant, project)
    infos = in_force.infos
    if format_ is Format.JSON:
        print_json({"rules": [_document(info, in_force) for info in infos]})
        return
    rows = [
        (info.name, in_force.of(info.name).severity, _thresholds(info, in_force), info.description) for info in infos
    ]
    print_table(("rule", "severity", "thresholds", "fires when"), rows)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="The rule's name.")],
    config: ConfigOption = None,
    project: ProjectOption = "",
    tenant: TenantOption = "",
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show one rule: when it fires, on what, and every option."""
    from tokensense_otel.core.names import nearest

    in_force = load(config).settings.rule_set.in_force(tenant, project)
    infos = {info.name: info for info in in_force.infos}
    info = infos.get(name.upper())
    if info is None:
        raise ConfigError(f"there is no rule {name!r}; {nearest(name, infos)}")
    if format_ is Format.JSON:
        print_json(_document(info, in_force))
        return
    say(f"{info.name}: {info.description}")
    say(f"judged for each {', '.join(info.scope)}" if info.scope else "judged for each project as a whole")
    say()
    options = _options(info, in_force)
    docs = info.option_docs()
    rows = [
        (option, _value(value), _value(info.defaults[option]), " ".join(docs[option].split()))
        for option, value in options.items()
    ]
    print_table(("option", "in force", "default", "meaning"), rows, right=("in force", "default"))


@app.command("check")
def check(
    file: Annotated[
        Path | None, typer.Argument(help="A configuration, or just the mapping beneath `rules`; else the usual one.")
    ] = None,
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Check rules and their overrides without starting anything. Exit 2 with a line for each problem."""
    from tokensense_otel.service.loader import load_rules

    settings = load(config).settings if file is None else load_rules(file, os.environ)
    own = len(settings.rules.custom) + len(settings.rules.from_plugins)
    tenants, projects = len(settings.tenants), len(settings.projects)
    if format_ is Format.JSON:
        print_json(
            {"ok": True, "rules": len(settings.rules.names), "own": own, "tenants": tenants, "projects": projects}
        )
    else:
        say(
            f"the {len(settings.rules.names)} rules are well written, {own} of them your own, "
            f"and so are the overrides of {tenants} tenants and {projects} projects"
        )


@app.command("test")
def run_tests(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files of rule tests.")],
    format_: FormatOption = Format.TEXT,
) -> None:
    """Run tests of rules: calls that are written down, and what the rules have to tell of them. Exit 1 if one fails."""
    from tokensense_otel.dataflow.pricing import Catalogue
    from tokensense_otel.service.fixtures.load import load as load_tests
    from tokensense_otel.service.fixtures.run import run

    documents: list[dict[str, Any]] = []
    for loaded in [load_tests(file, os.environ) for file in files]:
        catalogue = Catalogue.load(loaded.settings.prices)
        for place, each in zip(loaded.places, loaded.fixture.tests, strict=True):
            found = run(each, loaded.fixture, loaded.rules, catalogue)
            differences = [{"at": one.at, "lines": list(one.lines)} for one in found]
            documents.append({"place": place, "name": each.name, "ok": not found, "differences": differences})
            if format_ is Format.TEXT:
                _say_outcome(documents[-1])
    failed = sum(not document["ok"] for document in documents)
    if format_ is Format.JSON:
        print_json({"ok": not failed, "tests": documents})
    else:
        say(f"{len(documents) - failed} passed, {failed} failed")
    if failed:
        raise typer.Exit(1)


def _say_outcome(document: dict[str, Any]) -> None:
    say(f"{'ok    ' if document['ok'] else 'FAILED'} {document['place']}: {document['name']}")
    for difference in document["differences"]:
        say(f"       at {difference['at']}:")
        for line in difference["lines"]:
            say(f"         {line}")


def _document(info: "RuleInfo", in_force: "RulesConfig") -> dict[str, object]:
    return {
        "name": info.name,
        "description": info.description,
        "scope": list(info.scope),
        "options": _options(info, in_force),
        "defaults": info.defaults,
    }


def _options(info: "RuleInfo", in_force: "RulesConfig") -> dict[str, object]:
    return in_force.of(info.name).model_dump(mode="json")


def _thresholds(info: "RuleInfo", in_force: "RulesConfig") -> str:
    options = _options(info, in_force)
    if not options["enabled"]:
        return "off"
    return " ".join(f"{name}={_value(options[name])}" for name in info.thresholds if options[name] not in ("", {}))


def _value(value: object) -> object:
    """A mapping as it would be written."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_value(inner)}' for key, inner in value.items())}}}"
    return f"[{', '.join(str(_value(inner)) for inner in value)}]" if isinstance(value, list) else value
