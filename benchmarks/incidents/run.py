"""Generates, judges and scores one seed: what `tokensense replay` would do, in this process."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from time import perf_counter

import msgspec

from benchmarks.incidents import baselines
from benchmarks.incidents.generate import RULES, TRUTH
from benchmarks.incidents.labels import DAY_NS, HOUR_NS, Incident, Truth
from benchmarks.incidents.score import Alert, Score, excusing, score, score_rules
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.registry import RULES as BUILT_IN
from tokensense_otel.dataflow.runner import InProcessRunner
from tokensense_otel.receiver.log.entry import Entry
from tokensense_otel.service.config import Settings
from tokensense_otel.service.replay.read import Reader
from tokensense_otel.service.replay.replay import SALT, with_rules

SPIKES = ("SPIKE", "COST_SPIKE")
OURS = "SPIKE and COST_SPIKE (TokenSense)"


class Judged(msgspec.Struct):
    """One seed, judged by our rules. `costs` is what the baselines look at."""

    truth: Truth
    insights: list[Insight]
    calls: int
    costs: list[baselines.Cost]
    seconds: float


def judge(folder: Path) -> Judged:
    """Run the recordings of a folder through the in-process runner, with the rules file beside them."""
    truth = Truth.read(folder / TRUTH)
    settings = with_rules(Settings(), folder / RULES)

    def refused(where: str, why: str) -> None:
        raise ValueError(f"{where}: {why}")

    def quarantined(entry: Entry) -> None:
        raise ValueError(f"a request of {entry.signal.value} could not be taken apart")

    runner = InProcessRunner(
        settings.dataflow,
        rules=settings.rule_set,
        normalise=settings.normalise,
        salt=SALT,
        catalogue=Catalogue.load(settings.prices),
        quarantine=quarantined,
    )
    began = perf_counter()
    for entry in Reader(refused, settings.receiver.max_request_bytes).entries(sorted(folder.glob("*.pb.gz"))):
        runner.feed([entry])
    insights = runner.finish().insights
    seconds = perf_counter() - began
    calls = list(runner.calls())
    return Judged(truth, insights, len(calls), baselines.costs_of(calls), seconds)


def alerts_of(insights: Iterable[Insight]) -> list[Alert]:
    """What people are told when something opens or worsens."""
    return [
        Alert(
            insight.rule,
            _ns(insight.detected_at),
            {"project": insight.project} | insight.scope,
            opens=insight.status is Status.FIRING,
            detail=insight.summary,
        )
        for insight in insights
        if insight.status is not Status.RESOLVED
    ]


def _ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def ours(judged: Judged) -> list[Score]:
    """Each rule against its own labels."""
    return score_rules(judged.truth, alerts_of(judged.insights), BUILT_IN)


def events(truth: Truth) -> list[Incident]:
    """Incidents of spending or volume, each once, though two rules may have to find it.

    An hour after it is over nobody needs to be told, whatever window shows it for a day.
    """
    found: dict[tuple[str, int], Incident] = {}
    for incident in truth.incidents:
        if incident.rule in SPIKES:
            event = msgspec.structs.replace(incident, grace_ns=HOUR_NS)
            found.setdefault((incident.scope["team"], incident.from_ns), event)
    return list(found.values())


def compared(judged: Judged, window_ns: int, threshold: int) -> list[Score]:
    """Our two rules about jumps, and the baselines, each against the same events after the first two weeks."""
    truth = judged.truth
    teams = baselines.spend_by_team(judged.costs)
    told = [msgspec.structs.replace(alert, rule=OURS) for alert in alerts_of(judged.insights) if alert.rule in SPIKES]
    since, until = truth.start_ns, truth.end_ns
    ways = {
        OURS: told,
        baselines.LITELLM: baselines.litellm(teams, since, until),
        baselines.LANGWATCH_HOUR: baselines.langwatch(teams, since, until, HOUR_NS),
        baselines.LANGWATCH_DAY: baselines.langwatch(teams, since, until, DAY_NS),
        baselines.LANGFUSE: baselines.langfuse(baselines.everything(judged.costs), since, until, window_ns, threshold),
    }
    excuses = excusing(truth, *SPIKES)
    later = msgspec.structs.replace(truth, start_ns=truth.warm_ns)
    return [
        score(name, [each for each in some if each.time_ns >= truth.warm_ns], events(truth), later, excuses)
        for name, some in ways.items()
    ]


def best_threshold(seeds: Iterable[Judged]) -> tuple[int, int]:
    """(window, nano-dollars) with the best harmonic mean of precision and recall on these seeds: what a careful user
    who knew the past would set."""
    some = list(seeds)
    best = (0.0, HOUR_NS, 0)
    for window_ns in (HOUR_NS, DAY_NS):
        spends = [baselines.everything(judged.costs) for judged in some]
        highest = max(
            spend.between(now, now + window_ns)
            for spend, judged in zip(spends, some, strict=True)
            for now in range(judged.truth.start_ns, judged.truth.end_ns, HOUR_NS)
        )
        for step in range(2, 25):
            threshold = highest * step // 25
            total = Score(baselines.LANGFUSE)
            for spend, judged in zip(spends, some, strict=True):
                truth = judged.truth
                alerts = baselines.langfuse(spend, truth.warm_ns, truth.end_ns, window_ns, threshold)
                total.add(score(baselines.LANGFUSE, alerts, events(truth), truth, excusing(truth, *SPIKES)))
            precision, recall = total.precision or 0.0, total.recall or 0.0
            mean = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
            if mean > best[0]:
                best = (mean, window_ns, threshold)
    return best[1:]
