"""What every rule can be told about the life of its findings, on a real rule and on small ones."""

from typing import Any

import msgspec
import pytest

from tests.unit.dataflow.rules.evaluation.toy import rule_set
from tests.unit.dataflow.rules.traffic import (
    CATALOGUE,
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    Shard,
    a_call,
    calls,
    observed,
    only,
    statuses,
)
from tokensense_otel.core.call import Call, Posting, Tokens
from tokensense_otel.core.insight import Status
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import Level, RuleShard
from tokensense_otel.dataflow.rules.call_rule import Fact, WindowRule
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import WindowConfig, Words

OUTPUT = 100
"""The default of MODEL_MISUSE: the average output below which it fires."""


def lengthened(shard: Shard, extra: int) -> list[Status]:
    """Twenty calls of fifty tokens fire; one more with `extra` tokens changes the average to (1,000 + extra) / 21."""
    shard.post(calls(20, step=1))
    shard.post([a_call(100, NOON + MINUTE, tokens=Tokens(1_000, extra))])
    return statuses(shard.advance(NOON + HOUR))


@pytest.mark.parametrize(("extra", "over"), [(1_330, False), (1_352, True)])
def test_a_finding_is_over_only_below_a_softer_threshold(extra: int, over: bool) -> None:
    """An average of 110.95 is over 100 but not over 100 / 0.9, rounded up to 112; one of 112 ends the finding."""
    told = lengthened(Shard(only("MODEL_MISUSE")), extra)

    assert told == ([Status.RESOLVED] if over else [])


def test_hysteresis_can_be_turned_off() -> None:
    """At 1 the threshold that opens is the one that closes."""
    assert lengthened(Shard(only("MODEL_MISUSE", hysteresis=1)), 1_101) == [Status.RESOLVED]


def test_hysteresis_opens_nothing() -> None:
    """What never was beyond the threshold itself is not told, however near it is."""
    shard = Shard(only("MODEL_MISUSE"))

    assert shard.post(calls(50, tokens=Tokens(1_000, 105))) == []


def test_the_step_of_an_update_is_an_option() -> None:
    """With a factor of 1.5 twenty calls are told again at thirty and at forty-five."""
    told = Shard(only("MODEL_MISUSE", update_factor=1.5)).post(calls(50, step=1))

    assert [observed(insight)["calls"] for insight in told] == [20, 30, 45]


def test_without_data_a_finding_can_stay() -> None:
    """`keep` leaves it open when its window runs empty, across a restart, until there is data that says otherwise."""
    shard = Shard(only("MODEL_MISUSE", no_data="keep"))
    shard.post(calls(20))
    assert shard.advance(NOON + 10 * DAY) == []
    shard.crash()
    assert shard.advance(NOON + 20 * DAY) == []

    shard.post([a_call(100, NOON + 20 * DAY, tokens=Tokens(1_000, 5_000))])
    assert statuses(shard.advance(NOON + 20 * DAY + HOUR)) == [Status.RESOLVED]


@pytest.mark.parametrize("window", ["5m", "1h", "24h", "7d", "30d"])
def test_windows_reach_from_minutes_to_a_month(window: str) -> None:
    """Twenty calls within any window fire, and an idle key ends with its window although nothing comes: within a bucket
    of its end, a hundredth of it, and the quarter of an hour for which the condition has to be false."""
    shard = Shard(only("MODEL_MISUSE", window=window))
    length = {"5m": 5 * MINUTE, "1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}[window]
    assert statuses(shard.post(calls(20, step=1))) == [Status.FIRING]

    quarter = 15 * MINUTE
    assert shard.advance(NOON + length - length // 60 + quarter) == []
    assert statuses(shard.advance(NOON + length + length // 60 + quarter)) == [Status.RESOLVED]


class WideConfig(WindowConfig):
    """Of a rule for these tests."""


class Wide(WindowRule[WideConfig]):
    """Counts all calls of a tenant; beside its window it keeps an hour, durations and users."""

    name = "WIDE"
    description = "For tests."
    scope = ("provider",)
    fields = ("calls",)
    thresholds = ("window",)
    level = Level.TENANT
    config_type = WideConfig

    def new_series(self, config: WideConfig, /) -> CallSeries:
        return self.follow(config.window, windows={"hour": HOUR}, histograms={"duration": DAY}, distinct={"users": DAY})

    def observe(self, call: Call, _config: WideConfig, _catalogue: Catalogue, /) -> Fact | None:
        took = call.end_ns - call.start_ns
        user = call.dimensions.user
        return Fact((call.provider,), (1,), measured=(("duration", took),), members=(("users", user),) if user else ())

    def judge(self, series: CallSeries, _config: WideConfig, /) -> int | None:
        return series.counts[0] if series.counts[0] >= 3 else None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        return {
            "calls": series.counts[0],
            "last_hour": series.windows["hour"].totals[0],
            "p95": series.histograms["duration"].total.quantile(0.95),
            "users": series.distinct["users"].count,
        }

    def words(
        self, _scope: dict[str, str], _series: CallSeries, _config: WideConfig, _catalogue: Catalogue, /
    ) -> Words:
        return Words("a", "b", "c")


class Beating(Wide):
    """Fires when the newest call is an hour old."""

    name = "BEATING"
    beat_ns = MINUTE

    def judge(self, series: CallSeries, _config: WideConfig, /) -> int | None:
        return 1 if series.now_ns - series.last_ns >= HOUR else None


def named(number: int, **where: str) -> Call:
    call = a_call(number, NOON + number * HOUR, start_ns=NOON + number * HOUR - number * SECOND)
    return msgspec.structs.replace(call, dimensions=msgspec.structs.replace(call.dimensions, **where))


def test_a_key_may_be_wider_than_a_team() -> None:
    """Calls of three teams and two projects' worth of users meet at the level of the tenant, and nowhere else."""
    rules = rule_set(Wide())
    assert rules.has(Level.TENANT)
    assert not rules.has(Level.TEAM)
    some = [named(number, team=f"team-{number}", user=f"user-{number // 2}") for number in range(1, 4)]
    told = {}
    for level in Level:
        shard = RuleShard(rules, CATALOGUE, level)
        told[level] = [insight for call in some for insight in shard.ingest([Posting(1, call)], [], call.end_ns)]

    assert told[Level.TEAM] == []
    (insight,) = told[Level.TENANT]
    # Calls of 1, 2 and 3 seconds; the last hour has only the newest, and the users are 0, 1 and 1.
    seen = observed(insight)
    assert (seen["calls"], seen["last_hour"], seen["users"]) == (3, 1, 2)
    assert seen["p95"] == pytest.approx(3 * SECOND, rel=0.0434)


def test_windows_histograms_and_users_survive_and_are_taken_back() -> None:
    """What a rule keeps beside its window is in the snapshot, and leaves with the reversal of its calls."""
    shard = Shard(rule_set(Wide()))
    some = [named(number, user="somebody") for number in range(1, 4)]
    shard.post(some)
    shard.crash()
    ((_, series),) = shard.shard._tables["WIDE"].items()
    assert (series.histograms["duration"].total.count, series.distinct["users"].count) == (3, 1)

    shard.reverse(some)
    assert (series.histograms["duration"].empty, series.distinct["users"].empty) == (True, True)
    assert series.empty


def test_a_rule_may_wait_for_silence() -> None:
    """With a beat of its own a rule is judged although nothing comes, to the minute."""
    shard = Shard(rule_set(Beating()))
    shard.post([a_call(1, NOON)])

    assert shard.advance(NOON + 59 * MINUTE) == []
    (insight,) = shard.advance(NOON + HOUR)
    assert (insight.status, insight.started_at) == (Status.FIRING, "2026-11-02T13:00:00Z")
    shard.post([a_call(2, NOON + 2 * HOUR)])
    assert statuses(shard.advance(NOON + 2 * HOUR + 15 * MINUTE)) == [Status.RESOLVED]


def test_a_reload_keeps_what_did_not_change() -> None:
    """New thresholds apply to what was counted before; another window begins anew, and what was open goes on; other
    rules come and go."""
    shard = Shard(only("MODEL_MISUSE"))
    shard.post(calls(15, step=1))
    shard.shard.reload(only("MODEL_MISUSE", min_calls=16))
    assert statuses(shard.post(calls(1, start=NOON + SECOND, first=50))) == [Status.FIRING]

    shard.shard.reload(only("MODEL_MISUSE", window="48h"))
    assert shard.post(calls(19, start=NOON + MINUTE, first=100)) == []
    assert shard.post(calls(1, start=NOON + HOUR, first=200)) == []  # twenty again: the same finding
