"""docs/explain.md lists every reason with the words that the commands use."""

import re

from tests.support.markdown import page
from tokensense_otel.dataflow.accounting.verdicts import COUNTED, TEXT
from tokensense_otel.dataflow.normalise.corrections import MEANING

ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in page("docs/explain.md").splitlines()
    if re.match(r"\| `\w+` \|", line)
]


def test_the_reasons_are_listed() -> None:
    """Each reason why a span counts or does not, in order, and whether it counts."""
    expected = [(f"`{reason}`", "yes" if reason in COUNTED else "no", text) for reason, text in TEXT.items()]
    assert [row for row in ROWS if len(row) == 3] == expected


def test_the_corrections_are_listed() -> None:
    """Each reason why input was corrected or refused, and what was done."""
    assert [row for row in ROWS if len(row) == 2] == [(f"`{name}`", text) for name, text in MEANING.items()]
