"""RAM_OVER_PROVISION: a function or container that never comes near the memory it is given."""

from typing import Any

from pydantic import Field

from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.facts import MemorySample
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.evaluation.series import MemorySeries
from tokensense_otel.dataflow.rules.rule import SECOND_NS, Rule, WindowConfig, Words

MILLION = 1_000_000
MIB = 1_048_576


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


class RamOverProvision(Rule[RamOverProvisionConfig, MemorySeries]):
    """Judged by the highest use, never the mean, against the limit last heard of. Without a limit it never fires."""

    name = "RAM_OVER_PROVISION"
    description = "A function or container never uses more than a small share of its memory limit."
    scope = ("entity",)
    thresholds = ("max_utilisation", "min_samples", "min_span_s", "window")
    below = ("max_utilisation",)
    sample_type = MemorySample
    config_type = RamOverProvisionConfig

    def new_series(self, config: RamOverProvisionConfig, /) -> MemorySeries:
        return MemorySeries(config.window)

    def place(self, sample: MemorySample, _config: RamOverProvisionConfig, /) -> tuple[str, ...]:
        return (sample.entity,)

    def take(self, series: MemorySeries, sample: MemorySample, time_ns: int, /) -> bool:
        if sample.limit is not None and sample.limit > 0 and time_ns >= series.limit_ns:
            series.limit, series.limit_ns = sample.limit, time_ns
        fits = True
        if sample.used is not None and sample.used >= 0:
            fits = series.used.add(time_ns, sample.used)
        if sample.ratio is not None and sample.ratio >= 0:
            fits &= series.ratio.add(time_ns, round(sample.ratio * MILLION))
        series.scope = [*sample.scope]
        series.source = sample.source or series.source
        return fits

    def judge(self, series: MemorySeries, config: RamOverProvisionConfig, /) -> int | None:
        samples, first, last, highest = _summary(series)
        if highest is None or samples < config.min_samples or last - first < config.min_span_s * SECOND_NS:
            return None
        return MILLION - highest if highest < config.max_utilisation * MILLION else None

    def observed(self, series: MemorySeries, /) -> dict[str, Any]:
        samples, first, last, highest = _summary(series)
        return {
            "highest_utilisation": None if highest is None else highest / MILLION,
            "highest_used_bytes": None if series.used.empty else series.used.summary()[3],
            "limit_bytes": series.limit,
            "samples": samples,
            "span_s": (last - first) // SECOND_NS,
            "source": series.source,
        }

    def scope_of(self, parts: tuple[str, ...], series: MemorySeries, /) -> dict[str, str]:
        return dict(series.scope) or {"entity": parts[0]}

    def money(self, _series: MemorySeries, _config: RamOverProvisionConfig, _catalogue: Catalogue, /) -> dict[str, Any]:
        return {}

    def savings(self, _series: MemorySeries, /) -> int | None:
        return None

    def words(
        self, scope: dict[str, str], series: MemorySeries, config: RamOverProvisionConfig, _catalogue: Catalogue, /
    ) -> Words:
        samples, _, _, highest = _summary(series)
        name = "/".join(scope.values())
        share = 0.0 if highest is None else round(highest / MILLION * 100, 1)
        of = f" of {series.limit // MIB} MiB" if series.limit else ""
        return Words(
            title=f"{name} has more memory than it needs",
            summary=f"The highest of {samples} observations in {config.window} was {share} %{of}.",
            suggested_fix="Lower its memory limit step by step and keep headroom above the highest use. On AWS Lambda "
            "CPU shrinks with memory: measure the duration as well.",
        )


def _summary(series: MemorySeries) -> tuple[int, int, int, int | None]:
    """(samples, first, last, highest share of the limit in millionths or `None` where there is no limit)."""
    used, ratio = series.used.summary(), series.ratio.summary()
    shares = [ratio[3]] if ratio[0] else []
    if used[0] and series.limit:
        shares.append(used[3] * MILLION // series.limit)
    samples, first, last, _ = used if used[0] > ratio[0] and series.limit else ratio
    return samples, first, last, max(shares, default=None)
