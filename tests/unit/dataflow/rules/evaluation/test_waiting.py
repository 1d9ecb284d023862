"""An unattributed call waits for its team where its root may still name it, and nowhere else."""

from tests.support.calls import NOON, SECOND, a_call, posted
from tokensense_otel.core.call import Call, Dimensions, Posting
from tokensense_otel.dataflow.rules.evaluation.waiting import WaitingRoom

NOBODY = Dimensions(service="cart")


def unattributed(number: int, **changes: object) -> Call:
    return a_call(span_id=number.to_bytes(8, "big"), dimensions=NOBODY, **changes)


def reversed_(call: Call) -> list[Posting]:
    return [Posting(-1, call)]


def settled_room() -> WaitingRoom:
    """A room that has known the service for longer than it takes to learn, and saw no team named late."""
    room = WaitingRoom(15)
    room.admit(posted(unattributed(1)), NOON - 100 * SECOND)
    room.release(NOON)
    return room


def test_a_call_with_a_team_is_judged_at_once() -> None:
    """Whoever names the team on the span or its resource waits for nothing."""
    postings = posted(a_call())

    assert WaitingRoom(15).admit(postings, NOON) == postings


def test_a_root_is_judged_at_once() -> None:
    """Nothing above a root can still name its team."""
    postings = posted(unattributed(1, root=True))

    assert WaitingRoom(15).admit(postings, NOON) == postings


def test_a_call_whose_root_names_the_team_in_time_is_never_judged_as_unattributed() -> None:
    """Posted and reversed within the wait, it reaches the rules under its team only."""
    room = WaitingRoom(15)
    call = unattributed(1)

    assert room.admit(posted(call), NOON) == []
    assert room.admit(reversed_(call), NOON + 5 * SECOND) == []
    assert room.release(NOON + 60 * SECOND) == []


def test_a_call_that_nobody_claims_is_judged_when_its_wait_is_over() -> None:
    """After `wait_s`, and not before, it is judged as unattributed, and a later reversal follows it."""
    room = WaitingRoom(15)
    call = unattributed(1)
    room.admit(posted(call), NOON)

    assert room.next_wake() == NOON + 15 * SECOND
    assert room.release(NOON + 15 * SECOND - 1) == []
    assert room.release(NOON + 15 * SECOND) == posted(call)
    assert room.admit(reversed_(call), NOON + 20 * SECOND) == reversed_(call)


def test_a_service_that_never_names_a_team_stops_waiting() -> None:
    """A minute after its first call without a late team, its calls are judged at once."""
    room = settled_room()

    assert room.admit(posted(unattributed(2)), NOON) == posted(unattributed(2))


def test_a_service_that_named_a_team_late_waits_again() -> None:
    """A reversal of an unattributed call is what a late team looks like."""
    room = settled_room()
    room.admit(reversed_(unattributed(2)), NOON)

    assert room.admit(posted(unattributed(3)), NOON + SECOND) == []


def test_waiting_can_be_turned_off() -> None:
    """With `attribution_wait_s: 0` everything is judged at once."""
    postings = posted(unattributed(1))

    assert WaitingRoom(0).admit(postings, NOON) == postings


def test_who_waits_survives_a_restart() -> None:
    """A restored room releases, reverses and remembers as the one that was lost."""
    room = settled_room()
    room.admit(reversed_(unattributed(2)), NOON)
    room.admit(posted(unattributed(3), unattributed(4)), NOON)

    restored = WaitingRoom.restore(15, room.snapshot())

    assert restored.admit(reversed_(unattributed(3)), NOON) == []
    assert restored.release(NOON + 15 * SECOND) == posted(unattributed(4))
    assert restored.admit(posted(unattributed(5)), NOON + SECOND) == []
