"""docs/dialects.md says who tells what of a task; here it is held to the captures."""

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

from tests.support.captures import NAMES, log_requests, trace_requests
from tokensense_otel.core.call import Task
from tokensense_otel.dataflow.facts import SpanFacts
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.normalise.dialects import DIALECTS
from tokensense_otel.dataflow.normalise.logs import LogNormaliser

DOCS = Path(__file__).parents[4] / "docs" / "dialects.md"
COLUMNS = ("tools offered", "tool called", "structure", "limit", "attempt", "arguments of tools")


@cache
def told() -> dict[str, set[str]]:
    """Dialect → what its captures tell."""
    normaliser = Normaliser(NormaliseConfig(), b"salt")
    logs = LogNormaliser(normaliser)
    found: dict[str, set[str]] = defaultdict(set)
    for name in NAMES:
        facts: list[SpanFacts] = []
        for request in trace_requests(name):
            facts += normaliser.spans(request, tenant="t", project="")[0]
        for records in log_requests(name):
            facts += logs.records(records, tenant="t", project="")[0]
        for each in facts:
            dialect = each.origin.dialect if each.origin else ""
            call = each.call
            if call is not None:
                seen = (
                    bool(call.task & Task.TOOLS_OFFERED),
                    bool(call.task & Task.TOOLS_CALLED),
                    bool(call.task & Task.STRUCTURED),
                    call.max_output is not None,
                    call.attempt is not None,
                )
                found[dialect].update(column for column, yes in zip(COLUMNS, seen, strict=False) if yes)
            if each.tools:
                found[dialect].add("arguments of tools")
    return {dialect: seen for dialect, seen in found.items() if seen}


def rows() -> list[str]:
    """The table as it should be."""
    says_no = {dialect.name for dialect in DIALECTS if dialect.tells_tools}
    table = [f"| dialect | {' | '.join(COLUMNS)} | silence says no |", "|---" * (len(COLUMNS) + 2) + "|"]
    for dialect, seen in sorted(told().items()):
        marks = ["yes" if column in seen else "" for column in COLUMNS]
        table.append(f"| {dialect} | {' | '.join(marks)} | {'yes' if dialect in says_no else ''} |")
    return table


def test_the_table_of_who_tells_what_is_that_of_the_captures() -> None:
    """Each mark was seen in a real export, and none that was seen is missing."""
    section = DOCS.read_text(encoding="utf-8").partition("## What else they tell")[2].partition("\n## ")[0]
    assert re.findall(r"^\|.*\|$", section, re.MULTILINE) == rows()
