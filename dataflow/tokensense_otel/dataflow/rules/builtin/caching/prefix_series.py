"""State of PREFIX_CACHE_MISS for one key: sums, repeated beginnings, and what was wrong since when."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tokensense_otel.core.insight import rfc3339
from tokensense_otel.dataflow.rules.builtin.caching.prefix_repeats import RollingRepeats
from tokensense_otel.dataflow.rules.builtin.caching.prompt_caches import TTL_S
from tokensense_otel.dataflow.rules.evaluation.distinct import RollingDistinct
from tokensense_otel.dataflow.rules.evaluation.histogram import RollingHistogram
from tokensense_otel.dataflow.rules.evaluation.series import NOTHING, CallSeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling

TTL_NS: Final = TTL_S * 1_000_000_000
VERSIONS: Final = 4
"""Versions of a service that are remembered, the newest."""
DEPLOY_NS: Final = 3_600_000_000_000
"""How long before the cache was lost a version may have come to be suspected: one comes in piece by piece."""


class PrefixSeries(CallSeries):
    """`cause` is what was found last, `since_ns` when that began, `base` (cached, input) tokens of the time before,
    `recent` (from, calls, input, cached) of what was compared with it, `missed` tokens that could have been read."""

    __slots__ = ("base", "cause", "missed", "recent", "repeats", "since_ns", "versions")

    def __init__(
        self,
        window: Rolling,
        *,
        windows: Mapping[str, Rolling] = NOTHING,
        histograms: Mapping[str, RollingHistogram] = NOTHING,
        distinct: Mapping[str, RollingDistinct] = NOTHING,
    ) -> None:
        super().__init__(window, windows=windows, histograms=histograms, distinct=distinct)
        size_ns, count, _ = window.shape
        self.repeats = RollingRepeats(max(TTL_NS, size_ns * count), TTL_NS)
        self.versions: list[tuple[int, str]] = []
        """(first seen, version), oldest first."""
        self.cause = ""
        self.since_ns = 0
        self.base = (0, 0)
        self.recent = (0, 0, 0, 0)
        self.missed = 0

    def see(self, version: str, time_ns: int) -> None:
        """Remember when a version was first seen."""
        for at, (first_ns, known) in enumerate(self.versions):
            if known == version:
                if time_ns < first_ns:
                    self.versions[at] = (time_ns, version)
                    self.versions.sort()
                return
        self.versions = sorted([*self.versions, (time_ns, version)])[-VERSIONS:]

    @property
    def suspect(self) -> str:
        """The version that came when the cache was lost, where another one had been there before; else empty."""
        came = [
            version
            for first_ns, version in self.versions[1:]
            if self.since_ns - DEPLOY_NS <= first_ns < self.since_ns + self.window.size_ns
        ]
        return came[-1] if came else ""

    def shown_versions(self) -> list[dict[str, str]]:
        return [{"version": version, "first_seen": rfc3339(first_ns)} for first_ns, version in self.versions]

    def state(self) -> list[Any]:
        return [super().state(), self.versions, self.cause, self.since_ns, self.base, self.recent, self.missed]

    def load(self, state: list[Any]) -> bool:
        rings, versions, self.cause, self.since_ns, base, recent, self.missed = state
        if not super().load(rings):
            return False
        self.versions = [(first_ns, version) for first_ns, version in versions]
        self.base, self.recent = tuple(base), tuple(recent)
        return True

    def _rings(self) -> Iterator[Any]:
        yield from super()._rings()
        yield self.repeats
