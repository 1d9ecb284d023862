"""RAM_OVER_PROVISION on both sides of everything it compares."""

import msgspec
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


MIB = 1_048_576


def every_four_minutes(count: int, **changes: object) -> list[MemorySample]:
    """Twenty of these span 76 minutes."""
    return [a_sample(NOON + number * 4 * MINUTE, **changes) for number in range(count)]


def a_function(count: int, **changes: object) -> list[MemorySample]:
    """A Lambda function of 1,024 MB that uses 200 of them."""
    plain: dict[str, object] = {
        "entity": "function/resize",
        "scope": (("function", "resize"),),
        "used": 200 * MIB,
        "limit": 1_024 * MIB,
        "source": "faas.mem_usage",
        "platform": "aws_lambda",
    }
    return every_four_minutes(count, **(plain | changes))


def ran(time_ns: int, since_ns: int, busy_ns: int) -> MemorySample:
    """How long the function ran since then."""
    sample = a_function(1, used=None, limit=None, source="", busy_ns=busy_ns, busy_since_ns=since_ns)[0]
    return msgspec.structs.replace(sample, time_ns=time_ns)


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


@pytest.mark.parametrize(
    ("platform", "limit", "used", "proposed"),
    [
        ("aws_lambda", 1_024, 200, 286),  # 200 / 0.7, up to the next MB
        ("aws_lambda", 512, 20, 128),  # the least there is
        ("aws_lambda", 128, 20, None),
        ("aws_fargate", 4_096, 1_000, 2_048),  # 1,429 MiB would do, which Fargate does not sell
        ("gcp_cloud_run", 2_048, 170, 256),
        ("", 2_048, 350, 512),  # exactly 500 MiB
        ("", 2_048, 359, 768),
    ],
)
def test_it_proposes_the_smallest_size_that_keeps_headroom(
    platform: str, limit: int, used: int, proposed: int | None
) -> None:
    """Three tenths stay free above the highest use, in a size that the platform has; without a smaller one, none."""
    told = ram().sample(a_function(20, platform=platform, limit=limit * MIB, used=used * MIB))

    size = told[0].evidence["proposed_limit_bytes"]
    assert size == (None if proposed is None else proposed * MIB)
    if proposed is None:
        assert "nothing is to be done" in told[0].suggested_fix
    else:
        assert f"{proposed:,} MiB" in told[0].suggested_fix
        assert told[0].evidence["proposed_utilisation"] == pytest.approx(used / proposed, abs=0.001)
        assert used <= 0.7 * proposed


def test_a_ratio_without_a_limit_proposes_no_size() -> None:
    """Where nobody says how much memory it has, only the share is known."""
    told = ram().sample(every_four_minutes(25, used=None, limit=None, ratio=0.1))

    assert told[0].evidence["proposed_limit_bytes"] is None
    assert "step by step" in told[0].suggested_fix


def test_the_saving_is_the_time_it_ran_at_the_price_of_the_memory_between() -> None:
    """A day of running at 1,024 MB instead of 286, at the list price of Lambda on Arm, the lowest there is."""
    shard = ram()
    assert shard.sample([ran(NOON - HOUR, NOON - DAY, 86_400 * SECOND)]) == []
    (insight,) = shard.sample(a_function(20))

    # 738 / 1,024 GB × 86,400 s × 0.0000133334 USD, to the nano-dollar below
    assert insight.estimated_monthly_savings_usd == "0.830254151"
    assert insight.evidence["spend_30d_usd"] == "1.15200576"
    assert insight.evidence["seconds_running_30d"] == 86_400
    assert insight.evidence["price"].startswith("0.0000133334 USD")


def test_sums_that_grow_are_counted_once() -> None:
    """What a sum grew by counts, a sum that is sent again or late does not, and a new start begins a new one."""
    shard = ram()
    day, one, two = 86_400 * SECOND, NOON - DAY, NOON - HOUR
    sums = [(one, day // 4), (one, day // 2), (one, day // 2), (one, day // 4), (two, day // 4), (one, 3 * day // 4)]
    shard.sample([ran(NOON - HOUR + number, since, busy) for number, (since, busy) in enumerate(sums)])
    shard.crash()
    shard.sample([ran(NOON, two, day // 4)])
    (insight,) = shard.sample(a_function(20))

    assert insight.evidence["seconds_running_30d"] == 86_400


@pytest.mark.parametrize(("platform", "busy"), [("gcp_cloud_run", True), ("", True), ("aws_lambda", False)])
def test_without_a_price_or_a_duration_there_are_no_dollars(platform: str, busy: bool) -> None:
    """Only where memory is billed by the second and the seconds are told there is a saving."""
    shard = ram()
    if busy:
        shard.sample([msgspec.structs.replace(ran(NOON - HOUR, NOON - DAY, DAY), platform=platform)])
    (insight,) = shard.sample(a_function(20, platform=platform))

    assert insight.estimated_monthly_savings_usd is None
    assert "spend_30d_usd" not in insight.evidence


def test_the_smallest_size_saves_nothing() -> None:
    """Where there is no smaller size there is no saving, however long it ran."""
    shard = ram()
    shard.sample([ran(NOON - HOUR, NOON - DAY, DAY)])
    (insight,) = shard.sample(a_function(20, limit=128 * MIB, used=20 * MIB))

    assert insight.estimated_monthly_savings_usd is None
