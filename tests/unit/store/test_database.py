"""The store opens, or says in one line why it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.store.database import open_database, writing
from tokensense_otel.store.schema import meta


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    """A file that a newer TokenSense wrote is left alone."""
    engine = open_database("sqlite", data_dir=tmp_path)
    with writing(engine).begin() as connection:
        connection.execute(meta.update().where(meta.c.name == "version").values(value="99"))
    engine.dispose()

    with pytest.raises(ConfigError, match=r"has version 99, this TokenSense reads version 2"):
        open_database("sqlite", data_dir=tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Bytes that are not SQLite's give one line with the path."""
    (tmp_path / "store.db").write_bytes(b"this is not a database, it is a longer text" * 40)

    with pytest.raises(ConfigError, match=r"store\.url: .*store\.db cannot be opened"):
        open_database("sqlite", data_dir=tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A data folder below a file gives one line with what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"cannot be made .* write a folder you own"):
        open_database("sqlite", data_dir=tmp_path / "file" / "data")


def test_parts_that_first_start_together_all_open_the_store(tmp_path: Path) -> None:
    """Eight processes that make the same store at once take turns, and none fails."""
    code = (
        "import sys, pathlib; from tokensense_otel.store.database import open_database as o; "
        "o('sqlite', data_dir=pathlib.Path(sys.argv[1])).dispose()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(8)]

    assert [process.wait(timeout=60) for process in processes] == [0] * 8
