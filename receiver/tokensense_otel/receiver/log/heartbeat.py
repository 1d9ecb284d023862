"""Heartbeats on the log: entries that hold no request, and whose way to the store shows that all between them works.

Their tenant is a name that no sender can have, and in an empty body any reader finds nothing.
"""

from typing import Final

from tokensense_otel.receiver.log.entry import Entry, Signal

_TENANT: Final = "\0heartbeat:"


def heartbeat(name: str, now_ns: int) -> Entry:
    """A sign of life of the process `name` at `now_ns`."""
    return Entry(Signal.TRACES, _TENANT + name, "", now_ns, b"")


def heartbeat_of(entry: Entry) -> str:
    """The process whose heartbeat an entry is; empty for a request."""
    return entry.tenant.removeprefix(_TENANT) if not entry.body and entry.tenant.startswith(_TENANT) else ""
