"""Admission by bytes in flight: memory stays bounded however many senders there are.

Refusing early and cheaply with "come back in a moment" costs nothing; holding a call back as back-pressure does, and
gRPC's own limits answer in a way that makes senders drop data (OTLP checklist 28, 68, 84).
"""

from types import TracebackType
from typing import Final, Self

from tokensense_otel.core.errors import Retryable
from tokensense_otel.receiver import events

BUSY_DELAY_S: Final = 1.0


class Budget:
    """How many bytes of requests may be in work at once."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used = 0

    @property
    def used(self) -> int:
        return self._used

    def hold(self) -> "Hold":
        """An empty hold; a `with` block gives back what it took."""
        return Hold(self)

    def take(self, amount: int) -> None:
        """Raises: Retryable: when the budget is used up; nothing was taken."""
        if self._used + amount > self._max_bytes:
            raise Retryable("too many requests are in work at once", delay_s=BUSY_DELAY_S)
        self._used += amount
        events.IN_FLIGHT_BYTES.set(self._used)

    def give_back(self, amount: int) -> None:
        self._used -= amount
        events.IN_FLIGHT_BYTES.set(self._used)


class Hold:
    """What one request has taken of a budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._bytes = 0

    def grow_to(self, total: int) -> None:
        """Take more, so that the hold is at least `total` bytes.

        Raises:
            Retryable: when the budget is used up.
        """
        if total > self._bytes:
            self._budget.take(total - self._bytes)
            self._bytes = total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.give_back(self._bytes)
        self._bytes = 0
