"""RAM_OVER_PROVISION on both sides of everything it compares."""

import pytest

from tests.unit.dataflow.rules.traffic import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    Shard,
    a_sample,
    observed,
    only,
    statuses,
)
from tokensense_otel.core.insight import Severity, Status
from tokensense_otel.dataflow.facts import MemorySample


def ram() -> Shard:
    return Shard(only("RAM_OVER_PROVISION"))


def every_four_minutes(count: int, **changes: object) -> list[MemorySample]:
    """Twenty of these span 76 minutes."""
    return [a_sample(NOON + number * 4 * MINUTE, **changes) for number in range(count)]


def test_it_fires_at_the_twentieth_sample() -> None:
    """Nineteen observations say nothing, the twentieth fires, and there is no saving to speak of."""
    shard = ram()
    assert shard.sample(every_four_minutes(19)) == []

    (insight,) = shard.sample(every_four_minutes(20)[-1:])
    assert (insight.severity, insight.scope) == (Severity.LOW, {"container": "web"})
    assert insight.estimated_monthly_savings_usd is None
    assert observed(insight) == {
        "highest_utilisation": 0.1,
        "highest_used_bytes": 100,
        "limit_bytes": 1_000,
        "samples": 20,
        "span_s": 76 * 60,
        "source": "container.memory.working_set",
    }


@pytest.mark.parametrize(("highest", "fires"), [(399, True), (400, False)])
def test_the_highest_use_has_to_be_below_forty_percent(highest: int, fires: bool) -> None:
    """One observation at the threshold among many low ones is enough to be silent."""
    shard = ram()
    shard.sample([a_sample(NOON, used=highest)])

    assert bool(shard.sample(every_four_minutes(25)[1:])) == fires


@pytest.mark.parametrize(("last", "fires"), [(3_599, False), (3_600, True)])
def test_the_samples_have_to_span_an_hour(last: int, fires: bool) -> None:
    """Any number of observations within less than an hour says nothing."""
    shard = ram()
    shard.sample([a_sample(NOON + number * SECOND) for number in range(30)])

    assert bool(shard.sample([a_sample(NOON + last * SECOND)])) == fires


def test_without_a_limit_it_never_fires() -> None:
    """Use alone says nothing about provision; a limit that comes later in a metric of its own does."""
    shard = ram()
    assert shard.sample(every_four_minutes(30, limit=None)) == []

    told = shard.sample([a_sample(NOON + 2 * HOUR, used=None, limit=1_000, source="k8s.container.memory_limit")])
    assert statuses(told) == [Status.FIRING]


def test_a_limit_from_before_serves_until_it_is_forgotten() -> None:
    """The limit last heard of counts for a window's length, and it does not count as an observation."""
    shard = ram()
    shard.sample([a_sample(NOON - MINUTE, used=None)])
    assert shard.sample(every_four_minutes(19, limit=None)) == []
    assert statuses(shard.sample(every_four_minutes(20, limit=None)[-1:])) == [Status.FIRING]

    told = shard.advance(NOON + DAY + 2 * HOUR)
    assert statuses(told) == [Status.RESOLVED]


@pytest.mark.parametrize(("ratio", "fires"), [(0.399999, True), (0.4, False)])
def test_a_ratio_is_enough(ratio: float, fires: bool) -> None:
    """Emitters that send only the share of the limit are judged by it."""
    assert bool(ram().sample(every_four_minutes(25, used=None, limit=None, ratio=ratio))) == fires


def test_a_high_ratio_overrules_low_use() -> None:
    """Where use and ratio disagree the higher one counts."""
    assert ram().sample(every_four_minutes(25, ratio=0.9)) == []


def test_resent_samples_are_no_new_ones() -> None:
    """The same observation delivered again and again stays one."""
    shard = ram()
    some = every_four_minutes(16)
    for sample in some:
        assert shard.sample([sample] * 5) == []


def test_a_peak_is_forgotten_after_a_day() -> None:
    """A high use holds the rule back for its window and no longer."""
    shard = ram()
    shard.sample([a_sample(NOON, used=900)])
    quiet = [a_sample(NOON + number * HOUR // 2) for number in range(1, 60)]
    told = shard.sample(quiet)

    assert statuses(told) == [Status.FIRING]
    assert told[0].started_at == "2026-11-03T12:00:00Z"


def test_entities_are_kept_apart() -> None:
    """Samples of two containers never add up."""
    shard = ram()
    shard.sample(every_four_minutes(15))

    assert shard.sample(every_four_minutes(15, entity="container/db")) == []


def test_more_use_resolves_it() -> None:
    """When use rises the finding is over a quarter of an hour later."""
    shard = ram()
    shard.sample(every_four_minutes(20))
    assert shard.sample([a_sample(NOON + 80 * MINUTE, used=800)]) == []

    assert statuses(shard.sample([a_sample(NOON + 95 * MINUTE, used=800)])) == [Status.RESOLVED]
