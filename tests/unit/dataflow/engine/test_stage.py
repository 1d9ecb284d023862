"""The adapter hands batches and time to a shard, and never spins on a timer that log time has not reached."""

from datetime import UTC, datetime, timedelta

from tests.support.calls import NOON, SECOND
from tokensense_otel.dataflow.clock import LogClock
from tokensense_otel.dataflow.engine.stage import Stage


class Shard:
    wake: int | None = None
    advanced_to: int | None = None

    def ingest(self, value: str, /) -> list[str]:
        return [value.upper(), value]

    def advance(self, now_ns: int, /) -> list[str]:
        self.advanced_to = now_ns
        return ["tick"]

    def next_wake(self) -> int | None:
        return self.wake

    def snapshot(self) -> bytes:
        return b"state"


def at(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns / 1e9, UTC)


def stage() -> tuple[Shard, LogClock, Stage[str, str]]:
    shard, clock = Shard(), LogClock(lambda: NOON)
    return shard, clock, Stage(shard, clock)


def test_a_batch_goes_through_in_order_and_the_state_stays() -> None:
    """Every value's output follows in order; a stage never discards its key."""
    _, _, adapter = stage()

    assert adapter.on_batch(["a", "b"]) == (["A", "a", "B", "b"], False)
    assert adapter.snapshot() == b"state"


def test_a_timer_in_the_future_is_set_as_it_is() -> None:
    """A wake time ahead of the wall clock is what Bytewax is asked for."""
    shard, _, adapter = stage()
    assert adapter.notify_at() is None

    shard.wake = NOON + 60 * SECOND

    assert adapter.notify_at() == at(shard.wake)


def test_a_timer_that_log_time_has_not_reached_is_asked_for_again_only_after_a_second() -> None:
    """While the flow catches up, a timer that is due by the wall clock does not spin."""
    shard, clock, adapter = stage()
    clock.read("p000", NOON - 3600 * SECOND)
    shard.wake = NOON - 1800 * SECOND

    assert adapter.notify_at() == at(NOON) + timedelta(seconds=1)
    assert adapter.on_notify() == (["tick"], False)
    assert shard.advanced_to == NOON - 3600 * SECOND
