"""How much may be in work at once."""

import pytest

from tokensense_otel.core.errors import Retryable
from tokensense_otel.receiver.admission import Budget


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
