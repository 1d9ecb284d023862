"""The shard: order, batches, crashes, projects, time and memory."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataflow.rules.traffic import (
    CATALOGUE,
    DAY,
    HOUR,
    MIDNIGHT,
    MINUTE,
    NOON,
    SECOND,
    Shard,
    a_call,
    a_sample,
    calls,
    flagship,
    only,
    statuses,
)
from tokensense_otel.core.call import Call, Posting, Tokens
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.dataflow.rules import RuleSet, RuleShard
from tokensense_otel.dataflow.rules.config import RulesConfig
from tokensense_otel.dataflow.rules.evaluation.shard import SKEW_NS

MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-opus-4-1"),
    ("openai", "house-model"),
]
LOW = {
    "MODEL_MISUSE": {"min_calls": 4},
    "MODEL_DOWNGRADE": {"min_calls": 5},
    "LONG_PROMPTS": {"min_calls": 3},
    "CACHE_WASTE": {"min_repeats": 4},
    "SPIKE": {"min_calls": 5, "min_history_days": 1},
}
EASY = RuleSet(RulesConfig.model_validate(LOW))


@st.composite
def some_call(draw: st.DrawFn, spread: int) -> Call:
    """A call of a few teams, models and prompts, within `spread` after noon."""
    provider, model = draw(st.sampled_from(MODELS))
    count = draw(st.integers(0, 5_000))
    tokens = Tokens(count, draw(st.sampled_from([5, 99, 100, 2_000, None])), draw(st.sampled_from([None, 0, count])))
    return a_call(
        draw(st.integers(1, 10**6)),
        NOON + draw(st.integers(0, spread)),
        provider=provider,
        request_model=model,
        tokens=tokens,
        team=draw(st.sampled_from(["a", "b", ""])),
        prompt_hash=draw(st.sampled_from(["", "p", "q"])),
        error_type=draw(st.sampled_from(["", "", "", "timeout"])),
    )


def firings(told: list[Insight]) -> set[tuple[str, str]]:
    """(rule, episode) of everything that fired."""
    return {(insight.rule, insight.episode_id) for insight in told if insight.status is Status.FIRING}


def whole(told: list[Insight]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(insight) for insight in told]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_counting_rules_fire_alike_in_any_order(data: st.DataObject) -> None:
    """In any order of arrival inside one bucket, the rules whose count only grows fire on the same keys with the
    same ids."""
    growing = {"MODEL_DOWNGRADE", "SPIKE"}
    sent = data.draw(st.lists(some_call(spread=10 * MINUTE), max_size=40))
    shuffled = data.draw(st.permutations(sent))
    told = [Shard(EASY).post(order, now_ns=NOON + 10 * MINUTE) for order in (sent, shuffled)]

    first, second = ({each for each in firings(some) if each[0] in growing} for some in told)
    assert first == second


@settings(max_examples=60, deadline=None)
@given(st.lists(some_call(spread=HOUR), min_size=1, max_size=60), st.data())
def test_batches_and_crashes_change_nothing(sent: list[Call], data: st.DataObject) -> None:
    """The same sequence tells the same insights, whole, however it is cut and wherever the process dies."""
    one_by_one = Shard(EASY).post(sent, now_ns=NOON + HOUR)
    shard = RuleShard(EASY, CATALOGUE)
    told: list[Insight] = []
    rest = [Posting(1, call) for call in sent]
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        told += shard.ingest(rest[:size], [], NOON + HOUR)
        rest = rest[size:]
        if data.draw(st.booleans()):
            shard = RuleShard.restore(EASY, CATALOGUE, shard.snapshot())

    assert whole(told) == whole(one_by_one)


@settings(max_examples=60, deadline=None)
@given(st.lists(some_call(spread=HOUR), max_size=30), st.lists(some_call(spread=HOUR), max_size=30))
def test_what_is_taken_back_leaves_nothing(kept: list[Call], wrong: list[Call]) -> None:
    """Postings and their reversals leave the sums of the calls that stayed, in each window that nothing wrong moved."""
    clean, corrected = Shard(EASY), Shard(EASY)
    clean.post(kept, now_ns=NOON + HOUR)
    corrected.post([*wrong, *kept], now_ns=NOON + HOUR)
    corrected.reverse(wrong, now_ns=NOON + HOUR)

    for name, table in clean.shard._tables.items():
        other = dict(corrected.shard._tables[name].items())
        for key, series in table.items():
            if other[key].window.head == series.window.head:
                assert (name, other[key].window.totals) == (name, series.window.totals)
            assert other[key].month.totals == series.month.totals


@settings(max_examples=100, deadline=None)
@given(st.lists(some_call(spread=40 * DAY), max_size=60))
def test_savings_never_exceed_the_spend(sent: list[Call]) -> None:
    """Of every insight with a saving: it is not negative and not above what its slice cost in 30 days."""
    for insight in Shard(EASY).post(sorted(sent, key=lambda call: call.end_ns)):
        saved, spent = insight.estimated_monthly_savings_usd, insight.evidence["spend_30d_usd"]
        if saved is not None:
            assert 0 <= float(saved) <= float(spent)
            projected = float(insight.evidence["projected_monthly_savings_usd"] or 0)
            assert projected <= float(insight.evidence["projected_monthly_spend_usd"] or 0)


def test_thirty_days_are_remembered_for_the_money() -> None:
    """Spend is that of the last 30 days: what is older is gone, what is younger than the window stays."""
    shard = Shard(only("MODEL_MISUSE"))
    shard.post(calls(1, start=NOON - 30 * DAY, first=100))  # out
    shard.post(calls(1, start=NOON - 29 * DAY, first=200))  # in
    (insight,) = shard.post(calls(20))

    assert insight.evidence["spend_30d_usd"] == "0.063"  # 21 × 0.003
    assert insight.evidence["observed"]["calls"] == 20


def test_each_project_has_its_own_rules() -> None:
    """Thresholds and severities are those of the call's project; another one keeps the defaults."""
    rules = RuleSet(projects={"strict": {"MODEL_MISUSE": {"min_calls": 3, "severity": "low"}}})
    shard = Shard(rules)

    (insight,) = shard.post(calls(3, project="strict"))
    assert (insight.project, insight.severity) == ("strict", "low")
    assert insight.evidence["thresholds"]["min_calls"] == 3
    assert shard.post(calls(19, project="other")) == []


def test_projects_and_tenants_never_add_up() -> None:
    """Ten calls here and ten there are not twenty."""
    shard = Shard(only("MODEL_MISUSE"))
    shard.post(calls(19, project="one"))

    assert shard.post(calls(19, project="two")) == []
    assert shard.post(calls(19, tenant="other", project="one")) == []


def test_a_rule_that_is_off_says_nothing_and_closes_what_it_said() -> None:
    """Switching a rule off resolves its open findings when time passes."""
    shard = Shard(only("MODEL_MISUSE"))
    shard.post(calls(20))
    shard.rules = only("SPIKE")
    shard.crash()

    assert shard.post(calls(50, first=100)) == []
    assert statuses(shard.advance(NOON + HOUR)) == [Status.RESOLVED]


def test_an_idle_finding_resolves_when_its_window_is_empty() -> None:
    """Without any further call the finding ends a day later, by the timer alone."""
    shard = Shard(only("MODEL_MISUSE"))
    (fired,) = shard.post(calls(20))

    assert shard.advance(NOON + DAY) == []
    (over,) = shard.advance(NOON + DAY + HOUR)
    # The window leaves the last quarter hour with calls at noon; a quarter of an hour later it is over.
    assert over.resolved_at == "2026-11-03T12:15:00Z"
    assert over.episode_id == fired.episode_id
    assert "false for 15m" in over.summary


def test_firing_again_later_is_a_new_episode() -> None:
    """What was resolved and comes back is another episode with other ids."""
    shard = Shard(only("MODEL_MISUSE"))
    shard.post(calls(20))
    shard.advance(NOON + 2 * DAY)
    shard.post(calls(20, start=NOON + 3 * DAY, first=100))

    assert statuses(shard.told) == [Status.FIRING, Status.RESOLVED, Status.FIRING]
    assert shard.told[0].episode_id != shard.told[2].episode_id
    assert len({insight.id for insight in shard.told}) == 3


def test_a_finding_that_doubles_is_told_again() -> None:
    """At forty calls after twenty there is one update of the same episode with the new numbers."""
    shard = Shard(only("MODEL_MISUSE"))
    told = shard.post(calls(79, step=1))

    assert statuses(told) == [Status.FIRING, Status.UPDATE]
    assert [insight.evidence["observed"]["calls"] for insight in told] == [20, 40]
    assert told[0].episode_id == told[1].episode_id


def test_expiry_alone_can_make_a_condition_true() -> None:
    """When long answers fall out of the window the average drops, and the timer tells it without a new call."""
    shard = Shard(only("MODEL_MISUSE"))
    shard.post(calls(10, tokens=Tokens(1_000, 5_000)))
    shard.post(calls(20, start=NOON + HOUR, first=100))
    assert shard.told == []

    told = shard.advance(NOON + DAY)
    assert statuses(told) == [Status.FIRING]
    assert told[0].started_at == "2026-11-03T12:00:00Z"


def test_the_future_is_held_back() -> None:
    """A call from beyond the skew counts at its limit, cannot push the window away, and can be taken back."""
    shard = Shard(only("MODEL_MISUSE"))
    shard.post(calls(10))
    ahead = calls(1, start=NOON + 30 * DAY, first=50)
    shard.post(ahead, now_ns=NOON)
    (series,) = (series for _, series in shard.shard._tables["MODEL_MISUSE"].items())

    assert series.last_ns == NOON + SKEW_NS
    assert series.counts[0] == 11
    shard.reverse(ahead, now_ns=NOON + 2 * HOUR)
    assert series.counts[0] == 10
    assert shard.shard._clamped == {}


def test_what_comes_too_late_is_refused() -> None:
    """A call from before its key's window changes no count, however often it comes."""
    shard = Shard(only("MODEL_MISUSE"))
    shard.post(calls(19, start=NOON + DAY))

    assert shard.post(calls(5, first=100), now_ns=NOON + DAY) == []
    (series,) = (series for _, series in shard.shard._tables["MODEL_MISUSE"].items())
    assert series.counts[0] == 19


def test_memory_is_given_back() -> None:
    """Two months after the last call nothing is kept, and no timer is wanted."""
    shard = Shard()
    shard.post(calls(30))
    shard.post(flagship(30))
    shard.sample([a_sample(NOON)])
    assert shard.shard.next_wake() is not None
    shard.advance(NOON + 62 * DAY)

    assert {len(table) for table in shard.shard._tables.values()} == {0}
    assert shard.shard.next_wake() is None


def test_one_timer_wakes_for_what_is_due() -> None:
    """The next beat is at a quarter hour; an open finding whose condition is false is looked at when it is due."""
    shard = Shard(only("MODEL_MISUSE", keep_firing_for="1m"))
    assert shard.shard.next_wake() is None
    some = calls(20, start=NOON + 2 * MINUTE, step=1)
    shard.post(some)
    assert shard.shard.next_wake() == NOON + 15 * MINUTE

    shard.reverse(some[:1])
    assert shard.shard.next_wake() == NOON + 3 * MINUTE + 19
    assert statuses(shard.advance(NOON + 3 * MINUTE + 19)) == [Status.RESOLVED]
    assert shard.shard.next_wake() == NOON + 15 * MINUTE


def test_a_condition_can_have_to_hold() -> None:
    """With `for` nothing is told before the condition has held so long, and the timer tells it."""
    shard = Shard(only("MODEL_MISUSE", **{"for": "10m"}))
    assert shard.post(calls(25, step=1)) == []

    assert statuses(shard.advance(NOON + 10 * MINUTE)) == []
    assert statuses(shard.advance(NOON + 10 * MINUTE + SECOND)) == [Status.FIRING]


def test_a_snapshot_is_the_whole_state() -> None:
    """Open findings, windows and the clock survive: the story goes on after a crash at any point."""
    shard = Shard(only("MODEL_MISUSE"))
    for call in calls(20, step=1):
        shard.crash()
        shard.post([call])
    shard.crash()
    shard.advance(NOON + 2 * DAY)

    assert statuses(shard.told) == [Status.FIRING, Status.RESOLVED]


def test_another_window_begins_again() -> None:
    """State of a window that was configured anew is dropped rather than misread."""
    shard = Shard(only("MODEL_MISUSE"))
    shard.post(calls(19))
    shard.rules = only("MODEL_MISUSE", window="48h")
    shard.crash()

    assert shard.post(calls(19, first=100)) == []
    assert statuses(shard.post(calls(1, first=200))) == [Status.FIRING]


def test_a_foreign_state_is_refused() -> None:
    """A snapshot of another version is a mistake that says so."""
    with pytest.raises(ValueError, match="version 99"):
        RuleShard.restore(RuleSet(), CATALOGUE, msgspec.msgpack.encode([99, None, [], {}]))


def test_times_are_those_of_the_events() -> None:
    """`started_at` is the crossing in event time, `detected_at` log time."""
    shard = Shard(only("MODEL_MISUSE"))
    (insight,) = shard.post(calls(20, start=MIDNIGHT, step=SECOND), now_ns=NOON)

    assert (insight.started_at, insight.detected_at) == ("2026-11-02T00:00:19Z", "2026-11-02T12:00:00Z")
    assert insight.resolved_at is None
