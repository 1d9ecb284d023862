"""Uses of tools wait for their calls and for whose they are, and are told once and in order."""

import msgspec

from tokensense_otel.dataflow.facts import ToolUse
from tokensense_otel.dataflow.rules.evaluation.tool_room import MAX_WAITING, WAIT_NS, ToolRoom


def _use(number: int, sign: int = 1) -> ToolUse:
    return ToolUse(
        tenant="default",
        project="default",
        team="agents",
        session="s1",
        trace_id=bytes(16),
        scope="sdk",
        name="search",
        args_hash="aa",
        time_ns=number,
        sign=sign,
    )


def test_a_use_waits_for_five_seconds() -> None:
    """Not a nanosecond less; the room says when to come."""
    room = ToolRoom()
    assert room.admit([_use(2), _use(1)], 100) == []
    assert room.next_wake() == 100 + WAIT_NS
    assert room.release(99 + WAIT_NS) == []
    assert room.release(100 + WAIT_NS) == [_use(2), _use(1)]
    assert room.next_wake() is None


def test_a_use_that_is_taken_back_while_it_waits_was_never_told() -> None:
    """Of two alike one is left; what does not wait any more is taken back from the rules."""
    room = ToolRoom()
    assert room.admit([_use(1), _use(1), _use(2), _use(1, -1), _use(2, -1), _use(3, -1)], 0) == [_use(3, -1)]
    assert room.release(WAIT_NS) == [_use(1)]


def test_a_full_room_lets_the_oldest_go() -> None:
    """Memory is bounded; who goes early is judged early, not lost."""
    room = ToolRoom()
    room.admit([_use(number) for number in range(MAX_WAITING + 2)], 0)
    assert room.release(0) == [_use(0), _use(1)]


def test_a_restart_keeps_who_waits() -> None:
    """And since when."""
    room, again = ToolRoom(), ToolRoom()
    room.admit([_use(1), _use(1)], 7)
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(room.state()), type=list[tuple[ToolUse, list[int]]])
    again.load(state)
    assert again.next_wake() == 7 + WAIT_NS
    assert again.release(7 + WAIT_NS) == [_use(1), _use(1)]
