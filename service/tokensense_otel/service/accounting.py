"""What stands behind the sums: what became of every span, what had to be corrected, what is not known."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Engine

from tokensense_otel.core.tally import Tally, What
from tokensense_otel.core.usage import Usage, UsageKey
from tokensense_otel.dataflow.normalise.corrections import MEANING, Correction
from tokensense_otel.service.output import print_table, say
from tokensense_otel.service.queries import UsageQuery
from tokensense_otel.store.reader import read_accounting, read_tallies, read_usage

DIMENSIONS = ("team", "feature", "service", "environment")
Rows = list[dict[str, Any]]


def make_accounting(engine: Engine, query: UsageQuery) -> dict[str, Any]:
    """The document of `usage --explain` and `GET /api/v1/accounting`.

    `accounting`, `corrections`, `dialects` and `usage_gaps` are of all that was ever read, for the tenant asked for;
    `unattributed`, `unpriced` and `unknown_usage` are of the hours and the project asked for.
    """
    cells = read_usage(engine, tenant=query.tenant, project=query.project, since=query.since, until=query.until)
    tallies = read_tallies(engine, tenant=query.tenant)
    return {
        "accounting": msgspec.to_builtins(read_accounting(engine, tenant=query.tenant)),
        "corrections": corrections(tallies),
        "dialects": _dialects(tallies),
        "usage_gaps": usage_gaps(tallies),
        "unattributed": _unattributed(cells),
        "unpriced": _without(cells, "unpriced_calls", ("provider", "model")),
        "unknown_usage": _without(cells, "unknown_usage_calls", ("provider", "model", "service")),
    }


def corrections(tallies: Mapping[Tally, int]) -> Rows:
    """Each reason with its count and meaning, by tenant and service, the most frequent first."""
    found = [(tally, count) for tally, count in tallies.items() if tally.what == What.CORRECTION and count]
    return [
        {
            "tenant": tally.tenant,
            "service": tally.service,
            "reason": tally.name,
            "count": count,
            "meaning": MEANING.get(Correction(tally.name), "") if tally.name in set(Correction) else "",
        }
        for tally, count in sorted(found, key=lambda one: (-one[1], one[0]))
    ]


def _dialects(tallies: Mapping[Tally, int]) -> Rows:
    rows: dict[str, dict[str, Any]] = {}
    for tally, count in tallies.items():
        if tally.what in (What.DIALECT, What.INFERRED):
            row = rows.setdefault(tally.name, {"dialect": tally.name, "calls": 0, "inferred_calls": 0})
            row["calls" if tally.what == What.DIALECT else "inferred_calls"] += count
    return sorted((row for row in rows.values() if row["calls"]), key=lambda row: (-row["calls"], row["dialect"]))


def usage_gaps(tallies: Mapping[Tally, int]) -> Rows:
    """Services whose calls lack usage, by the dialect that reported them, with the share of such calls."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for tally, count in tallies.items():
        if tally.what in (What.DIALECT, What.NO_USAGE):
            of = counts.setdefault((tally.service, tally.name), {})
            of[tally.what] = of.get(tally.what, 0) + count
    rows = [
        {"service": service, "dialect": dialect, "calls": without, "share": round(without / of[What.DIALECT], 4)}
        for (service, dialect), of in counts.items()
        if (without := of.get(What.NO_USAGE, 0)) and of.get(What.DIALECT)
    ]
    return sorted(rows, key=lambda row: (-row["calls"], row["service"], row["dialect"]))


def _unattributed(cells: Iterable[tuple[UsageKey, Usage]]) -> Rows:
    total, without = 0, dict.fromkeys(DIMENSIONS, 0)
    for key, usage in cells:
        total += usage.calls
        for name in DIMENSIONS:
            if not getattr(key, name):
                without[name] += usage.calls
    return [
        {"dimension": name, "calls": calls, "share": round(calls / total, 4) if total else None}
        for name, calls in without.items()
    ]


def _without(cells: Iterable[tuple[UsageKey, Usage]], field: str, names: tuple[str, ...]) -> Rows:
    counts: dict[tuple[str, ...], int] = {}
    for key, usage in cells:
        group = tuple(getattr(key, name) for name in names)
        counts[group] = counts.get(group, 0) + getattr(usage, field)
    found = sorted(((group, count) for group, count in counts.items() if count), key=lambda one: (-one[1], one[0]))
    return [dict(zip(names, group, strict=True)) | {"calls": count} for group, count in found]


def print_accounting(document: Mapping[str, Any]) -> None:
    """The document beneath the rows of `usage`."""
    say("\nof all spans that were read:")
    say("  " + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in document["accounting"].items()))
    _print("calls by dialect", document["dialects"], ("dialect", "calls", "inferred_calls"))
    _print("calls that nothing attributes", document["unattributed"], ("dimension", "calls", "share"))
    _print("calls without a known price", document["unpriced"], ("provider", "model", "calls"))
    _print("calls without usage", document["unknown_usage"], ("provider", "model", "service", "calls"))
    _print("who reports calls without usage", document["usage_gaps"], ("service", "dialect", "calls", "share"))
    print_corrections(document["corrections"])


def print_corrections(rows: Rows) -> None:
    """The reasons, if there are any."""
    _print("corrected or refused", rows, ("count", "reason", "tenant", "service", "meaning"))


def _print(title: str, rows: Rows, columns: tuple[str, ...]) -> None:
    if rows:
        say(f"\n{title}:")
        shown = [[_shown(name, row[name]) for name in columns] for row in rows]
        print_table(
            [name.replace("_", " ") for name in columns], shown, right=("calls", "inferred calls", "share", "count")
        )


def _shown(name: str, value: Any) -> Any:
    if name == "share":
        return None if value is None else f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else value or None
