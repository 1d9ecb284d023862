"""UNATTRIBUTED: too much spend that is nobody's."""

from typing import Any, Final

from pydantic import Field

from tokensense_otel.core.call import Call, CostKind
from tokensense_otel.core.insight import Severity
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.breakdown import OTHER, BreakdownRule, BrokenDownFact
from tokensense_otel.dataflow.rules.call_rule import Fact
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import Level, WindowConfig, Words
from tokensense_otel.dataflow.rules.thresholds import MinSpendConfig, dollars

MILLION: Final = 1_000_000
_APART: Final = "\x1f"


class UnattributedConfig(MinSpendConfig, WindowConfig):
    """Thresholds of UNATTRIBUTED."""

    severity: Severity = Severity.LOW
    """`high`, `medium` or `low`."""
    min_usd: float = Field(default=0.1, gt=0, le=1_000_000_000)
    """USD without a team in the window below which the rule does not fire."""
    min_calls: int = Field(default=100, ge=1)
    """Calls of the project in the window before the rule may fire."""
    max_share: float = Field(default=0.1, ge=0, lt=1)
    """The rule fires while more than this share of the spend has no team."""


class Unattributed(BreakdownRule[UnattributedConfig]):
    """The share is one of dollars where at least half of the calls have a price, else one of calls. Late names are
    waited for, as for every rule: a team that only the root span tells is a team."""

    name = "UNATTRIBUTED"
    description = "More of a project's spend has no team than the objective allows."
    scope = ("project",)
    fields = ("calls_without_team", "calls", "priced_without_team", "nanos_without_team", "priced", "nanos")
    takes_sums = True
    thresholds = ("min_calls", "max_share", "min_usd", "window")
    above = ("max_share",)
    floors = ("min_calls", "min_usd")
    level = Level.TENANT
    config_type = UnattributedConfig

    def observe(self, call: Call, _config: UnattributedConfig, _catalogue: Catalogue, /) -> Fact | None:
        count, cost, where = call.count, call.cost, call.dimensions
        priced, nanos = (0, 0) if cost.kind is CostKind.UNKNOWN else (count, cost.low)
        if where.team:
            return Fact((call.project,), (0, count, 0, 0, priced, nanos), matters=False)
        return BrokenDownFact(
            key=(call.project,),
            counts=(count, count, priced, nanos, priced, nanos),
            part=f"{where.service[:80]}{_APART}{call.model[:80]}",
        )

    def judge(self, series: CallSeries, config: UnattributedConfig, /) -> int | None:
        nobodys, calls, _, nobodys_nanos, priced, nanos = series.counts
        if calls < config.min_calls or not nobodys:
            return None
        if 2 * priced < calls:
            part, whole = nobodys, calls
        elif nobodys_nanos >= config.min_nanos:
            part, whole = nobodys_nanos, nanos
        else:
            return None
        return MILLION * part // whole if part > config.max_share * whole else None

    def savings(self, _series: CallSeries, /) -> int | None:
        return None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        nobodys, calls, nobodys_priced, nobodys_nanos, priced, nanos = series.counts
        return {
            "calls_without_team": nobodys,
            "calls": calls,
            "share_of_calls": round(nobodys / calls, 3) if calls > 0 else None,
            "usd_without_team": usd_text(nobodys_nanos if nobodys_priced > 0 else None),
            "usd": usd_text(nanos if priced > 0 else None),
            "share_of_usd": round(nobodys_nanos / nanos, 3) if nanos > 0 else None,
            "from": self._sources(series),
        }

    def _sources(self, series: CallSeries) -> list[dict[str, Any]]:
        told = []
        for part in self.parts(series):
            service, _, model = part.pop("name").partition(_APART)
            named = {"service": OTHER} if service == OTHER and not model else {"service": service, "model": model}
            told.append(named | part)
        return told

    def words(
        self, scope: dict[str, str], series: CallSeries, config: UnattributedConfig, _catalogue: Catalogue, /
    ) -> Words:
        nobodys, calls, _, nobodys_nanos, priced, nanos = series.counts
        if 2 * priced >= calls > 0 and nanos > 0:
            what = f"{dollars(nobodys_nanos)} of {dollars(nanos)} ({nobodys_nanos / nanos:.0%})"
        else:
            what = f"{nobodys:,} of {calls:,} calls ({nobodys / calls if calls > 0 else 0:.0%})"
        services = [each["service"] for each in self._sources(series) if each["service"] not in ("", OTHER)]
        which = f" of {', '.join(dict.fromkeys(services))}" if services else ""
        return Words(
            title=f"Nobody owns a part of what {scope['project']} spends",
            summary=f"{what} in {config.window} had no team; the objective is at most {config.max_share:.0%}.",
            suggested_fix=f"Set the resource attribute `tokensense.team`{which} "
            "(`OTEL_RESOURCE_ATTRIBUTES=tokensense.team=…`), or name the attribute that already says so in "
            "`attribution.team` of the configuration.",
        )
