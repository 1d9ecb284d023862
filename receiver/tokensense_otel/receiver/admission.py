"""Admission by bytes in flight: memory stays bounded however many senders there are, and no tenant takes all of it.

Refusing early and cheaply with "come back in a moment" costs nothing; holding a call back as back-pressure does, and
gRPC's own limits answer in a way that makes senders drop data (OTLP checklist 28, 68, 84).
"""

from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from tokensense_otel.core.errors import Retryable
from tokensense_otel.receiver import events

BUSY_DELAY_S: Final = 1.0
_SHOWN_BYTES: Final = 1 << 20


class Budget:
    """How many bytes of requests may be in work at once.

    While it is `shared` by tenants, each may always have one request in work, and more of them only as long as they
    take no more than is left for the others: one tenant's flood ends at a half, that of two at a third each.
    """

    def __init__(self, max_bytes: int, shared: Callable[[], bool] = lambda: False) -> None:
        self._max_bytes = max_bytes
        self._shared = shared
        self._used = 0
        self._used_by = Counter[str]()
        self._shown = 0

    @property
    def used(self) -> int:
        return self._used

    def hold(self, tenant: str = "") -> "Hold":
        """An empty hold; a `with` block gives back what it took."""
        return Hold(self, tenant)

    def take(self, amount: int, tenant: str, held: int) -> None:
        """Take more for a request of `tenant` that holds `held` bytes already.

        Raises:
            Retryable: when the budget, or the tenant's part of it, is used up; nothing was taken.
        """
        left = self._max_bytes - self._used - amount
        if left < 0:
            raise Retryable("too many requests are in work at once", delay_s=BUSY_DELAY_S)
        used_by_tenant = self._used_by[tenant]
        if used_by_tenant > held and used_by_tenant + amount > left and self._shared():
            raise Retryable(f"too many requests of tenant {tenant!r} are in work at once", delay_s=BUSY_DELAY_S)
        self._add(amount, tenant)

    def give_back(self, amount: int, tenant: str) -> None:
        self._add(-amount, tenant)

    def _add(self, amount: int, tenant: str) -> None:
        self._used += amount
        self._used_by[tenant] += amount
        if not self._used_by[tenant]:
            del self._used_by[tenant]
        # In whole MiB: the metric is written to shared memory, and small requests would do it twice each.
        if (shown := self._used // _SHOWN_BYTES) != self._shown:
            self._shown = shown
            events.IN_FLIGHT_BYTES.set(shown * _SHOWN_BYTES)


class Hold:
    """What one request has taken of a budget."""

    def __init__(self, budget: Budget, tenant: str) -> None:
        self._budget = budget
        self._tenant = tenant
        self._bytes = 0

    def grow_to(self, total: int) -> None:
        """Take more, so that the hold is at least `total` bytes.

        Raises:
            Retryable: when the budget is used up.
        """
        if total > self._bytes:
            self._budget.take(total - self._bytes, self._tenant, self._bytes)
            self._bytes = total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.give_back(self._bytes, self._tenant)
        self._bytes = 0
