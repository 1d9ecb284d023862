"""Rules written in YAML, on both sides of what they compare; expected values are worked out in sight."""

from typing import Any

import msgspec
import pytest

from tests.unit.dataflow.rules.language.support import rules_of, shard_of
from tests.unit.dataflow.rules.traffic import (
    DAY,
    HOUR,
    MIDNIGHT,
    MINUTE,
    NOON,
    SECOND,
    Shard,
    calls,
    observed,
    statuses,
)
from tokensense_otel.core.call import Call, Dimensions, Source, Tokens
from tokensense_otel.core.insight import Insight, Severity, Status

ERRORS = """
    metric: errors
    aggregate: share
    window: 15m
    group_by: [team, model]
    where: {team: payments, environment: [prod, staging]}
    compare: {above: 5%}
    min_samples: 100
    severity: high
    title: "{team}: {value} of the calls to {model} fail"
    fix: "Ask {team}."
"""


def payments(count: int, *, environment: str = "prod", **changes: Any) -> list[Call]:
    where = Dimensions(team=changes.pop("team", "payments"), environment=environment, user=changes.pop("user", ""))
    return calls(count, **{"step": SECOND, **changes}, dimensions=where)


@pytest.mark.parametrize(("failed", "expected"), [(5, []), (6, [Status.FIRING])])
def test_a_share_has_to_be_above_its_threshold(failed: int, expected: list[Status]) -> None:
    """Of a hundred calls five failed ones are not above 5 %, six are."""
    shard = shard_of(ERRORS)
    shard.post(payments(failed, error_type="500"))
    assert statuses(shard.post(payments(100 - failed, first=50, start=NOON + MINUTE))) == expected


def test_the_insight_has_the_whole_proof() -> None:
    """Scope, words, thresholds, numbers, window and samples are there; no saving is claimed."""
    shard = shard_of(ERRORS)
    shard.post(payments(6, error_type="500"))
    (insight,) = shard.post(payments(94, first=50, start=NOON + MINUTE))

    assert (insight.rule, insight.severity) == ("MINE", Severity.HIGH)
    assert insight.scope == {"team": "payments", "model": "gpt-4o"}
    assert insight.title == "payments: 6% of the calls to gpt-4o fail"
    assert insight.summary == "Share of failed calls over 15m: 6%, above 5%; 100 calls told it."
    assert insight.suggested_fix == "Ask payments."
    assert observed(insight) == {"value": 0.06, "samples": 100, "amount": 6, "of": 100}
    assert insight.evidence["thresholds"]["compare"] == {"above": "5%"}
    assert insight.evidence["window"]["to"] == "2026-11-02T12:02:33Z"
    assert len(insight.evidence["sample_trace_ids"]) == 5
    assert insight.estimated_monthly_savings_usd is None


def test_only_what_is_asked_for_counts() -> None:
    """Calls of another team, of another environment or on another key change nothing."""
    shard = shard_of(ERRORS)
    shard.post(payments(6, error_type="500"))
    shard.post(payments(300, first=1_000, team="search"))
    shard.post(payments(300, first=2_000, environment="dev"))
    assert shard.post(payments(300, first=3_000, request_model="gpt-4o-mini")) == []
    assert statuses(shard.post(payments(94, first=4_000, environment="staging", start=NOON + MINUTE))) == [
        Status.FIRING
    ]


def test_a_reversal_takes_the_call_back() -> None:
    """A failed call that turns out to be none is not counted, so that the share is at its threshold and no more."""
    shard = shard_of(ERRORS)
    failed = payments(6, error_type="500")
    shard.post(failed)
    shard.reverse(failed[:1])
    assert shard.post(payments(95, first=50, start=NOON + MINUTE)) == []


def test_wildcards_and_exceptions() -> None:
    """`*` matches any characters, `unless` takes out again, and unnamed dimensions are `unattributed`."""
    shard = shard_of(
        "{metric: calls, window: 1h, group_by: [feature], compare: {above: 4},"
        " where: {model: 'gpt-*', feature: unattributed}, unless: {model: ['*-mini', gpt-5]}}"
    )
    assert shard.post(calls(5, request_model="gpt-4o-mini")) == []
    assert shard.post(calls(5, first=100, request_model="gpt-5")) == []
    assert shard.post(calls(5, first=200, request_model="o3")) == []
    assert shard.post(calls(5, first=300, feature="search")) == []
    (insight,) = shard.post(calls(5, first=400))
    assert insight.scope == {"feature": "unattributed"}


def test_an_unknown_cost_is_no_zero() -> None:
    """Calls without a price neither raise a sum of dollars nor lower its mean, and make nothing fire below."""
    shard = shard_of("{metric: cost_usd, aggregate: mean, window: 1h, compare: {above: $0.00299}}")
    shard.post(calls(50, first=1_000, request_model="no-such-model"))
    (insight,) = shard.post(calls(1))
    assert observed(insight) == {"value": "0.003", "samples": 1}

    quiet = shard_of("{metric: cost_usd, aggregate: mean, window: 1h, compare: {below: $1}}")
    assert quiet.post(calls(50, request_model="no-such-model")) == []


def test_tokens_that_nobody_told_are_no_samples() -> None:
    """A share of cached tokens is of the input of calls that told both."""
    shard = shard_of("{metric: cache_read_tokens, aggregate: share, window: 1h, compare: {below: 50%}, min_samples: 2}")
    assert shard.post(calls(9, tokens=Tokens(1_000, 50))) == []
    shard.post(calls(1, first=100, tokens=Tokens(1_000, 50, cache_read=500)))
    assert shard.post(calls(1, first=101, tokens=Tokens(1_000, 50, cache_read=500))) == []
    (insight,) = shard.post(calls(1, first=102, tokens=Tokens(1_000, 50, cache_read=499)))
    assert observed(insight) == {"value": 0.499667, "samples": 3, "amount": 1_499, "of": 3_000}


@pytest.mark.parametrize(("slow", "expected"), [(5, []), (6, [Status.FIRING])])
def test_a_quantile_needs_its_share(slow: int, expected: list[Status]) -> None:
    """Of a hundred calls five slow ones leave p95 where it is; the sixth moves it."""
    shard = shard_of("{metric: latency, aggregate: p95, window: 1h, compare: {above: 5s}, min_samples: 100}")
    shard.post(calls(100 - slow))  # a second each
    late = [msgspec.structs.replace(call, start_ns=call.end_ns - 20 * SECOND) for call in calls(slow, first=500)]
    assert statuses(shard.post(late)) == expected


def test_different_users_are_counted_once() -> None:
    """Three calls of two users are two; calls without a user are none."""
    shard = shard_of("{metric: users, window: 1h, compare: {above: 2}}")
    shard.post([*payments(2, user="a"), *payments(1, first=10, user="b"), *payments(9, first=20)])
    (insight,) = shard.post(payments(1, first=50, user="c"))
    assert observed(insight) == {"value": 3, "samples": 4, "exact": True}


def test_a_rate_is_per_minute() -> None:
    """61 calls in ten minutes are 6.1 a minute, above 6."""
    shard = shard_of("{metric: calls, aggregate: rate, window: 10m, compare: {above: 6}}")
    assert shard.post(calls(60, step=SECOND)) == []
    (insight,) = shard.post(calls(1, first=100, start=NOON + 2 * MINUTE))
    assert observed(insight)["value"] == 6.1


class TestBaseline:
    HOURLY = "{metric: calls, window: 1h, compare: {above: 2x, baseline: {previous: 6, statistic: %s}}, min_samples: 5}"

    @staticmethod
    def hours(shard: Shard, *counts: int) -> list[Insight]:
        """So many calls in each hour from midnight on, in its first minutes."""
        told: list[Insight] = []
        for hour, count in enumerate(counts):
            told += shard.post(calls(count, start=MIDNIGHT + hour * HOUR, first=1 + 10_000 * hour))
        return told

    @pytest.mark.parametrize(("count", "expected"), [(20, []), (21, [Status.FIRING])])
    def test_twice_the_median_of_the_windows_before(self, count: int, expected: list[Status]) -> None:
        """The median of 10, 10, 10, 10, 10 and 100 is ten: twenty calls are not above two times it, 21 are."""
        shard = shard_of(self.HOURLY % "median")
        told = self.hours(shard, 10, 10, 10, 10, 10, 10)
        told += shard.post(calls(count, start=MIDNIGHT + 6 * HOUR + 30 * MINUTE, first=500_000))
        assert statuses(told) == expected

    def test_the_mean_is_of_all_windows(self) -> None:
        """An hour of 100 among five of ten makes the mean 25: 51 calls are above two times it."""
        shard = shard_of(self.HOURLY % "mean")
        self.hours(shard, 100, 10, 10, 10, 10, 10)
        later = MIDNIGHT + 6 * HOUR + 45 * MINUTE
        assert shard.post(calls(50, start=later, first=500_000)) == []
        (insight,) = shard.post(calls(1, start=later + 5 * MINUTE, first=600_000))
        seen = observed(insight)
        assert (seen["value"], seen["compared_with"], seen["times"]) == (51, 25, 2.04)
        assert seen["other_windows"] == [10, 10, 10, 10, 10, 100]

    def test_a_new_key_has_no_baseline(self) -> None:
        """With two known windows before it nothing is too much; hours without calls since the first are zeroes."""
        shard = shard_of(self.HOURLY % "median")
        assert self.hours(shard, 10, 10, 1_000) == []
        shard = shard_of(self.HOURLY % "median")
        told = self.hours(shard, 10, 0, 0, 0, 0, 0, 1_000)
        assert told == []  # the median is zero, and nothing is times zero

    def test_late_calls_change_the_window_they_belong_to(self) -> None:
        """Calls of hours ago that come now raise the baseline of which they are part."""
        shard = shard_of(self.HOURLY % "mean")
        self.hours(shard, 10, 10, 10, 10, 10, 10)
        now = MIDNIGHT + 6 * HOUR + 45 * MINUTE
        assert shard.post(calls(20, start=now, first=500_000)) == []
        shard.post(calls(60, start=MIDNIGHT + HOUR, first=700_000), now_ns=now)
        (insight,) = shard.post(calls(21, start=now + MINUTE, first=600_000))
        assert observed(insight)["compared_with"] == 20  # 120 calls in six hours

    @pytest.mark.parametrize(("count", "expected"), [(300, []), (301, [Status.FIRING])])
    def test_the_same_time_on_other_days(self, count: int, expected: list[Status]) -> None:
        """An hour of 100 calls at noon on each of three days is what noon is compared with, not the night."""
        shard = shard_of("{metric: calls, window: 1h, compare: {above: 3x, baseline: {days: 7}}, min_samples: 5}")
        for day in range(4):
            shard.post(calls(1, start=MIDNIGHT + day * DAY, first=1 + 10_000 * day))
            if day < 3:
                shard.post(calls(100, start=NOON + day * DAY, first=10 + 10_000 * day))
        assert statuses(shard.post(calls(count, start=NOON + 3 * DAY, step=SECOND, first=100_000))) == expected


def test_a_short_window_against_a_long_one() -> None:
    """Ten calls an hour for a day are ten for an hour; with thirty-one within one the ratio is above three."""
    shard = shard_of("{metric: calls, window: 1h, compare: {above: 2.5x, window: 24h}, min_samples: 5}")
    told = []
    for hour in range(24):
        told += shard.post(calls(10, start=MIDNIGHT + hour * HOUR, step=6 * MINUTE, first=1 + 1_000 * hour))
    assert told == []
    (insight,) = shard.post(calls(20, start=MIDNIGHT + 23 * HOUR + 56 * MINUTE, first=90_000))
    seen = observed(insight)
    assert 2.5 < seen["times"] < 2.6
    assert seen["value"] >= 26


def test_half_of_the_long_window_has_to_be_known() -> None:
    """In its first hours a key is not compared with a day."""
    shard = shard_of("{metric: calls, window: 1h, compare: {above: 2x, window: 24h}}")
    shard.post(calls(1, start=MIDNIGHT))
    assert shard.post(calls(100, first=100, start=MIDNIGHT + 11 * HOUR)) == []


class TestBudget:
    RULE = "{metric: cost_usd, compare: {above: 80%, budget: {amount: $0.03, per: day}}}"  # a call costs $0.003

    def test_it_fires_above_its_part_of_the_budget(self) -> None:
        """Eight calls are 80 % and no more; the ninth is above."""
        shard = shard_of(self.RULE)
        assert shard.post(calls(8)) == []
        (insight,) = shard.post(calls(1, first=9, start=NOON + MINUTE))
        assert observed(insight) == {"value": "0.027", "samples": 9, "compared_with": "0.03", "times": 0.9}
        assert insight.evidence["window"]["from"] == "2026-11-02T00:00:00Z"

    def test_a_new_day_begins_at_nothing(self) -> None:
        """At midnight the finding's condition is over, and 15 minutes later it is resolved."""
        shard = shard_of(self.RULE)
        shard.post(calls(9))
        told = shard.advance(MIDNIGHT + DAY + HOUR)
        assert statuses(told) == [Status.RESOLVED]
        assert told[0].resolved_at == "2026-11-03T00:15:00Z"
        assert shard.post(calls(8, first=100, start=NOON + DAY)) == []

    @pytest.mark.parametrize(
        ("per", "before", "within"),
        [
            ("week", MIDNIGHT - SECOND, MIDNIGHT),  # 2 November 2026 is a Monday
            ("month", MIDNIGHT - DAY - SECOND, MIDNIGHT - DAY),  # and the 1st is the day before it
        ],
    )
    def test_weeks_begin_on_mondays_and_months_on_their_first(self, per: str, before: int, within: int) -> None:
        """What was spent a second before the period is not in it."""
        text = self.RULE.replace("per: day", f"per: {per}")
        for start, expected in ((before, []), (within, [Status.FIRING])):
            shard = shard_of(text)
            shard.post(calls(5, start=start, step=0))
            assert statuses(shard.post(calls(4, first=100, start=NOON))) == expected


class TestTooLittle:
    RULE = "{metric: calls, window: 1h, compare: {below: 10}, keep_firing_for: 5m}"

    def test_a_new_key_is_not_too_little(self) -> None:
        """On the day on which a key is seen first nobody is told, however few its calls are."""
        shard = shard_of(self.RULE)
        assert shard.post(calls(3)) == []
        assert shard.advance(NOON + 3 * HOUR) == []

    def test_it_fires_once_an_hour_has_fewer(self) -> None:
        """After a day of a call a minute, one in ten minutes is found as the hour empties, and only then."""
        shard = shard_of(self.RULE)
        told = shard.post(calls(36 * 60, start=MIDNIGHT, step=MINUTE))
        assert told == []
        for call in calls(12, start=MIDNIGHT + 36 * HOUR, step=10 * MINUTE, first=100_000):
            told += shard.advance(call.end_ns)
            told += shard.post([call])
        # At 12:56 the last hour has the calls of 11:56 to 11:59 and six slow ones, at 12:57 one fewer.
        assert (told[0].status, told[0].started_at) == (Status.FIRING, "2026-11-03T12:57:00Z")
        assert observed(told[0]) == {"value": 9, "samples": 9}

    def test_nothing_at_all_is_no_data(self) -> None:
        """As the calls end the window empties, which is told; once it is empty that is over, unless data is kept."""
        shard = shard_of(self.RULE)
        shard.post(calls(36 * 60, start=MIDNIGHT, step=MINUTE))
        told = shard.advance(MIDNIGHT + 48 * HOUR)
        assert statuses(told)[:: len(told) - 1] == [Status.FIRING, Status.RESOLVED]


def test_softer_while_open() -> None:
    """A finding above 10 stays open at 10 and is over at 9, 90 % of the threshold."""
    shard = shard_of("{metric: calls, window: 10m, compare: {above: 10}, keep_firing_for: 0s}")
    some = calls(11)
    assert statuses(shard.post(some)) == [Status.FIRING]
    shard.reverse(some[:1])
    assert statuses(shard.told) == [Status.FIRING]
    shard.reverse(some[1:2])
    assert statuses(shard.told) == [Status.FIRING, Status.RESOLVED]


def test_a_rule_of_all_teams_is_judged_for_the_tenant() -> None:
    """Without the team in its key a rule's calls of all teams come together."""
    rules = rules_of("{metric: calls, window: 1h, group_by: [model], compare: {above: 5}}")
    shard = Shard(rules)
    assert rules.rules["MINE"].level.value == "tenant"
    assert shard.post(calls(3, team="a")) == []
    (insight,) = shard.post(calls(3, first=10, team="b"))
    assert insight.scope == {"model": "gpt-4o"}


@pytest.mark.parametrize(
    "text",
    [
        ERRORS,
        "{metric: latency, window: 10m, compare: {above: 500ms, baseline: {previous: 3}}, min_samples: 5}",
        "{metric: cost_usd, window: 10m, compare: {above: 0.01x, window: 1h}}",
        "{metric: calls, compare: {above: 1%, budget: {amount: 100, per: week}}}",
        "{metric: users, window: 10m, compare: {above: 1}}",
        "{metric: calls, window: 10m, compare: {below: 100}}",
    ],
)
def test_a_crash_changes_nothing(text: str) -> None:
    """Died and come back after each few calls, the shard tells the same as one that went on."""
    text = text.replace("above: 500ms, b", "above: 0.5x, b")
    steady, dying = shard_of(text), shard_of(text)
    for round_ in range(60):
        some = payments(4, first=1 + 100 * round_, start=NOON + round_ * 3 * MINUTE, user=f"u{round_ % 7}")
        some += payments(1, first=50 + 100 * round_, start=NOON + round_ * 3 * MINUTE, error_type="500")
        for shard in (steady, dying):
            shard.post(some)
            shard.advance(NOON + round_ * 3 * MINUTE + 10 * SECOND)
        dying.crash()
    assert dying.told == steady.told


def test_a_rule_may_be_about_a_whole_project() -> None:
    """With nothing to group by there is one finding for the project, without a scope."""
    shard = shard_of("{metric: calls, window: 1h, group_by: [], compare: {above: 5}}")
    shard.post(calls(3, team="a", request_model="gpt-5"))
    (insight,) = shard.post(calls(3, first=10, team="b"))
    assert (insight.scope, insight.title) == ({}, "Calls: 6")


def test_sums_that_metrics_told_count_as_many() -> None:
    """A line of the books that stands for ten calls is ten calls, and its cost is that of all ten."""
    metered = msgspec.structs.replace(calls(1)[0], count=10, source=Source.METER)
    (insight,) = shard_of("{metric: cost_usd, aggregate: mean, window: 1h, compare: {above: $0}}").post([metered])
    assert observed(insight) == {"value": "0.0003", "samples": 10}  # $0.003 for ten
    assert shard_of("{metric: latency, window: 1h, compare: {above: 1ms}}").post([metered]) == []


def test_nothing_is_above_zero_until_something_is() -> None:
    """A threshold of zero is crossed by the first failed call, and by no other."""
    shard = shard_of("{metric: errors, window: 1h, compare: {above: 0}}")
    assert shard.post(calls(5)) == []
    (insight,) = shard.post(calls(1, first=10, error_type="500"))
    assert observed(insight) == {"value": 1, "samples": 6}
