"""The one adapter between our logics and Bytewax: a shard with one timer.

A logic is a plain class with `ingest`, `advance(now_ns)`, `next_wake()` and `snapshot()`; nothing in it knows Bytewax.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

from bytewax.operators import StatefulBatchLogic

from tokensense_otel.dataflow.clock import LogClock

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)
V = TypeVar("V")
W = TypeVar("W")

# While log time lags behind the wall clock, a due timer is looked at again only this often.
_LAGGING = timedelta(seconds=1)


class Shard(Protocol[In_contra, Out_co]):
    def ingest(self, value: In_contra, /) -> Iterable[Out_co]: ...
    def advance(self, now_ns: int, /) -> Iterable[Out_co]: ...
    def next_wake(self) -> int | None:
        """Log time in Unix nanoseconds at which `advance` has something to do."""

    def snapshot(self) -> bytes: ...


class Stage(StatefulBatchLogic[V, W, bytes], Generic[V, W]):
    def __init__(self, shard: Shard[V, W], clock: LogClock) -> None:
        self._shard = shard
        self._clock = clock

    def on_batch(self, values: list[V]) -> tuple[list[W], bool]:
        return [out for value in values for out in self._shard.ingest(value)], self.RETAIN

    def on_notify(self) -> tuple[list[W], bool]:
        return list(self._shard.advance(self._clock.now())), self.RETAIN

    def notify_at(self) -> datetime | None:
        wake_ns = self._shard.next_wake()
        if wake_ns is None:
            return None
        wake = datetime.fromtimestamp(wake_ns / 1e9, UTC)
        now = datetime.fromtimestamp(self._clock.wall() / 1e9, UTC)
        return wake if wake > now else now + _LAGGING

    def snapshot(self) -> bytes:
        return self._shard.snapshot()


def builder(make: Callable[[bytes | None], Shard[V, W]], clock: LogClock) -> Callable[[bytes | None], Stage[V, W]]:
    """What `stateful_batch` wants: a logic from its last snapshot, or from nothing."""
    return lambda resume: Stage(make(resume), clock)
