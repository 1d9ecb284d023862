"""Before a start the recovery store loses what an aborted epoch left, and nothing else."""

import sqlite3
from pathlib import Path

import pytest

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.dataflow.engine.recovery import clean, only_one, prepare


def rows(folder: Path) -> list[tuple[str, int, bytes | None]]:
    found = []
    for path in sorted(folder.glob("*.sqlite3")):
        database = sqlite3.connect(path)
        found += database.execute("SELECT state_key, snap_epoch, ser_change FROM snaps").fetchall()
        database.close()
    return sorted(found)


def plant(folder: Path, *, frontier: int, snaps: list[tuple[str, int, bytes | None]]) -> None:
    """An execution of one worker that got to `frontier`, and its snapshots."""
    database = sqlite3.connect(folder / "part-0.sqlite3")
    database.execute("INSERT INTO exs (ex_num, worker_count, resume_epoch) VALUES (1, 1, 1)")
    database.execute("INSERT INTO fronts (ex_num, worker_index, worker_frontier) VALUES (1, 0, ?)", (frontier,))
    database.executemany("INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change) VALUES ('s', ?, ?, ?)", snaps)
    database.commit()
    database.close()


def test_snapshots_of_an_epoch_that_did_not_commit_are_removed(tmp_path: Path) -> None:
    """Rows at or after the resume epoch go, earlier ones stay."""
    prepare(tmp_path, 1)
    plant(tmp_path, frontier=5, snaps=[("a", 3, b"old"), ("a", 5, b"aborted"), ("b", 4, b"kept")])

    assert clean(tmp_path) == 1
    assert rows(tmp_path) == [("a", 3, b"old"), ("b", 4, b"kept")]


def test_keys_that_were_dropped_leave_no_rows(tmp_path: Path) -> None:
    """A key whose newest row is empty is gone with all its rows; a key that came back stays."""
    prepare(tmp_path, 1)
    plant(tmp_path, frontier=9, snaps=[("gone", 3, b"x"), ("gone", 4, None), ("back", 3, None), ("back", 4, b"y")])

    clean(tmp_path)

    assert rows(tmp_path) == [("back", 3, None), ("back", 4, b"y")]


def test_another_number_of_partitions_is_refused(tmp_path: Path) -> None:
    """One line says how many there are and what to write."""
    prepare(tmp_path, 2)

    with pytest.raises(ConfigError, match=r"has 2 partitions, not 3; write dataflow\.recovery_partitions: 2"):
        prepare(tmp_path, 3)


def test_the_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    """Whoever can write snapshots can run code, so nobody else may."""
    prepare(tmp_path / "recovery", 1)

    assert (tmp_path / "recovery").stat().st_mode & 0o077 == 0


def test_a_second_dataflow_on_the_folder_is_refused(tmp_path: Path) -> None:
    """Two flows on one recovery store would spoil it; the second is told so."""
    with only_one(tmp_path), pytest.raises(ConfigError, match="already runs"), only_one(tmp_path):
        pass
