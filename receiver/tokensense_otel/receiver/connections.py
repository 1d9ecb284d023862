"""How many connections there may be, and who goes when there are too many: the one that has been idle the longest.

A connection between two requests has nothing to lose; its sender opens another. So idle connections by the thousand,
meant badly or not, keep nobody from sending.
"""

from typing import Protocol


class Connection(Protocol):
    def hang_up(self) -> None:
        """Close it."""


class Connections:
    """The connections of one server, `most` at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._busy: set[Connection] = set()
        self._idle: dict[Connection, None] = {}  # in the order in which they became idle

    def __len__(self) -> int:
        return len(self._busy) + len(self._idle)

    def enter(self, connection: Connection) -> bool:
        """Let a new connection in, in place of an idle one if need be. False when all are at work."""
        if len(self) >= self._most:
            if not self._idle:
                return False
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            oldest.hang_up()
        self._idle[connection] = None
        return True

    def begin(self, connection: Connection) -> None:
        """It has a request at work."""
        if connection in self._idle:
            del self._idle[connection]
            self._busy.add(connection)

    def end(self, connection: Connection) -> None:
        """It is between two requests."""
        if connection in self._busy:
            self._busy.discard(connection)
            self._idle[connection] = None

    def leave(self, connection: Connection) -> None:
        """It is closed; safe to say of one that was never let in."""
        self._busy.discard(connection)
        self._idle.pop(connection, None)
