"""What a rule is: a configuration, a key, what it accumulates, a condition, and the words for a person.

A rule is a stateless value. Its state lives in one `Series` per key, its life cycle in `episodes`, and the engine
joins them, so a new rule is one file: subclass `CallRule` (or `Rule`), and list it in `registry`.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from pydantic import Field

from tokensense_otel.core.config import Config
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.evaluation.series import Series

HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000


class RuleConfig(Config):
    """What every rule can be told."""

    enabled: bool = True
    """Whether the rule is evaluated."""
    severity: Severity = Severity.MEDIUM
    """`high`, `medium` or `low`."""
    for_s: float = Field(default=0.0, ge=0)
    """Seconds for which the condition has to hold before anybody is told."""
    resolve_after_s: float = Field(default=900.0, ge=0)
    """Seconds for which the condition has to be false before the finding is resolved."""
    max_keys: int = Field(default=10_000, ge=1)
    """Keys followed at once in each shard, for the whole install; the least used are given up beyond it."""


class WindowConfig(RuleConfig):
    """A rule over a rolling window of hours."""

    window_hours: int = Field(default=24, ge=1, le=168)
    """Length of the rolling window, in hours."""


ConfigT = TypeVar("ConfigT", bound=RuleConfig)
SeriesT = TypeVar("SeriesT", bound=Series)


class Words(msgspec.Struct, frozen=True):
    """What a person reads."""

    title: str
    summary: str
    suggested_fix: str


class Rule(ABC, Generic[ConfigT, SeriesT]):
    """One kind of finding. Everything here is pure; `config` is the one in force for the key's project."""

    name: ClassVar[str]
    description: ClassVar[str]
    """One sentence: when it fires."""
    scope: ClassVar[tuple[str, ...]]
    """Names of the key's parts, as the insight's scope shows them."""
    thresholds: ClassVar[tuple[str, ...]]
    """Names of the configuration's fields that the condition compares with; they become evidence."""
    config_type: type[ConfigT]

    @abstractmethod
    def new_series(self, config: ConfigT, /) -> SeriesT:
        """Empty state of a key."""

    @abstractmethod
    def judge(self, series: SeriesT, config: ConfigT, /) -> int | None:
        """How big the finding is now, in whatever an update is measured by; `None` while the condition is false."""

    @abstractmethod
    def observed(self, series: SeriesT, /) -> dict[str, Any]:
        """The numbers of a key as plain JSON values, whether the condition holds or not."""

    @abstractmethod
    def words(self, scope: dict[str, str], series: SeriesT, config: ConfigT, catalogue: Catalogue, /) -> Words:
        """Title, summary and fix for what the series shows."""

    @abstractmethod
    def money(self, series: SeriesT, config: ConfigT, catalogue: Catalogue, /) -> dict[str, Any]:
        """Evidence in dollars, empty where the rule is not about money."""

    @abstractmethod
    def savings(self, series: SeriesT, /) -> int | None:
        """Nano-dollars that the fix would have saved in the last 30 days, `None` where that is unknown."""

    def evidence(self, _scope: dict[str, str], _catalogue: Catalogue, /) -> dict[str, Any]:
        """More evidence, about what the key names rather than what was counted."""
        return {}

    def scope_of(self, parts: tuple[str, ...], _series: SeriesT, /) -> dict[str, str]:
        """What the insight is about, by name; empty parts are left out."""
        return {name: part for name, part in zip(self.scope, parts, strict=True) if part}

    def period(self, series: SeriesT, /) -> tuple[int, int]:
        """[from, to) of what was judged."""
        return series.bounds()

    def unfit(self, _series: SeriesT, /) -> bool:
        """Whether something in the window forbids firing that a key begun anew would not know of."""
        return False

    def mark_unfit(self, series: SeriesT, time_ns: int, /) -> None:
        """Make a new series what `unfit` asks for."""
