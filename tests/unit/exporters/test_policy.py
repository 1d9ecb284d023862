"""What follows from an outcome, and what an endpoint takes: worked out with a clock that tests move."""

import pytest

from tests.unit.exporters.support import NOON, SECOND
from tokensense_otel.exporters import EndpointDown, Receipt, Reject, Retry, Throttle
from tokensense_otel.exporters.delivery.endpoint import Change, Endpoint
from tokensense_otel.exporters.delivery.policy import Outcome, Policy, judge, retry_delay_s
from tokensense_otel.store.outbox import Delivery, State, Verdict

POLICY = Policy()


def a_delivery(*, attempts: int = 1, degraded: bool = False, queued_ns: int = NOON) -> Delivery:
    return Delivery(
        id=1,
        exporter="ops",
        insight_id="in_1",
        episode_id="ep_1",
        state=State.PENDING,
        attempts=attempts,
        ambiguous=0,
        degraded=degraded,
        queued_ns=queued_ns,
        next_ns=0,
        ended_ns=None,
        reason="",
        body="{}",
    )


def verdict(outcome: Outcome, *, now_ns: int = NOON, has_fallback: bool = False, **changes: int) -> Verdict:
    delivery = a_delivery(**changes)  # type: ignore[arg-type]
    return judge(delivery, outcome, has_fallback=has_fallback, policy=POLICY, now_ns=now_ns, jitter=0.5)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 5), (2, 30), (3, 120), (4, 300), (5, 900), (6, 1800), (7, 3600), (8, 3600), (99, 3600)],
)
def test_the_schedule_grows_to_an_hour(attempts: int, seconds: float) -> None:
    """After each failure the pause is the next of the schedule, and hourly at the end."""
    assert retry_delay_s(POLICY, attempts, 0.5) == seconds


def test_jitter_stays_within_a_fifth() -> None:
    """The first pause of 5 s is between 4 s and 6 s."""
    assert retry_delay_s(POLICY, 1, 0.0) == 4.0
    assert retry_delay_s(POLICY, 1, 1.0) == 6.0


def test_a_receipt_is_delivered() -> None:
    """The receipt's data is kept."""
    assert verdict(Receipt({"ts": "1"})) == Verdict(state=State.DELIVERED, receipt={"ts": "1"})


def test_a_retry_waits_for_the_schedule_or_longer() -> None:
    """`after` is a lower bound: 3 s is less than the schedule's 5 s, 60 s is more."""
    assert verdict(Retry("x")).next_ns == NOON + 5 * SECOND
    assert verdict(Retry("x", after=3)).next_ns == NOON + 5 * SECOND
    assert verdict(Retry("x", after=60)).next_ns == NOON + 60 * SECOND


def test_ambiguity_is_recorded() -> None:
    """Only a retry without a verdict from the endpoint is ambiguous."""
    assert verdict(Retry("x", ambiguous=True)).ambiguous
    assert not verdict(Retry("x")).ambiguous
    assert not verdict(Throttle("x")).ambiguous


def test_a_throttle_is_exactly_as_long_as_asked() -> None:
    """Neither the schedule nor jitter is added."""
    assert verdict(Throttle("x", after=3), attempts=7).next_ns == NOON + 3 * SECOND
    assert verdict(Throttle("x")).next_ns == NOON + 30 * SECOND


def test_a_rejected_message_is_sent_once_in_short() -> None:
    """First the fallback at once, then a dead letter; without a fallback a dead letter at once."""
    assert verdict(Reject("HTTP 400"), has_fallback=True) == Verdict(
        state=State.PENDING, reason="HTTP 400", degraded=True
    )
    assert verdict(Reject("HTTP 400"), has_fallback=True, degraded=True).state is State.DEAD
    assert verdict(Reject("HTTP 400")).state is State.DEAD


def test_a_degraded_message_stays_degraded() -> None:
    """A retry of the fallback sends the fallback."""
    assert verdict(Retry("x"), degraded=True).degraded
    assert not verdict(Retry("x")).degraded


@pytest.mark.parametrize("outcome", [Retry("x"), Throttle("x"), EndpointDown("x"), RuntimeError("x")])
def test_a_message_that_still_fails_when_old_is_given_up(outcome: Exception) -> None:
    """One nanosecond before a day it is tried again, at a day it is a dead letter that says how often it was tried."""
    day = 86_400 * SECOND
    assert verdict(outcome, now_ns=NOON + day - 1).state is State.PENDING
    dead = verdict(outcome, now_ns=NOON + day, attempts=9)
    assert (dead.state, dead.reason) == (State.DEAD, "given up after 9 attempts in 24.0 h: x")


def test_what_an_exporter_should_not_raise_is_a_retry() -> None:
    """An unknown error keeps the message, and is named by its type when it says nothing."""
    again = verdict(ZeroDivisionError())
    assert (again.state, again.reason, again.next_ns) == (State.PENDING, "ZeroDivisionError", NOON + 5 * SECOND)


def test_an_endpoint_takes_its_width() -> None:
    """As many at once as allowed, less those under way."""
    endpoint = Endpoint(Policy(width=4))
    assert [endpoint.slots(NOON, busy) for busy in (0, 3, 4, 5)] == [4, 1, 0, 0]


def test_an_endpoint_opens_after_five_failures_in_a_row() -> None:
    """Four leave it closed, a success in between starts the count again, the fifth opens it for a minute."""
    endpoint = Endpoint(POLICY)
    assert [endpoint.observe(Retry("x"), NOON, NOON) for _ in range(4)] == [None] * 4
    assert endpoint.observe(Receipt(), NOON, NOON) is None
    assert [endpoint.observe(Retry("x"), NOON, NOON) for _ in range(5)] == [None] * 4 + [Change.OPENED]
    assert endpoint.slots(NOON + 60 * SECOND - 1, 0) == 0
    assert endpoint.slots(NOON + 60 * SECOND, 0) == 1  # one probe
    assert endpoint.slots(NOON + 60 * SECOND, 1) == 0


def test_a_failed_probe_waits_another_minute_and_a_good_one_closes() -> None:
    """Open stays open without a second announcement; one success brings back the full width."""
    endpoint = Endpoint(POLICY)
    assert endpoint.observe(EndpointDown("HTTP 401"), NOON, NOON) is Change.OPENED
    later = NOON + 60 * SECOND
    assert endpoint.observe(Retry("x"), later, later) is None
    assert endpoint.slots(later + 60 * SECOND - 1, 0) == 0
    assert endpoint.observe(Receipt(), later + 60 * SECOND, later + 60 * SECOND) is Change.CLOSED
    assert endpoint.slots(later + 60 * SECOND, 0) == POLICY.width


def test_an_endpoint_that_is_gone_is_not_probed() -> None:
    """HTTP 410 ends it until the next start."""
    endpoint = Endpoint(POLICY)
    assert endpoint.observe(EndpointDown("HTTP 410", gone=True), NOON, NOON) is Change.OPENED
    assert endpoint.slots(NOON + 10_000 * 86_400 * SECOND, 0) == 0


def test_a_throttle_holds_everything_and_is_no_failure() -> None:
    """Nothing before its end, everything after it, however often it comes."""
    endpoint = Endpoint(POLICY)
    assert [endpoint.observe(Throttle("x", after=3), NOON, NOON) for _ in range(9)] == [None] * 9
    assert (endpoint.slots(NOON + 3 * SECOND - 1, 0), endpoint.slots(NOON + 3 * SECOND, 0)) == (0, POLICY.width)
    assert endpoint.wait_s(NOON + SECOND) == 2.0


def test_a_rejection_proves_that_the_endpoint_is_there() -> None:
    """A bad message does not open the breaker for the good ones, and closes an open one."""
    endpoint = Endpoint(POLICY)
    assert [endpoint.observe(Reject("x"), NOON, NOON) for _ in range(9)] == [None] * 9
    endpoint.observe(EndpointDown("x"), NOON, NOON)
    assert endpoint.observe(Reject("x"), NOON, NOON) is Change.CLOSED


def test_a_pace_is_one_message_an_interval() -> None:
    """With a second between sends, the next may start a second after the last."""
    endpoint = Endpoint(Policy(min_interval_s=1.0))
    assert endpoint.slots(NOON, 0) == 1
    endpoint.started(NOON)
    assert (endpoint.slots(NOON + SECOND - 1, 0), endpoint.slots(NOON + SECOND, 0)) == (0, 1)


def test_failures_of_one_moment_are_one_failure() -> None:
    """Eight attempts under way when a server resets all of its connections do not open the breaker; five moments do."""
    endpoint = Endpoint(Policy())
    at_once = [endpoint.observe(Retry("reset"), NOON + 1 + n, NOON) for n in range(8)]
    assert at_once == [None] * 8
    later = [endpoint.observe(Retry("reset"), NOON + 100 * n, NOON + 100 * n - 1) for n in range(1, 5)]
    assert later == [None, None, None, Change.OPENED]
