"""`rules list/show/check/test`: the rules, their thresholds, a check of a configuration, a backtest."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.commands.options import ConfigOption, FormatOption, load
from tokensense_otel.service.commands.replay import PathsArgument, replay
from tokensense_otel.service.output import Format, print_json, print_table, say

if TYPE_CHECKING:
    from tokensense_otel.dataflow.rules import RuleInfo, RulesConfig

app = typer.Typer(help="The rules and their thresholds.", no_args_is_help=True)

ProjectOption = Annotated[str, typer.Option("--project", help="As they apply to this project.")]


@app.command("list")
def list_(config: ConfigOption = None, project: ProjectOption = "", format_: FormatOption = Format.TEXT) -> None:
    """List the rules with what is in force."""
    from tokensense_otel.dataflow.rules import rule_infos

    in_force = load(config).settings.rule_set.for_project(project)
    infos = rule_infos()
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
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show one rule: when it fires, on what, and every option."""
    from tokensense_otel.core.names import nearest
    from tokensense_otel.dataflow.rules import rule_infos

    infos = {info.name: info for info in rule_infos()}
    info = infos.get(name.upper())
    if info is None:
        raise ConfigError(f"there is no rule {name!r}; {nearest(name, infos)}")
    in_force = load(config).settings.rule_set.for_project(project)
    if format_ is Format.JSON:
        print_json(_document(info, in_force))
        return
    say(f"{info.name}: {info.description}")
    say(f"judged for each {', '.join(info.scope)}")
    say()
    options = _options(info, in_force)
    docs = info.option_docs()
    rows = [(option, value, info.defaults[option], " ".join(docs[option].split())) for option, value in options.items()]
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

    if file is None:
        settings = load(config).settings
        projects = len(settings.projects)
    else:
        projects = len(load_rules(file, os.environ)[1])
    if format_ is Format.JSON:
        print_json({"ok": True, "projects": projects})
    else:
        say(f"the rules are well written, and so are the overrides of {projects} projects")


@app.command("test")
def backtest(
    paths: PathsArgument,
    rules: Annotated[Path, typer.Option("--rules", help="The rules to try.")],
    config: ConfigOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Try rules on recorded traffic: the same as `tokensense replay --rules FILE`."""
    replay(paths, rules=rules, config=config, format_=format_)


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
    return " ".join(f"{name}={options[name]}" for name in info.thresholds)
