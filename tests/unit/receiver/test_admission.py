"""How much may be in work at once."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.core.errors import Retryable
from tokensense_otel.receiver.admission import Budget, Hold


def test_the_budget_is_used_up_exactly() -> None:
    """All of it can be taken, one byte more is refused with a delay of at most 2 s and takes nothing."""
    budget = Budget(10)
    with budget.hold() as first, budget.hold() as second:
        first.grow_to(6)
        second.grow_to(4)
        assert budget.used == 10
        with pytest.raises(Retryable) as refused:
            second.grow_to(5)
        assert refused.value.delay_s <= 2
        assert budget.used == 10


def test_a_hold_only_grows_and_gives_everything_back() -> None:
    """Growing to less than it is changes nothing; leaving the block frees it, also by an error."""
    budget = Budget(10)

    def fail_in_the_middle() -> None:
        with budget.hold() as hold:
            hold.grow_to(7)
            hold.grow_to(3)
            assert budget.used == 7
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle()
    assert budget.used == 0


def flood(budget: Budget, tenant: str, size: int = 1) -> list[Hold]:
    """Requests of one tenant until one is refused."""
    held: list[Hold] = []
    while True:
        hold = budget.hold(tenant)
        try:
            hold.grow_to(size)
        except Retryable:
            return held
        held.append(hold)


def test_a_tenants_flood_ends_at_a_half() -> None:
    """Two tenants: one takes 50 of 100, then the other 25 of the 50 left, and there is room for a third."""
    budget = Budget(100, shared=lambda: True)

    assert [len(flood(budget, tenant)) for tenant in ("a", "b", "c")] == [50, 25, 12]


def test_alone_a_tenant_has_it_all() -> None:
    """What nobody else could use is not kept free."""
    assert len(flood(Budget(100), "a")) == 100


def test_a_tenants_first_request_may_be_as_large_as_there_is_room() -> None:
    """Any request that fits is taken when its tenant has no other, and grows as it is inflated."""
    budget = Budget(100, shared=lambda: True)
    assert len(flood(budget, "a")) == 50
    with budget.hold("b") as first:
        first.grow_to(10)
        first.grow_to(50)
        with budget.hold("b") as second, pytest.raises(Retryable):
            second.grow_to(1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 30), st.booleans()), max_size=60))
def test_the_books_of_the_budget_are_right(steps: list[tuple[str, int, bool]]) -> None:
    """Whatever comes and goes: the sum is what is held, never over the budget, and in the end nothing."""
    budget = Budget(100, shared=lambda: True)
    held: list[tuple[Hold, int]] = []
    for tenant, size, ends in steps:
        hold = budget.hold(tenant)
        try:
            hold.grow_to(size)
        except Retryable:
            pass
        else:
            held.append((hold, size))
        if ends and held:
            hold, _ = held.pop(0)
            hold.__exit__(None, None, None)
        assert budget.used == sum(size for _, size in held) <= 100
    for hold, _ in held:
        hold.__exit__(None, None, None)
    assert budget.used == 0
    assert budget._used_by == Counter()
