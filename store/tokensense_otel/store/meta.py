"""Single values by name."""

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite import insert

from tokensense_otel.store import schema


def get_meta(connection: Connection, name: str) -> str | None:
    value: str | None = connection.execute(sa.select(schema.meta.c.value).where(schema.meta.c.name == name)).scalar()
    return value


def set_meta(connection: Connection, name: str, value: str) -> None:
    statement = insert(schema.meta).values(name=name, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
