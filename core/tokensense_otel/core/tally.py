"""Tallies: plain counts beside the books, of things that people list rather than sum.

How many spans had to be corrected and why, and which dialects reported how many calls. They accept either sign, so a
reversal takes out what its posting put in, and the store keeps them as exactly as usage.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from tokensense_otel.core.call import Call


class What(StrEnum):
    """What is counted; `name` then says which."""

    CORRECTION = "correction"
    """Input that was corrected or refused, by reason (`normalise.corrections`). Resends count again."""
    DIALECT = "dialect"
    """Calls on the books, by the dialect of the report that counts."""
    INFERRED = "inferred"
    """Those of them whose facts had to be inferred (`Call.notes`), by dialect."""
    NO_USAGE = "no_usage"
    """Those of them whose usage nobody reported (`Call.lacks_usage`), by dialect."""


_DIALECT: Final = What.DIALECT


class Tally(NamedTuple):
    """A counter. `service` is the sender's `service.name`, empty where it names none."""

    tenant: str
    service: str
    what: str
    name: str


class Tallies(dict[Tally, int]):
    """Counters and their values."""

    def count(self, tally: Tally, amount: int = 1) -> None:
        self[tally] = self.get(tally, 0) + amount

    def add(self, other: Mapping[Tally, int]) -> None:
        for tally, amount in other.items():
            self.count(tally, amount)

    def post(self, sign: int, call: Call) -> None:
        """Count the calls of a posting that comes onto the books (+1) or leaves them (−1)."""
        service, calls = call.dimensions.service, sign * call.count
        self.count(Tally(call.tenant, service, _DIALECT, call.dialect), calls)
        if call.notes:
            self.count(Tally(call.tenant, service, What.INFERRED, call.dialect), calls)
        if call.lacks_usage:
            self.count(Tally(call.tenant, service, What.NO_USAGE, call.dialect), calls)
