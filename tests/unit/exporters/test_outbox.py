"""The outbox: nothing passed over, nothing twice, order within an episode, books that balance."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from tests.unit.exporters.support import NOON, SECOND, FakeClock, an_insight, put, store, story
from tokensense_otel.core.insight import Status
from tokensense_otel.store.outbox import Audit, Delivery, Outbox, State, Verdict


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return store(tmp_path)


def ids(deliveries: list[Delivery]) -> list[str]:
    return [delivery.insight_id for delivery in deliveries]


def test_an_exporter_starts_with_the_next_insight(engine: Engine) -> None:
    """History is not sent to an exporter that is new; what comes after it was registered is."""
    old, new = story("ep_1")
    outbox = Outbox(engine)
    put(engine, old)
    outbox.register(["ops"])
    assert outbox.enqueue(["ops"]) == 0
    put(engine, new)
    assert outbox.enqueue(["ops"]) == 1
    assert ids(outbox.due("ops", NOON, 10)) == [new.id]


def test_registering_again_changes_nothing(engine: Engine) -> None:
    """A restart goes on where the cursor was, with what came meanwhile."""
    outbox = Outbox(engine)
    outbox.register(["ops"])
    put(engine, an_insight())
    outbox.register(["ops"])
    assert outbox.enqueue(["ops"]) == 1
    assert outbox.enqueue(["ops"]) == 0


def test_an_unregistered_exporter_accepts_nothing(engine: Engine) -> None:
    """Without a cursor nothing is taken on."""
    outbox = Outbox(engine)
    put(engine, an_insight())
    assert outbox.enqueue(["nobody"]) == 0


def test_every_exporter_gets_every_insight(engine: Engine) -> None:
    """One delivery for each insight and exporter, in the order of the insights."""
    outbox = Outbox(engine)
    outbox.register(["a", "b"])
    added = [an_insight(episode=f"ep_{number}") for number in range(3)]
    put(engine, *added)
    assert outbox.newest() == 3
    assert outbox.enqueue(["a", "b"]) == 6
    for name in ("a", "b"):
        assert ids(outbox.due(name, NOON, 10)) == [insight.id for insight in added]


def test_only_the_first_of_a_lane_is_due(engine: Engine) -> None:
    """A resolve waits until its firing has ended, also while that one waits for a retry."""
    outbox = Outbox(engine)
    outbox.register(["ops"])
    firing, resolved = story("ep_1")
    other = an_insight(episode="ep_2")
    put(engine, firing, resolved, other)
    outbox.enqueue(["ops"])
    first, second = outbox.due("ops", NOON, 10)
    assert ids([first, second]) == [firing.id, other.id]
    outbox.record([(first, Verdict(state=State.PENDING, next_ns=NOON + 5 * SECOND, reason="HTTP 500"))])
    assert ids(outbox.due("ops", NOON + 5 * SECOND - 1, 10)) == [other.id]
    assert ids(outbox.due("ops", NOON + 5 * SECOND, 10)) == [firing.id, other.id]
    assert ids(outbox.due("ops", None, 1)) == [firing.id]  # a probe does not wait
    outbox.record([(first, Verdict(state=State.DELIVERED, receipt={"ts": "1"}))])
    [resolve, _] = outbox.due("ops", NOON, 10)
    assert resolve.insight_id == resolved.id
    assert resolve.prior == {"ts": "1"}


def test_a_dead_letter_frees_its_lane_and_leaves_no_receipt(engine: Engine) -> None:
    """What follows a dead letter is sent, with the last receipt that there was."""
    outbox = Outbox(engine)
    outbox.register(["ops"])
    put(engine, *story("ep_1", Status.FIRING, Status.UPDATE, Status.RESOLVED))
    outbox.enqueue(["ops"])
    outbox.record([(outbox.due("ops", NOON, 1)[0], Verdict(state=State.DELIVERED, receipt={"n": 1}))])
    outbox.record([(outbox.due("ops", NOON, 1)[0], Verdict(state=State.DEAD, reason="HTTP 400"))])
    [last] = outbox.due("ops", NOON, 10)
    assert last.prior == {"n": 1}


def test_attempts_are_counted_before_they_start(engine: Engine) -> None:
    """A crash during a send leaves the delivery pending, with the attempt counted."""
    outbox = Outbox(engine)
    outbox.register(["ops"])
    put(engine, an_insight())
    outbox.enqueue(["ops"])
    outbox.begin(outbox.due("ops", NOON, 1))
    [again] = Outbox(engine).due("ops", NOON, 1)
    assert (again.attempts, again.state) == (1, State.PENDING)


def test_show_and_listing_tell_what_happened(engine: Engine) -> None:
    """Each delivery has its state, reason, attempts and time of end."""
    clock = FakeClock()
    outbox = Outbox(engine, clock)
    outbox.register(["a", "b"])
    insight = an_insight()
    put(engine, insight)
    outbox.enqueue(["a", "b"])
    [delivery] = outbox.due("a", NOON, 1)
    clock.advance(2)
    outbox.record([(delivery, Verdict(state=State.DEAD, reason="HTTP 400", degraded=True, ambiguous=True))])
    shown = {delivery.exporter: delivery for delivery in outbox.show(insight.id)}
    assert shown["b"].state is State.PENDING
    dead = shown["a"]
    assert (dead.state, dead.reason, dead.degraded, dead.ambiguous) == (State.DEAD, "HTTP 400", True, 1)
    assert (dead.queued_ns, dead.ended_ns) == (NOON, NOON + 2 * SECOND)
    assert outbox.listing(state=State.DEAD) == [dead]
    assert outbox.listing(exporter="b") == [shown["b"]]
    assert outbox.waiting(["a", "b"]) == {"a": 0, "b": 1}


def test_replay_sends_again_under_the_same_id(engine: Engine) -> None:
    """A dead letter that is replayed is due at once, whole, and young again."""
    clock = FakeClock()
    outbox = Outbox(engine, clock)
    outbox.register(["ops"])
    insight = an_insight()
    put(engine, insight, an_insight(episode="ep_2"))
    outbox.enqueue(["ops"])
    for delivery in outbox.due("ops", NOON, 2):
        outbox.record([(delivery, Verdict(state=State.DEAD, reason="HTTP 400", degraded=True))])
    clock.advance(3600)
    assert outbox.replay(exporter="ops", insight_id=insight.id) == 1
    [again] = outbox.due("ops", clock(), 10)
    assert (again.insight_id, again.degraded, again.queued_ns) == (insight.id, False, NOON + 3600 * SECOND)
    assert outbox.replay() == 1


def test_what_ended_meanwhile_is_not_overwritten(engine: Engine) -> None:
    """A verdict that comes late does not undo a delivery that has ended."""
    outbox = Outbox(engine)
    outbox.register(["ops"])
    put(engine, an_insight())
    outbox.enqueue(["ops"])
    [delivery] = outbox.due("ops", NOON, 1)
    outbox.record([(delivery, Verdict(state=State.DELIVERED))])
    outbox.record([(delivery, Verdict(state=State.DEAD, reason="late"))])
    assert outbox.listing()[0].state is State.DELIVERED


def test_a_removed_exporter_keeps_its_books(engine: Engine) -> None:
    """What waits is suppressed with the reason; back again, the exporter starts with what comes next."""
    outbox = Outbox(engine)
    outbox.register(["ops", "kept"])
    first, second = story("ep_1")
    put(engine, first)
    outbox.enqueue(["ops", "kept"])
    assert outbox.retire(["kept"]) == {"ops": 1}
    assert outbox.retire(["kept"]) == {}
    put(engine, second)
    assert outbox.enqueue(["ops"]) == 0
    outbox.register(["ops", "kept"])
    assert outbox.enqueue(["ops"]) == 0
    assert [(delivery.state, delivery.reason) for delivery in outbox.listing(exporter="ops")] == [
        (State.SUPPRESSED, "exporter removed")
    ]
    assert outbox.audit() == [Audit("kept", 1, 0, 0, 0, 1), Audit("ops", 1, 0, 0, 1, 0)]


def test_an_endpoint_that_is_back_gets_everything_at_once(engine: Engine) -> None:
    """What waited for its next attempt is due now."""
    outbox = Outbox(engine)
    outbox.register(["ops"])
    put(engine, an_insight())
    outbox.enqueue(["ops"])
    [delivery] = outbox.due("ops", NOON, 1)
    outbox.record([(delivery, Verdict(state=State.PENDING, next_ns=NOON + 3600 * SECOND))])
    assert outbox.due("ops", NOON, 1) == []
    outbox.expedite("ops")
    assert ids(outbox.due("ops", NOON, 1)) == [delivery.insight_id]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.sampled_from(["insight", "enqueue", "deliver", "kill", "retry", "replay", "retire", "register"]), max_size=30
    )
)
def test_the_books_always_balance(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    """Whatever is done in whatever order: accepted = delivered + dead + suppressed + pending, after every step."""
    engine = store(tmp_path_factory.mktemp("books"))
    outbox = Outbox(engine)
    outbox.register(["ops"])
    verdicts = {"deliver": State.DELIVERED, "kill": State.DEAD, "retry": State.PENDING}
    count = 0
    for step in steps:
        if step == "insight":
            put(engine, *(an_insight(episode=f"ep_{number}", id=f"in_{count}_{number}") for number in range(3)))
            count += 3
        elif step == "enqueue":
            outbox.enqueue(["ops"])
        elif step == "replay":
            outbox.replay()
        elif step == "retire":
            outbox.retire([])
        elif step == "register":
            outbox.register(["ops"])
        else:
            outbox.record([(due, Verdict(state=verdicts[step])) for due in outbox.due("ops", NOON, 1)])
        [books] = outbox.audit()
        assert books.balanced
        found = Counter(delivery.state for delivery in outbox.listing())
        assert books[2:] == (
            *(found[state] for state in (State.DELIVERED, State.DEAD, State.SUPPRESSED, State.PENDING)),
        )
        assert books.accepted <= count
    engine.dispose()


def test_an_unbalanced_audit_says_so() -> None:
    """One delivery missing is noticed."""
    assert Audit("ops", 3, 1, 1, 0, 1).balanced
    assert not Audit("ops", 3, 1, 1, 0, 0).balanced
