"""How much a tenant may send in a second."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.core.errors import Throttled
from tokensense_otel.receiver.config import LimitsConfig
from tokensense_otel.receiver.rates import Allowance, Rates


class Monotonic:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def rates(clock: Monotonic, **limits: Any) -> Rates:
    return Rates(LimitsConfig.model_validate(limits), clock)


def refused_s(of: Rates, tenant: str = "a") -> float | None:
    """The delay that a request is asked for; `None` when it is taken."""
    try:
        of.admit(tenant)
    except Throttled as throttled:
        return throttled.delay_s
    return None


def test_without_limits_everything_is_taken() -> None:
    """By default nobody is ever asked to wait."""
    of = rates(Monotonic())
    of.charge("a", items=10**9, size=10**12)
    assert refused_s(of) is None


def test_each_of_several_processes_grants_its_part() -> None:
    """Of 10 spans a second and 2 s of burst, one of two processes grants 5 and 10: after 15, 5 are owed for 1 s."""
    clock = Monotonic()
    of = Rates(LimitsConfig(spans_per_s=10, burst_s=2), clock, parts=2)
    of.charge("a", items=10, size=0)
    assert refused_s(of) is None
    of.charge("a", items=5, size=0)
    assert refused_s(of) == 1.0


def test_what_was_sent_beyond_the_burst_is_waited_for() -> None:
    """10 spans a second, 2 s of burst: after 25 spans, 5 are owed for half a second."""
    clock = Monotonic()
    of = rates(clock, spans_per_s=10, burst_s=2)
    of.charge("a", items=20, size=0)
    assert refused_s(of) is None
    of.charge("a", items=5, size=0)
    assert refused_s(of) == 0.5
    clock.now_s += 0.25
    assert refused_s(of) == 0.25
    clock.now_s += 0.25
    assert refused_s(of) is None


def test_bytes_are_limited_too() -> None:
    """The allowance that is used up says which it is."""
    clock = Monotonic()
    of = rates(clock, spans_per_s=1000, bytes_per_s=100, burst_s=1)
    of.charge("a", items=1, size=300)
    with pytest.raises(Throttled, match="tenant 'a' sends more bytes a second than it may") as throttled:
        of.admit("a")
    assert throttled.value.delay_s == 2


def test_no_request_is_too_large_for_ever() -> None:
    """A request of more than the burst is taken, and what follows waits."""
    clock = Monotonic()
    of = rates(clock, spans_per_s=1, burst_s=1)
    assert refused_s(of) is None
    of.charge("a", items=1000, size=0)
    clock.now_s += 998.5
    assert refused_s(of) == 0.5
    clock.now_s += 0.5
    assert refused_s(of) is None


def test_a_tenants_debt_is_its_own() -> None:
    """What one tenant owes asks nobody else to wait."""
    of = rates(Monotonic(), spans_per_s=1, burst_s=1)
    of.charge("a", items=100, size=0)
    assert refused_s(of, "a") is not None
    assert refused_s(of, "b") is None


def test_a_tenant_may_have_its_own_limits() -> None:
    """They stand in place of all of the others: no limit of bytes is none."""
    of = rates(Monotonic(), bytes_per_s=1, burst_s=1, tenants={"big": {"spans_per_s": 10, "burst_s": 1}})
    for tenant in ("big", "small"):
        of.charge(tenant, items=10, size=10)
    assert refused_s(of, "big") is None
    assert refused_s(of, "small") == 9


def test_a_short_debt_is_not_asked_for_at_once() -> None:
    """A delay is never so short that the same request comes back before the debt is paid, and never zero."""
    of = rates(Monotonic(), spans_per_s=1_000_000, burst_s=1e-6)
    of.charge("a", items=2, size=0)
    assert refused_s(of) == 0.1


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 5)), min_size=1, max_size=50))
def test_over_any_time_no_more_is_taken_than_allowed(steps: list[tuple[int, float]]) -> None:
    """What was taken is never more than the burst, the time times the rate, and one request."""
    allowance = Allowance(10, 2, 0)
    now_s, taken, largest = 0.0, 0, 0
    for amount, pause_s in steps:
        now_s += pause_s
        if allowance.wait_s(now_s) == 0:
            allowance.take(amount, now_s)
            taken += amount
            largest = max(largest, amount)
        assert taken <= 20 + 10 * now_s + largest + 1e-6
