"""The log's one interface. Every implementation passes `tests/contract/test_log.py`.

Delivery: an `append` that returned is durable and will be read at least once, in order within its partition. Reading
starts from any position that `read` handed out; only what was committed may be trimmed.
"""

from typing import NamedTuple, Protocol

from tokensense_otel.receiver.log.entry import Entry

Position = str
"""Opaque and ordered within its partition; safe to keep on disk. `START` is before the first entry."""

START: Position = ""


class LogStatus(NamedTuple):
    """How a log is, over all partitions: what it takes on disk, what is not committed, and since when (Unix ns)."""

    disk_bytes: int
    uncommitted_bytes: int
    oldest_uncommitted_ns: int | None

    def lag_s(self, now_ns: int) -> float:
        """For how long the oldest uncommitted entry has been waiting, in seconds."""
        return max(0, now_ns - self.oldest_uncommitted_ns) / 1e9 if self.oldest_uncommitted_ns is not None else 0.0


class LogWriter(Protocol):
    async def start(self) -> None:
        """Open the log for writing.

        Raises:
            ConfigError: when it cannot be opened here (another writer, a folder not writable).
        """

    async def append(self, entry: Entry) -> None:
        """Return once the entry is durable.

        Raises:
            Retryable: the log is full, the disk is full or failing, or too much is waiting; nothing was kept.
            TooLarge: the entry is larger than the log can ever take.
        """

    async def stop(self) -> None:
        """Finish the appends that are under way, then release the log."""


class PartitionReader(Protocol):
    def read(self, position: Position, max_bytes: int) -> tuple[list[Entry], Position]:
        """Entries after `position` up to about `max_bytes` (at least one if there is one), and where they end.

        Never blocks: no entries and the same position means that nothing is there yet. An entry that cannot be
        decoded is counted and passed over.
        """
        ...

    def commit(self, position: Position) -> None:
        """Everything up to `position` is consumed for good; the log may trim it."""

    def close(self) -> None: ...


class LogReader(Protocol):
    def partitions(self) -> list[str]:
        """The names of the partitions: fixed for the life of the log."""
        ...

    def open(self, partition: str) -> PartitionReader: ...

    def status(self) -> LogStatus:
        """How much is on the log, and how far its readers are behind."""
        ...
