"""docs/durability.md says what was tried."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[4]
DURABILITY = (ROOT / "docs" / "durability.md").read_text(encoding="utf-8")


def test_every_fault_in_the_table_is_tried_by_a_test() -> None:
    """Each row of the table ends with the name of a test that there is."""
    rows = [line for line in DURABILITY.splitlines() if line.startswith("|") and line.count("|") == 6][2:]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))

    assert len(rows) > 20
    assert [row for row, names in zip(rows, named, strict=True) if len(names) != 1] == []
    assert [name for names in named for name in names if f"def {name}(" not in tests] == []


def test_what_operators_are_told_to_look_for_exists() -> None:
    """Each event that the table names is declared by the log, or by the supervisor."""
    sources = [
        ROOT / "receiver/tokensense_otel/receiver/log/events.py",
        ROOT / "service/tokensense_otel/service/events.py",
    ]
    declared = re.findall(r'Happening\(\s*"([a-z_]+)"', "\n".join(path.read_text(encoding="utf-8") for path in sources))
    named = set(re.findall(r"`(log_[a-z_]+|part_died)`", DURABILITY))

    assert len(named) > 8
    assert named - set(declared) == set()
