"""RAM_OVER_PROVISION: a function or container that never comes near the memory it is given."""

import math
from typing import Any

from pydantic import Field

from tokensense_otel.core.insight import Severity
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.facts import MemorySample
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.memory.memory_sizes import MIB, sizes_of
from tokensense_otel.dataflow.rules.builtin.memory.ram_series import RamSeries
from tokensense_otel.dataflow.rules.rule import SECOND_NS, Rule, WindowConfig, Words

MILLION = 1_000_000
_GIB_NS = (1 << 30) * SECOND_NS
_PICOS = 1_000


class RamOverProvisionConfig(WindowConfig):
    """Thresholds of RAM_OVER_PROVISION."""

    severity: Severity = Severity.LOW
    """`high`, `medium` or `low`."""
    max_utilisation: float = Field(default=0.40, gt=0, lt=1)
    """The rule fires while the highest use in the window is below this share of the limit."""
    min_samples: int = Field(default=20, ge=1)
    """Observations in the window before the rule may fire."""
    min_span_s: float = Field(default=3_600.0, ge=0)
    """Seconds from the first observation to the last before the rule may fire."""
    headroom: float = Field(default=0.3, ge=0, lt=1)
    """Share of the proposed memory that stays free above the highest use."""


class RamOverProvision(Rule[RamOverProvisionConfig, RamSeries]):
    """Judged by the highest use, never the mean, against the limit last heard of. Without a limit it never fires.

    It proposes the smallest size of the platform that keeps the headroom. The saving is the time that it ran in the
    last 30 days at the list price of the memory between the two, where the platform bills memory by the second and
    somebody tells how long it ran; else nobody can know it.
    """

    name = "RAM_OVER_PROVISION"
    description = "A function or container never uses more than a small share of its memory limit."
    scope = ("entity",)
    thresholds = ("max_utilisation", "min_samples", "min_span_s", "window")
    below = ("max_utilisation",)
    sample_type = MemorySample
    config_type = RamOverProvisionConfig

    def new_series(self, config: RamOverProvisionConfig, /) -> RamSeries:
        return RamSeries(config.window)

    def place(self, sample: MemorySample, _config: RamOverProvisionConfig, /) -> tuple[str, ...]:
        return (sample.entity,)

    def take(self, series: RamSeries, sample: MemorySample, time_ns: int, /) -> bool:
        if sample.limit is not None and sample.limit > 0 and time_ns >= series.limit_ns:
            series.limit, series.limit_ns = sample.limit, time_ns
        fits = True
        if sample.used is not None and sample.used >= 0:
            fits = series.used.add(time_ns, sample.used)
        if sample.ratio is not None and sample.ratio >= 0:
            fits &= series.ratio.add(time_ns, round(sample.ratio * MILLION))
        if sample.busy_ns is not None:
            series.ran(time_ns, sample.busy_since_ns, sample.busy_ns)
        series.source = sample.source or series.source
        series.scope = [*sample.scope]
        series.platform = sample.platform or series.platform
        return fits

    def judge(self, series: RamSeries, config: RamOverProvisionConfig, /) -> int | None:
        samples, first, last, highest = _summary(series)
        if highest is None or samples < config.min_samples or last - first < config.min_span_s * SECOND_NS:
            return None
        if highest >= config.max_utilisation * MILLION:
            return None
        series.proposed = _proposed(series, highest, config)
        return MILLION - highest

    def observed(self, series: RamSeries, /) -> dict[str, Any]:
        samples, first, last, highest = _summary(series)
        return {
            "highest_utilisation": None if highest is None else highest / MILLION,
            "highest_used_bytes": None if series.used.empty else series.used.summary()[3],
            "limit_bytes": series.limit,
            "samples": samples,
            "span_s": (last - first) // SECOND_NS,
            "source": series.source,
        }

    def scope_of(self, parts: tuple[str, ...], series: RamSeries, /) -> dict[str, str]:
        return dict(series.scope) or {"entity": parts[0]}

    def money(self, series: RamSeries, config: RamOverProvisionConfig, _catalogue: Catalogue, /) -> dict[str, Any]:
        sizes, proposed = sizes_of(series.platform), series.proposed
        highest = _summary(series)[3]
        evidence: dict[str, Any] = {
            "platform": series.platform or None,
            "proposed_limit_bytes": proposed,
            "proposed_utilisation": _share(highest, series.limit, proposed),
            "headroom": config.headroom,
            "sizes": f"{sizes.platform}, {sizes.source} ({sizes.as_of})",
        }
        saved = self.savings(series)
        if saved is not None and series.limit is not None and sizes.picos is not None:
            evidence |= {
                "spend_30d_usd": usd_text(_cost(series.limit, series.busy_ns, sizes.picos)),
                "seconds_running_30d": series.busy_ns // SECOND_NS,
                "price": f"{sizes.picos / 10**12:.10f} USD for a GB-second, {sizes.price_source} ({sizes.as_of})",
            }
        return evidence

    def savings(self, series: RamSeries, /) -> int | None:
        picos = sizes_of(series.platform).picos
        if picos is None or not series.busy_ns or series.limit is None or series.proposed is None:
            return None
        return _cost(max(0, series.limit - series.proposed), series.busy_ns, picos)

    def words(
        self, scope: dict[str, str], series: RamSeries, config: RamOverProvisionConfig, _catalogue: Catalogue, /
    ) -> Words:
        samples, _, _, highest = _summary(series)
        share = 0.0 if highest is None else round(highest / MILLION * 100, 1)
        of = f" of {series.limit // MIB:,} MiB" if series.limit else ""
        if series.proposed is not None:
            fix = f"Give it {series.proposed // MIB:,} MiB, which leaves {config.headroom:.0%} above the highest use."
        elif series.limit:
            fix = "It has the smallest size already that keeps headroom: nothing is to be done about its memory."
        else:
            fix = "Lower its memory limit step by step and keep headroom above the highest use."
        if scope.get("function"):
            fix += " On AWS Lambda CPU shrinks with memory: measure the duration as well."
        return Words(
            title=f"{'/'.join(scope.values())} has more memory than it needs",
            summary=f"The highest of {samples} observations in {config.window} was {share} %{of}.",
            suggested_fix=fix,
        )


def _proposed(series: RamSeries, highest: int, config: RamOverProvisionConfig) -> int | None:
    """The smallest size that keeps the headroom, in bytes; `None` where that is no less, or the limit is not known."""
    if not series.limit:
        return None
    peak = -(-highest * series.limit // MILLION)
    size = sizes_of(series.platform).fit(math.ceil(peak / (1 - config.headroom)))
    return size if size is not None and size < series.limit else None


def _share(highest: int | None, limit: int | None, proposed: int | None) -> float | None:
    if highest is None or not limit or not proposed:
        return None
    return round(highest / MILLION * limit / proposed, 3)


def _cost(size_bytes: int, busy_ns: int, picos: int) -> int:
    """Nano-dollars of so much memory for so long."""
    return size_bytes * busy_ns * picos // (_GIB_NS * _PICOS)


def _summary(series: RamSeries) -> tuple[int, int, int, int | None]:
    """(samples, first, last, highest share of the limit in millionths or `None` where there is no limit)."""
    used, ratio = series.used.summary(), series.ratio.summary()
    shares = [ratio[3]] if ratio[0] else []
    if used[0] and series.limit:
        shares.append(used[3] * MILLION // series.limit)
    samples, first, last, _ = used if used[0] > ratio[0] and series.limit else ratio
    return samples, first, last, max(shares, default=None)
