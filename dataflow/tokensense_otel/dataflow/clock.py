"""Log time: what "now" means to a dataflow that may be behind.

While entries wait to be read, now is when the oldest of them was received; once everything is read, now is the wall
clock. So catching up after an outage closes no trace and resolves no finding too early, and idle streams still end.
"""

from tokensense_otel.core.component import Clock


class LogClock:
    def __init__(self, wall: Clock) -> None:
        self._wall = wall
        self._behind: dict[str, int] = {}

    def read(self, partition: str, received_ns: int) -> None:
        """`partition` gave an entry received then; more may follow."""
        self._behind[partition] = received_ns

    def drained(self, partition: str) -> None:
        """`partition` has nothing more to read."""
        self._behind.pop(partition, None)

    def now(self) -> int:
        """Log time in Unix nanoseconds."""
        wall = self._wall()
        return min(wall, *self._behind.values()) if self._behind else wall

    def wall(self) -> int:
        return self._wall()
