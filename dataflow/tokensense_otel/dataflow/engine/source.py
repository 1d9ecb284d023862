"""Read the log into Bytewax, one source partition for each partition of the log.

Delivery: at least once. A snapshot holds the position after the last entry that was handed out; entries behind the
last durable snapshot are read again after a crash, together with the state as it was then.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from tokensense_otel.dataflow import events
from tokensense_otel.dataflow.clock import LogClock
from tokensense_otel.receiver.log.entry import Entry
from tokensense_otel.receiver.log.log import START, LogReader, PartitionReader, Position


class Stop:
    """Asks the sources to end: at once when the log is read, else when `drain_s` have passed."""

    def __init__(self, requested: threading.Event, drain_s: float, monotonic: Callable[[], float]) -> None:
        self._requested = requested
        self._drain_s = drain_s
        self._monotonic = monotonic
        self._deadline: float | None = None

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    def due(self, *, drained: bool) -> bool:
        if not self.requested:
            return False
        if self._deadline is None:
            self._deadline = self._monotonic() + self._drain_s
        return drained or self._monotonic() >= self._deadline


class LogPartition(StatefulSourcePartition[Entry, Position]):
    def __init__(
        self,
        name: str,
        reader: PartitionReader,
        position: Position,
        *,
        batch_bytes: int,
        idle: timedelta,
        clock: LogClock,
        stop: Stop,
    ) -> None:
        self._name = name
        self._reader = reader
        self._position = position
        self._batch_bytes = batch_bytes
        self._idle = idle
        self._clock = clock
        self._stop = stop
        self._drained = False
        self._finished = False
        self._snapshot: Position | None = None

    def next_batch(self) -> list[Entry]:
        # Bytewax polls a source in a new epoch only when the epoch before it is durable on every worker, so the first
        # poll after a snapshot proves that snapshot: only now may the log forget what lies behind it.
        if self._snapshot is not None:
            self._reader.commit(self._snapshot)
            self._snapshot = None
            events.COMMITTED_AT.set(self._clock.wall() / 1e9)
        if self._stop.due(drained=self._finished):
            raise StopIteration
        requested = self._stop.requested
        entries, self._position = self._reader.read(self._position, self._batch_bytes)
        self._drained = not entries
        # Only a look that came after the request proves that all is read which was accepted before it.
        self._finished = requested and self._drained
        if entries:
            self._clock.read(self._name, entries[0].received_ns)
        else:
            self._clock.drained(self._name)
        return entries

    def next_awake(self) -> datetime | None:
        return datetime.now(UTC) + self._idle if self._drained else None

    def snapshot(self) -> Position:
        self._snapshot = self._position
        return self._position

    def close(self) -> None:
        self._reader.close()


class LogSource(FixedPartitionedSource[Entry, Position]):
    def __init__(self, log: LogReader, *, batch_bytes: int, idle_wait_ms: int, clock: LogClock, stop: Stop) -> None:
        self._log = log
        self._batch_bytes = batch_bytes
        self._idle = timedelta(milliseconds=idle_wait_ms)
        self._clock = clock
        self._stop = stop

    def list_parts(self) -> list[str]:
        return self._log.partitions()

    def build_part(self, step_id: str, for_part: str, resume_state: Position | None) -> LogPartition:  # noqa: ARG002
        return LogPartition(
            for_part,
            self._log.open(for_part),
            START if resume_state is None else resume_state,
            batch_bytes=self._batch_bytes,
            idle=self._idle,
            clock=self._clock,
            stop=self._stop,
        )
