"""A store of an earlier version gets the columns that came later, and keeps what it holds."""

import sqlite3
from pathlib import Path

from tokensense_otel.core.usage import Accounting
from tokensense_otel.store.database import open_database
from tokensense_otel.store.reader import read_accounting


def test_columns_that_came_later_are_added(tmp_path: Path) -> None:
    """Sums from before them read as zero; opening it again changes nothing."""
    open_database("sqlite", data_dir=tmp_path).dispose()
    with sqlite3.connect(tmp_path / "store.db") as old:
        old.execute("ALTER TABLE accounting DROP COLUMN records")
        old.execute("ALTER TABLE accounting DROP COLUMN metered")
        columns = "part, generation, tenant, spans, calls, duplicates, wrappers, not_genai, rejected"
        old.execute(f"INSERT INTO accounting ({columns}) VALUES ('0', 1, 'default', 3, 2, 1, 0, 0, 0)")
    old.close()

    for _ in range(2):
        engine = open_database("sqlite", data_dir=tmp_path)
        assert read_accounting(engine) == Accounting(spans=3, calls=2, duplicates=1)
        engine.dispose()
