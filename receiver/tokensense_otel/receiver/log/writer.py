"""Writes the embedded log: many appends, one sync of the disk.

Delivery: an `append` that returned is on the disk (`fdatasync`). One thread takes whatever waits, writes it to one
partition (the next in turn), syncs once, and wakes those who wait; while it syncs, the next group gathers.

A write that failed half-way is cut off and its segment abandoned: after a failed sync nobody knows what the disk
holds, so those bytes are never trusted, and the next commit begins a new segment at an offset that was never used.
"""

import asyncio
import fcntl
import os
import threading
from collections import deque
from pathlib import Path
from typing import Final

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.core.errors import ConfigError, Retryable, TokenSenseError, TooLarge
from tokensense_otel.receiver.log import events
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.entry import Entry, encode_entry
from tokensense_otel.receiver.log.files import ensure_layout, list_segments, partition_names
from tokensense_otel.receiver.log.partition import PartitionWriter
from tokensense_otel.receiver.log.segment import MAX_PAYLOAD_BYTES

_DISK_DELAY_S: Final = 2.0
_BUSY_DELAY_S: Final = 1.0

_Waiting = tuple[bytes, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class EmbeddedWriter:
    """A `LogWriter` over a log's folder. There is at most one at a time, in any process."""

    def __init__(self, config: LogConfig, directory: Path, clock: Clock = system_clock) -> None:
        self._config = config
        self._directory = directory
        self._clock = clock
        self._partitions: list[PartitionWriter] = []
        self._turn = 0
        self._disk_bytes = 0
        self._troubled = False
        self._full = False
        self._lock_file: int | None = None
        self._wake = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._open = False
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        await asyncio.to_thread(self._start)

    async def append(self, entry: Entry) -> None:
        payload = encode_entry(entry)
        if len(payload) > min(MAX_PAYLOAD_BYTES, self._config.max_entry_bytes):
            raise TooLarge(f"a request of {len(payload)} bytes does not fit on the log; send smaller batches")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        with self._wake:
            if not self._open:
                raise Retryable("the log is closed", delay_s=_DISK_DELAY_S)
            if self._waiting_bytes and self._waiting_bytes + len(payload) > self._config.max_pending_bytes:
                raise Retryable("too much is waiting for the disk", delay_s=_BUSY_DELAY_S)
            self._waiting.append((payload, loop, done))
            self._waiting_bytes += len(payload)
            self._wake.notify()
        await done

    async def stop(self) -> None:
        with self._wake:
            self._open = False
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        self._release()

    def _start(self) -> None:
        ensure_layout(self._directory, self._config.partitions)
        self._lock_file = _lock(self._directory)
        try:
            self._partitions = [
                PartitionWriter(self._directory / name, self._config.segment_bytes, self._clock)
                for name in partition_names(self._config.partitions)
            ]
            self._measure()
        except OSError as error:
            self._release()
            raise ConfigError(f"log: {self._directory} cannot be written: {error}") from error
        self._open = True
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def _release(self) -> None:
        for partition in self._partitions:
            partition.close()
        self._partitions = []
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _run(self) -> None:
        while group := self._next_group():
            try:
                error = self._commit([payload for payload, _, _ in group])
            except Exception as unforeseen:  # noqa: BLE001 - whatever it is, senders get an answer and the log goes on
                events.WRITER_FAILED(reason=repr(unforeseen))
                error = Retryable("the log could not write", delay_s=_DISK_DELAY_S)
            _wake_all(group, error)

    def _next_group(self) -> list[_Waiting]:
        """What waits, up to about `commit_bytes`; blocks until there is some, empty when the log is closed."""
        group: list[_Waiting] = []
        size = 0
        with self._wake:
            while not self._waiting and self._open:
                self._wake.wait()
            while self._waiting and (not group or size + len(self._waiting[0][0]) <= self._config.commit_bytes):
                group.append(self._waiting.popleft())
                size += len(group[-1][0])
            self._waiting_bytes -= size
        return group

    def _commit(self, payloads: list[bytes]) -> TokenSenseError | None:
        """Make a group durable; what to tell its senders when that failed."""
        size = sum(len(payload) for payload in payloads)
        if not self._fits(size):
            events.COMMIT_FAILED(len(payloads))
            return Retryable("the log is full until the dataflow has read on", delay_s=_DISK_DELAY_S)
        partition = self._partitions[self._turn]
        self._turn = (self._turn + 1) % len(self._partitions)
        try:
            written = partition.append(payloads)
        except OSError as error:
            events.COMMIT_FAILED(len(payloads))
            if not self._troubled:
                events.DISK_FAILING(reason=str(error), partition=partition.name)
            self._troubled = True
            return Retryable(f"the log's disk refuses to write: {error.strerror}", delay_s=_DISK_DELAY_S)
        if self._troubled:
            events.DISK_RECOVERED()
            self._troubled = False
        self._disk_bytes += written
        events.COMMITS()
        events.APPENDED_BYTES(written)
        events.DISK_BYTES.set(self._disk_bytes)
        return None

    def _fits(self, size: int) -> bool:
        """Whether there is room under `max_bytes`. Readers make room by deleting files: look again first."""
        if self._disk_bytes + size > self._config.max_bytes:
            self._measure()
        full = self._disk_bytes + size > self._config.max_bytes
        if full and not self._full:
            events.FULL(bytes=self._disk_bytes, max_bytes=self._config.max_bytes)
        self._full = full
        return not full

    def _measure(self) -> None:
        total = 0
        for partition in self._partitions:
            for _, path in list_segments(partition.folder):
                try:
                    total += path.stat().st_size
                except FileNotFoundError:
                    continue
        self._disk_bytes = total
        events.DISK_BYTES.set(total)


def _lock(directory: Path) -> int:
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise ConfigError(
            f"log: another receiver is writing to {directory}; stop it or use another data_dir"
        ) from error
    return handle


def _wake_all(group: list[_Waiting], error: TokenSenseError | None) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for _, loop, done in group:
        by_loop.setdefault(loop, []).append(done)
    for loop, futures in by_loop.items():
        # A loop that is closed has nobody left who waits.
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, futures, error)


def _resolve(futures: list["asyncio.Future[None]"], error: TokenSenseError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
