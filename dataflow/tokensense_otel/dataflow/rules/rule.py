"""What a rule is: a configuration, a key, what it accumulates, a condition, and the words for a person.

A rule is a stateless value. Its state lives in one `Series` per key, its life cycle in `episodes`, and the engine
joins them, so a new rule is one file: subclass `CallRule` (or `Rule`), and list it in `registry`.
"""

import math
from abc import ABC, abstractmethod
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import msgspec
from pydantic import Field, create_model

from tokensense_otel.core.config import Config
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.evaluation.durations import Duration, Window
from tokensense_otel.dataflow.rules.evaluation.series import Series

HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000


class Level(StrEnum):
    """Whose calls have to meet where a rule judges them."""

    TEAM = "team"
    """Every key begins with the team (or is one function or container): a team's calls meet in one shard."""
    TENANT = "tenant"
    """Keys are wider than a team: a tenant's calls meet in one shard, beside those of the teams."""


class _Switch(Config):
    enabled: bool = True
    """Whether the rule is evaluated."""
    severity: Severity = Severity.MEDIUM
    """`high`, `medium` or `low`."""


if TYPE_CHECKING:
    _Held = _Switch
else:
    # The option has Prometheus' name, which Python does not allow in a class.
    _held = Field(default=Duration("0s"), description="How long the condition has to hold before anybody is told.")
    _Held = create_model("_Held", __base__=_Switch, __module__=__name__, **{"for": (Duration, _held)})


class RuleConfig(_Held):
    """What every rule can be told."""

    keep_firing_for: Duration = Duration("15m")
    """How long the condition has to be false before the finding is resolved."""
    hysteresis: float = Field(default=0.9, gt=0, le=1)
    """How much softer the thresholds are while a finding is open: at 0.9 one that fires above 100 is over only below
    90. 1 makes them equal."""
    update_factor: float = Field(default=2.0, gt=1)
    """An open finding is told again when it has grown by this factor since it was last told."""
    no_data: Literal["resolve", "keep"] = "resolve"
    """What becomes of an open finding when nothing is left in its window: `resolve`, or `keep` it open until there is
    data again that says otherwise."""
    max_keys: int = Field(default=10_000, ge=1)
    """Keys followed at once in each shard, for the whole install; the least used are given up beyond it."""

    @property
    def hold(self) -> Duration:
        """The option `for`."""
        held: Duration = getattr(self, "for")
        return held


class WindowConfig(RuleConfig):
    """A rule over a rolling window."""

    window: Window = Duration("24h")
    """Length of the rolling window, from `1m` to `30d`."""


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
    above: ClassVar[tuple[str, ...]] = ()
    """Those of them that the rule fires at or above. While a finding is open they are lower by `hysteresis`."""
    below: ClassVar[tuple[str, ...]] = ()
    """Those of them that the rule fires below. While a finding is open they are higher by `hysteresis`."""
    floors: ClassVar[tuple[str, ...]] = ()
    """Those of them that only say how much there has to be to judge. While a finding is open half of it is enough, so
    that a quiet night is not the end of it."""
    level: ClassVar[Level] = Level.TEAM
    unbounded: ClassVar[bool] = False
    """Whether its keys are prompts, users, sessions: any number of them, most of which come once. Then a key is
    followed from its second call on, which counts the first one too, and no key fires on its first."""
    beat_ns: ClassVar[int | None] = None
    """How often each key is judged although nothing comes; `None` where only events and time that leaves a window
    can change the verdict."""
    sample_type: ClassVar[type[Any] | None] = None
    """What it takes besides calls, each with `tenant`, `project` and `time_ns`; see `place` and `take`."""
    config_type: type[ConfigT]

    @abstractmethod
    def new_series(self, config: ConfigT, /) -> SeriesT:
        """Empty state of a key."""

    @abstractmethod
    def judge(self, series: SeriesT, config: ConfigT, /) -> int | None:
        """How big the finding is now, in whatever an update is measured by; `None` while the condition is false.

        Now is `series.now_ns`. While a finding is open, `config` has the softer thresholds of `softened`.
        """

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

    def place(self, _sample: Any, _config: ConfigT, /) -> tuple[str, ...] | None:
        """The key's parts of something of `sample_type`; `None` when it is none of the rule's business."""
        return None

    def take(self, _series: SeriesT, _sample: Any, _time_ns: int, /) -> bool:
        """Put something of `sample_type` on its key. `False` where it is older than the window."""
        raise NotImplementedError

    def softened(self, config: ConfigT, /) -> ConfigT:
        """`config` as it is while a finding is open, so that a value at the threshold does not flap.

        A count never becomes zero by it: with nothing left, nothing is above a threshold.
        """
        soft: dict[str, Any] = {}
        for name in self.above:
            value = getattr(config, name)
            softer = value * config.hysteresis
            soft[name] = max(min(value, 1), math.floor(softer)) if isinstance(value, int) else softer
        for name in self.below:
            value = getattr(config, name)
            soft[name] = math.ceil(value / config.hysteresis) if isinstance(value, int) else value / config.hysteresis
        for name in self.floors:
            value = getattr(config, name)
            soft[name] = max(min(value, 1), value // 2) if isinstance(value, int) else value / 2
        return config.model_copy(update=soft) if soft else config

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
