"""Silences and acknowledgements on record: who said so, why, until when. An ended one stays, as history."""

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Engine

from tokensense_otel.core.mutes import Matcher, Mute, MuteKind
from tokensense_otel.store import events
from tokensense_otel.store.database import writing
from tokensense_otel.store.schema import deliveries, mutes


class Mutes:
    def __init__(self, engine: Engine) -> None:
        self._reading = engine
        self._writing = writing(engine)

    def add(
        self,
        kind: MuteKind,
        matchers: Sequence[Matcher],
        *,
        starts_ns: int,
        ends_ns: int,
        by: str,
        reason: str,
        now_ns: int,
    ) -> Mute:
        """Put one on record, in force from `starts_ns`."""
        mute = Mute(
            id=f"{_PREFIX[kind]}_{secrets.token_hex(6)}",
            kind=kind,
            matchers=tuple(matchers),
            starts_ns=starts_ns,
            ends_ns=ends_ns,
            by=by,
            reason=reason,
            created_ns=now_ns,
        )
        row = msgspec.structs.asdict(mute) | {"matchers": msgspec.json.encode(mute.matchers).decode()}
        with self._writing.begin() as connection:
            connection.execute(mutes.insert().values(row))
        events.MUTED(kind=kind.value, mute=mute.id, by=by)
        return mute

    def end(self, mute_id: str, now_ns: int) -> Mute | None:
        """End one now and let go of what it holds back. `None` where there is none in force or to come."""
        with self._writing.begin() as connection:
            row = connection.execute(sa.select(mutes).where(mutes.c.id == mute_id, mutes.c.ends_ns > now_ns)).first()
            if row is None:
                return None
            connection.execute(mutes.update().where(mutes.c.id == mute_id).values(ends_ns=now_ns))
            connection.execute(deliveries.update().where(deliveries.c.held == mute_id).values(next_ns=0, held=""))
        events.UNMUTED(kind=row.kind, mute=mute_id)
        return msgspec.structs.replace(_mute(row), ends_ns=now_ns)

    def active(self, now_ns: int) -> list[Mute]:
        """Those in force, the one that lasts longest first."""
        query = sa.select(mutes).where(mutes.c.starts_ns <= now_ns, mutes.c.ends_ns > now_ns)
        return self._read(query.order_by(mutes.c.ends_ns.desc(), mutes.c.id))

    def listing(self, *, now_ns: int | None = None, limit: int = 1000) -> list[Mute]:
        """The newest, newest first; with `now_ns` those only that are in force or to come."""
        query = sa.select(mutes).order_by(mutes.c.created_ns.desc(), mutes.c.id).limit(limit)
        return self._read(query if now_ns is None else query.where(mutes.c.ends_ns > now_ns))

    def _read(self, query: sa.Select[Any]) -> list[Mute]:
        with self._reading.connect() as connection:
            return [_mute(row) for row in connection.execute(query)]


_PREFIX = {MuteKind.SILENCE: "sil", MuteKind.ACKNOWLEDGEMENT: "ack"}


def _mute(row: Any) -> Mute:
    fields = {name: getattr(row, name) for name in Mute.__struct_fields__}
    matchers = msgspec.json.decode(fields["matchers"], type=tuple[Matcher, ...])
    return Mute(**fields | {"kind": MuteKind(row.kind), "matchers": matchers})
