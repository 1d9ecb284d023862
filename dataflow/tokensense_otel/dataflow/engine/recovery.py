"""Make the recovery store ready before a start, in a process of its own.

Bytewax leaves two things behind that it never cleans up: snapshots of an epoch that did not commit (a second crash
may load one and count its input twice), and empty rows for keys that were dropped. Both are removed here. Never in
the process that runs the flow: Bytewax brings its own SQLite, and two copies in one process break the file locks that
protect the write-ahead log.

    python -m tokensense_otel.dataflow.engine.recovery FOLDER PARTITIONS
"""

import contextlib
import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.dataflow import events


def prepare(folder: Path, partitions: int) -> None:
    """Create or clean the recovery store.

    Raises:
        ConfigError: when the folder cannot be used, or holds another number of partitions.
    """
    command = [sys.executable, "-m", "tokensense_otel.dataflow.engine.recovery", str(folder), str(partitions)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode:
        problem = done.stderr.strip().splitlines() or ["it ended without a word"]
        raise ConfigError(f"recovery folder {folder}: {problem[-1]}")
    removed = int(done.stdout or 0)
    if removed:
        events.RECOVERY_CLEANED(removed)


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder for this process.

    Raises:
        ConfigError: when another dataflow runs on it.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigError(f"another dataflow already runs on {folder}; stop it, or write another data_dir") from None
    try:
        yield
    finally:
        os.close(descriptor)


def clean(folder: Path) -> int:
    """Remove aborted snapshots and tombstones from every partition; the number of rows removed."""
    databases = [sqlite3.connect(path) for path in sorted(folder.glob("*.sqlite3"))]
    try:
        resume = _resume_epoch(databases)
        return 0 if resume is None else sum(_clean(database, resume) for database in databases)
    finally:
        for database in databases:
            database.close()


def _resume_epoch(databases: list[sqlite3.Connection]) -> int | None:
    """The epoch at which Bytewax will go on: the least frontier over the workers of the last execution."""
    executions = [
        row for database in databases for row in database.execute("SELECT ex_num, worker_count, resume_epoch FROM exs")
    ]
    if not executions:
        return None
    execution, workers, start = max(executions)
    frontiers = dict.fromkeys(range(workers), int(start))
    query = "SELECT worker_index, worker_frontier FROM fronts WHERE ex_num = ?"
    for database in databases:
        for worker, frontier in database.execute(query, (execution,)):
            frontiers[worker] = max(frontiers[worker], frontier)
    return min(frontiers.values())


def _clean(database: sqlite3.Connection, resume: int) -> int:
    removed = database.execute("DELETE FROM snaps WHERE snap_epoch >= ?", (resume,)).rowcount
    removed += database.execute(
        """DELETE FROM snaps WHERE (step_id, state_key) IN (
             SELECT step_id, state_key FROM (
               SELECT step_id, state_key, ser_change, max(snap_epoch) FROM snaps GROUP BY step_id, state_key)
             WHERE ser_change IS NULL)"""
    ).rowcount
    database.commit()
    return removed


def _main(folder: Path, partitions: int) -> None:
    from bytewax.recovery import init_db_dir

    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # snapshots are pickled by Bytewax: whoever writes here runs code there
    found = len(list(folder.glob("*.sqlite3")))
    if not found:
        init_db_dir(folder, partitions)  # type: ignore[no-untyped-call]
    elif found != partitions:
        sys.exit(f"it has {found} partitions, not {partitions}; write dataflow.recovery_partitions: {found}")
    print(clean(folder))  # noqa: T201 - the answer to the parent process


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]))
