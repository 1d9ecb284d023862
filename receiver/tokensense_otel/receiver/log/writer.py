"""Writes the embedded log: many appends, one sync of the disk.

Delivery: an `append` that returned is on the disk (`fdatasync`). One thread takes whatever waits, writes it to one
partition (the next in turn), syncs once, and wakes those who wait; while it syncs, the next group gathers.

A write that failed half-way is cut off and its segment abandoned: after a failed sync nobody knows what the disk
holds, so those bytes are never trusted, and the next commit begins a new segment at an offset that was never used.
Whatever is wrong (disk, limits, the folder itself), each commit looks anew: it works again as soon as it can.
"""

import asyncio
import contextlib
import threading
from collections import deque
from pathlib import Path
from typing import Final

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.core.errors import ConfigError, Retryable, TokenSenseError, TooLarge
from tokensense_otel.receiver.log import events
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.entry import Entry, encode_entry
from tokensense_otel.receiver.log.files import disk_bytes, partition_names
from tokensense_otel.receiver.log.lock import FolderLock
from tokensense_otel.receiver.log.partition import PartitionWriter
from tokensense_otel.receiver.log.segment import MAX_PAYLOAD_BYTES
from tokensense_otel.receiver.log.share import WHOLE, Share

_DISK_DELAY_S: Final = 2.0
_BUSY_DELAY_S: Final = 1.0
_LONGEST_WAIT_S: Final = 5.0
_OTHERS_WRITE_NS: Final = 50_000_000
_GROW_OLD_NS: Final = 1_000_000_000

_Waiting = tuple[bytes, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class EmbeddedWriter:
    """A `LogWriter` over a share of the partitions in a log's folder, each of which has one writer at a time."""

    def __init__(
        self,
        config: LogConfig,
        directory: Path,
        clock: Clock = system_clock,
        share: Share = WHOLE,
        wait_s: float = 0.0,
    ) -> None:
        self._config = config
        self._directory = directory
        self._clock = clock
        self._names = partition_names(config.partitions)
        self._share = share
        self._wait_s = wait_s
        self._partitions: list[PartitionWriter] = []
        self._turn = 0
        self._disk_bytes = 0
        self._measured_ns = 0
        self._looked_ns = 0
        self._troubled: set[str] = set()
        self._full = False
        self._lost = False
        self._lock = FolderLock(directory, config.partitions, share.among(self._names))
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
        self._lock.acquire(self._wait_s)
        try:
            self._partitions = [
                PartitionWriter(self._directory / name, self._config.segment_bytes, self._clock)
                for name in self._share.among(self._names)
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
        self._lock.release()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            if group:
                self._answer(group)
            self._finish_old_segments()

    def _answer(self, group: list[_Waiting]) -> None:
        """Commit what waits and say so to those who wait."""
        try:
            error = self._commit([payload for payload, _, _ in group])
        except Exception as unforeseen:  # noqa: BLE001 - whatever it is, senders get an answer and the log goes on
            events.WRITER_FAILED(reason=repr(unforeseen))
            error = Retryable("the log could not write", delay_s=_DISK_DELAY_S)
        _wake_all(group, error)

    def _finish_old_segments(self) -> None:
        """Where nothing fills them, files are finished by age, so that what is accounted does not stay on the disk."""
        now_ns = self._clock()
        if 0 <= now_ns - self._looked_ns < _GROW_OLD_NS:
            return
        self._looked_ns = now_ns
        age_ns = int(self._config.segment_age_s * 1e9)
        try:
            for partition in self._partitions:
                # A disk that refuses is reported when somebody has something to lose by it.
                with contextlib.suppress(OSError):
                    partition.begin_anew(age_ns)
        except Exception as unforeseen:  # noqa: BLE001 - this thread is the only one that writes: it has to go on
            events.WRITER_FAILED(reason=repr(unforeseen))

    def _next_group(self) -> list[_Waiting] | None:
        """What waits, up to about `commit_bytes`; empty when nothing came for a while, `None` when it is closed."""
        group: list[_Waiting] = []
        size = 0
        with self._wake:
            if not self._waiting and self._open:
                self._wake.wait(min(self._config.segment_age_s, _LONGEST_WAIT_S))
            if not self._waiting and not self._open:
                return None
            while self._waiting and (not group or size + len(self._waiting[0][0]) <= self._config.commit_bytes):
                group.append(self._waiting.popleft())
                size += len(group[-1][0])
            self._waiting_bytes -= size
        return group

    def _commit(self, payloads: list[bytes]) -> TokenSenseError | None:
        """Make a group durable; what to tell its senders when that failed."""
        size = sum(len(payload) for payload in payloads)
        if not (self._lock.is_held() or self._regained()):
            events.COMMIT_FAILED(len(payloads))
            return Retryable("the log's folder is missing", delay_s=_DISK_DELAY_S)
        if not self._fits(size):
            events.COMMIT_FAILED(len(payloads))
            return Retryable("the log is full until the dataflow has read on", delay_s=_DISK_DELAY_S)
        partition = self._partitions[self._turn]
        self._turn = (self._turn + 1) % len(self._partitions)
        try:
            written = partition.append(payloads)
        except OSError as error:
            events.COMMIT_FAILED(len(payloads))
            if partition.name not in self._troubled:
                events.DISK_FAILING(reason=str(error), partition=partition.name)
            self._troubled.add(partition.name)
            return Retryable(f"the log's disk refuses to write: {error.strerror}", delay_s=_DISK_DELAY_S)
        if partition.name in self._troubled:
            self._troubled.remove(partition.name)
            events.DISK_RECOVERED(partition=partition.name)
        self._disk_bytes += written
        events.COMMITS()
        events.APPENDED_BYTES(written)
        return None

    def _regained(self) -> bool:
        """Whether the log's folder, which was lost, is ours again."""
        try:
            made = self._lock.regain()
        except (OSError, ConfigError) as error:
            if not self._lost:
                events.FOLDER_LOST(reason=str(error))
            self._lost = True
            return False
        self._lost = False
        if made:
            events.FOLDER_MADE(directory=str(self._directory))
            for partition in self._partitions:
                partition.leave()
            self._measure()
        return True

    def _fits(self, size: int) -> bool:
        """Whether there is room under `max_bytes`. Readers make room by deleting files: look again first."""
        if self._disk_bytes + size > self._config.max_bytes or self._others_wrote():
            self._measure()
        full = self._disk_bytes + size > self._config.max_bytes
        if full and not self._full:
            events.FULL(bytes=self._disk_bytes, max_bytes=self._config.max_bytes)
        if self._full and not full:
            events.HAS_ROOM(bytes=self._disk_bytes, max_bytes=self._config.max_bytes)
        self._full = full
        return not full

    def _others_wrote(self) -> bool:
        """Whether it is time to see what other processes wrote. By as much as that the log may become too large."""
        return self._share.of > 1 and not 0 <= self._clock() - self._measured_ns < _OTHERS_WRITE_NS

    def _measure(self) -> None:
        self._disk_bytes = sum(disk_bytes(self._directory / name) for name in self._names)
        self._measured_ns = self._clock()


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
