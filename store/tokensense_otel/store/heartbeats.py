"""How far heartbeats came: of each receiver's process the newest that reached the store, and of those the oldest that
the exporters saw there.

A heartbeat is the time (Unix ns) at which a receiver put it on the log, whoever passes it on.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from tokensense_otel.store import schema
from tokensense_otel.store.database import writing
from tokensense_otel.store.meta import get_meta, set_meta

_STORE: Final = "heartbeat:store:"
_EXPORTERS: Final = "heartbeat:exporters"


class Heartbeats(NamedTuple):
    """`store` by process, `exporters` what went all the way; 0 where there was none."""

    store: dict[str, int]
    exporters: int

    def oldest(self, names: Iterable[str]) -> int:
        """The newest heartbeat in the store of whichever of these processes is furthest behind; 0 if one has none."""
        return min((self.store.get(name, 0) for name in names), default=0)


def stamp(connection: Connection, beats: Mapping[str, int]) -> None:
    """Heartbeats came; one that is read again after a crash takes nothing back."""
    for name, beat_ns in beats.items():
        if beat_ns > int(get_meta(connection, _STORE + name) or 0):
            set_meta(connection, _STORE + name, str(beat_ns))


def pass_on(engine: Engine, beat_ns: int) -> None:
    """The exporters saw this heartbeat."""
    with writing(engine).begin() as connection:
        set_meta(connection, _EXPORTERS, str(beat_ns))


def read_heartbeats(engine: Engine) -> Heartbeats:
    name = schema.meta.c.name
    with engine.connect() as connection:
        rows = connection.execute(sa.select(name, schema.meta.c.value).where(name.like("heartbeat:%"))).all()
    beats = {row.name: int(row.value) for row in rows}
    exporters = beats.pop(_EXPORTERS, 0)
    return Heartbeats({name.removeprefix(_STORE): beat_ns for name, beat_ns in beats.items()}, exporters)
