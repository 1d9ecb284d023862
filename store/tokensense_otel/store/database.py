"""Open the store's database. SQLite in WAL mode serves all of TokenSense's processes on one machine.

Delivery: a committed transaction is on disk (`synchronous=FULL`), because the dataflow's recovery point may only ever
be behind the store, never ahead of it.
"""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.schema import CreateColumn

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.store.schema import VERSION, meta, metadata

_BUSY_MS = 10_000


def database_path(url: str, data_dir: Path) -> Path:
    """The file behind a store url: `sqlite` lives in the data folder."""
    return data_dir / "store.db" if url == "sqlite" else Path(url.removeprefix("sqlite:///"))


def open_database(url: str, *, data_dir: Path) -> Engine:
    """An engine whose tables exist and have this version's shape.

    Raises:
        ConfigError: when the file cannot be opened or was written by a newer version.
    """
    path = database_path(url, data_dir)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"store.url: {path.parent} cannot be made ({error.strerror}); write a folder you own"
        ) from None
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_MS / 1000})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin_immediate)
    try:
        with writing(engine).begin() as connection:  # parts that start together take turns
            metadata.create_all(connection)
            _check_version(connection, path)
            _add_columns(connection)
    except ConfigError:
        engine.dispose()
        raise
    except DatabaseError as error:
        engine.dispose()
        raise ConfigError(f"store.url: {path} cannot be opened ({error.orig}); write a file you own") from None
    return engine


def _add_columns(connection: Connection) -> None:
    """Columns that came after the file was made: those with a default, at the end of their table."""
    for table in metadata.tables.values():
        there = {row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table.name})")}
        for column in table.columns:
            if column.name not in there:
                declared = CreateColumn(column).compile(connection)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {declared}")


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event opens transactions, not the driver
    for pragma in (f"busy_timeout={_BUSY_MS}", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Any) -> None:
    """A read that turns into a write fails at once when another process wrote in between; say so up front instead."""
    writes = connection.get_execution_options().get("tokensense_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def writing(engine: Engine) -> Engine:
    """The same engine for transactions that write: they wait for their turn instead of failing half-way."""
    return engine.execution_options(tokensense_write=True)


def _check_version(connection: Connection, path: Path) -> None:
    found = connection.execute(select(meta.c.value).where(meta.c.name == "version")).scalar()
    if found is None:
        connection.execute(meta.insert().values(name="version", value=str(VERSION)))
    elif found != str(VERSION):
        raise ConfigError(
            f"store.url: {path} has version {found}, this TokenSense reads version {VERSION}; "
            "start the TokenSense that wrote it, or write another file"
        )
