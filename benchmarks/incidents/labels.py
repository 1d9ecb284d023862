"""What is true about generated traffic: the incidents that were put in, and what only looks like one.

`truth.json` lies beside the recordings. Times are Unix nanoseconds. A scope has only the names that are certain: an
insight agrees with it where each name that both have has the same value.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

HOUR_NS: Final = 3_600_000_000_000
DAY_NS: Final = 24 * HOUR_NS

STATISTICAL: Final = frozenset(
    {"SPIKE", "COST_SPIKE", "LATENCY_REGRESSION", "PREFIX_CACHE_MISS", "TELEMETRY_SILENT", "RUNAWAY_SESSION"}
)
"""Rules that compare with a baseline or guess a pattern; all others are deterministic: a count decides."""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something a rule has to find. `size` has what was injected, by name."""

    rule: str
    kind: str
    scope: dict[str, str]
    from_ns: int
    to_ns: int
    size: dict[str, float] = {}
    grace_ns: int = DAY_NS
    """How long after `to_ns` a window may still show it."""
    may: tuple[str, ...] = ()
    """Other rules that have reason to fire on the same traffic; they are neither right nor wrong."""
    needs_history: bool = False
    """Judged against the past, so that it is asked for only where there is enough of it."""

    @property
    def name(self) -> str:
        return f"{self.rule} {self.kind} {named(self.scope)}"


class NearMiss(msgspec.Struct, frozen=True, kw_only=True):
    """Something on which the rule has to stay silent; where another rule fires on it, that is `may`."""

    rule: str
    kind: str
    scope: dict[str, str]
    from_ns: int
    to_ns: int
    may: tuple[str, ...] = ()


class Truth(msgspec.Struct, kw_only=True):
    """Everything known about one generated stretch of traffic."""

    seed: int
    start_ns: int
    end_ns: int
    warm_ns: int
    """Until when rules with a baseline have too little history to be asked anything: two weeks."""
    calls: int = 0
    teams: int = 0
    incidents: list[Incident] = []
    near_misses: list[NearMiss] = []

    def add(self, label: Incident | NearMiss) -> None:
        if isinstance(label, Incident):
            self.incidents.append(label)
        else:
            self.near_misses.append(label)

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> "Truth":
        return msgspec.json.decode(path.read_bytes(), type=cls)


def agree(scope: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether what is told may be what the label is about: nothing differs, and something is the same.

    An empty scope is about everything.
    """
    both = scope.keys() & told.keys()
    return not scope or not told or (bool(both) and all(scope[name] == told[name] for name in both))


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """What of an injection has a size."""
    return {name: value for name, value in values.items() if isinstance(value, int | float) and value is not True}


def named(scope: Mapping[str, Any]) -> str:
    return "/".join(str(value) for value in scope.values()) or "everything"


def rules_of(labels: Iterable[Incident | NearMiss]) -> list[str]:
    return sorted({label.rule for label in labels})
