"""How much each tenant may send in a second.

A request is taken while its tenant owes nothing, and what it holds is then owed until that many seconds have passed. So
no request is too large to be ever taken, and one that has to wait is told so before its body is read.
"""

from collections.abc import Callable
from typing import Final

from tokensense_otel.core.errors import Throttled
from tokensense_otel.receiver.config import LimitsConfig, RateConfig

_LEAST_DELAY_S: Final = 0.1


class Allowance:
    """`per_s` units a second, and as much as `burst_s` seconds of them saved up. Times are seconds of any one clock."""

    def __init__(self, per_s: float, burst_s: float, now_s: float) -> None:
        self._per_s = per_s
        self._most = per_s * burst_s
        self._left = self._most
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """How long until something may be taken; 0 when it may be now."""
        self._refill(now_s)
        return max(0.0, -self._left / self._per_s)

    def take(self, amount: int, now_s: float) -> None:
        """Takes what is there and owes the rest."""
        self._refill(now_s)
        self._left -= amount

    def _refill(self, now_s: float) -> None:
        self._left = min(self._most, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s


class Rates:
    """The allowances of every tenant. `monotonic` is in seconds; one of `parts` equal parts is granted here."""

    def __init__(self, config: LimitsConfig, monotonic: Callable[[], float], parts: int = 1) -> None:
        self._config = config
        self._parts = parts
        self._monotonic = monotonic
        self._tenants: dict[str, tuple[Allowance | None, Allowance | None]] = {}

    def admit(self, tenant: str) -> None:
        """Raises: Throttled: while the tenant has sent more than it may."""
        now_s = self._monotonic()
        for allowance, what in zip(self._of(tenant), ("spans", "bytes"), strict=True):
            if allowance is not None and (wait_s := allowance.wait_s(now_s)) > 0:
                raise Throttled(
                    f"tenant {tenant!r} sends more {what} a second than it may", delay_s=max(wait_s, _LEAST_DELAY_S)
                )

    def charge(self, tenant: str, *, items: int, size: int) -> None:
        """Count what a request held: its spans (or log records, or data points) and its bytes."""
        now_s = self._monotonic()
        for allowance, amount in zip(self._of(tenant), (items, size), strict=True):
            if allowance is not None:
                allowance.take(amount, now_s)

    def _of(self, tenant: str) -> tuple[Allowance | None, Allowance | None]:
        found = self._tenants.get(tenant)
        if found is None:
            rate = self._config.tenants.get(tenant, self._config)
            found = self._tenants[tenant] = (self._make(rate, rate.spans_per_s), self._make(rate, rate.bytes_per_s))
        return found

    def _make(self, rate: RateConfig, per_s: float | None) -> Allowance | None:
        return None if per_s is None else Allowance(per_s / self._parts, rate.burst_s, self._monotonic())
