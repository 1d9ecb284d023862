"""RUNAWAY_SESSION: three signs, each on both sides of its boundary, and sessions that are only long."""

from typing import Any

import msgspec
import pytest

from tests.unit.dataflow.rules.traffic import HOUR, MINUTE, NOON, SECOND, Shard, a_call, observed, only, statuses
from tokensense_otel.core.call import Call, Dimensions, Tokens
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.dataflow.facts import ToolUse

WHERE = Dimensions(team="agents", session="s1")


def _shard(**options: Any) -> Shard:
    return Shard(only("RUNAWAY_SESSION", **options))


def _call(number: int, end_ns: int, read: int, usage: Tokens | None = None, **changes: Any) -> Call:
    plain: dict[str, Any] = {"dimensions": WHERE, "tokens": Tokens(read, 0) if usage is None else usage}
    return msgspec.structs.replace(a_call(number, end_ns), **plain | changes)


def _use(number: int, time_ns: int, **changes: Any) -> ToolUse:
    use = ToolUse(
        tenant="default", project="default", team="agents", session="s1", trace_id=number.to_bytes(16, "big"),
        scope="sdk", name="search", args_hash="aa", time_ns=time_ns,
    )  # fmt: skip
    return msgspec.structs.replace(use, **changes)


def _uses(shard: Shard, *uses: ToolUse) -> list[Insight]:
    """Uses of tools, in sessions that have two calls before: tools alone are no session."""
    told: list[Insight] = []
    for team, session in {(use.team, use.session): None for use in uses}:
        where = Dimensions(team=team, session=session)
        shard.post([_call(9_000 + number, uses[0].time_ns - SECOND, 10, dimensions=where) for number in range(2)])
    for use in uses:
        told += shard.shard.ingest([], [use], use.time_ns)
    return told


def _velocity(shard: Shard, calls: int, read: int, **changes: Any) -> list[Insight]:
    """`calls` in ten seconds each."""
    return shard.post([_call(number, NOON + number * 10 * SECOND, read, **changes) for number in range(calls)])


@pytest.mark.parametrize(("tokens", "fires"), [(100_000, True), (99_999, False)])
def test_tokens_a_minute_are_a_sign(tokens: int, fires: bool) -> None:
    """Ten calls of 100,000 tokens in two minutes are 500,000 a minute; one token less in each is below."""
    told = _velocity(_shard(), 10, tokens)
    assert statuses(told) == ([Status.FIRING] if fires else [])
    if fires:
        assert told[0].scope == {"team": "agents", "session": "s1"}
        assert told[0].severity == "high"
        assert observed(told[0])["tokens_per_minute"] == 500_000
        assert told[0].estimated_monthly_savings_usd is None


def test_few_calls_are_no_rate() -> None:
    """Nine calls are below the ten that it takes, however much they read."""
    assert _velocity(_shard(), 9, 500_000) == []


def test_what_a_prompt_cache_served_does_not_count() -> None:
    """Long contexts that are nearly all cached are how agents ought to work."""
    assert _velocity(_shard(), 20, 0, usage=Tokens(400_000, 100, cache_read=390_000)) == []


def test_calls_without_usage_are_no_sign() -> None:
    """What nobody reports is unknown, and unknown is silent."""
    assert _velocity(_shard(), 60, 0, usage=Tokens()) == []


def test_a_rate_is_that_of_one_session() -> None:
    """The same calls in as many sessions or traces are nobody's rate."""
    shard = _shard()
    for number in range(20):
        where = Dimensions(team="agents", session=f"s{number}" if number % 2 else "")
        assert shard.post([_call(number, NOON + number * SECOND, 400_000, dimensions=where)]) == []


def test_calls_without_a_session_are_judged_by_trace() -> None:
    """A trace stands in for the session that nobody names."""
    shard = _shard()
    trace = bytes(15) + b"\x07"
    told = _velocity(shard, 10, 100_000, dimensions=Dimensions(team="agents"), trace_id=trace)
    assert told[0].scope == {"team": "agents", "trace": trace.hex()}


def _grown(shard: Shard, contexts: list[int], **changes: Any) -> list[Insight]:
    """One call every half minute."""
    return shard.post(
        [_call(number, NOON + number * 30 * SECOND, tokens, **changes) for number, tokens in enumerate(contexts)]
    )


@pytest.mark.parametrize(
    ("contexts", "fires"),
    [
        ([5_000 + 1_875 * n for n in range(25)], True),  # 5,000 … 50,000
        ([5_000 + 1_875 * n for n in range(24)] + [49_999], False),  # below min_context
        ([5_001 + 1_875 * n for n in range(25)], False),  # 50,001 is less than 10 × 5,001
        ([7_000 + 1_875 * n for n in range(24)], False),  # too few
    ],
)
def test_a_context_that_only_grows_is_a_sign(contexts: list[int], fires: bool) -> None:
    """25 calls, ten times the first, 50,000 tokens: each of the three is needed."""
    told = _grown(_shard(), contexts)
    assert statuses(told) == ([Status.FIRING] if fires else [])
    if fires:
        assert observed(told[0])["context_tokens"] == {"first": 5_000, "largest": 50_000}
        assert "from 5,000 to 50,000 tokens in 25 calls" in told[0].summary


def test_a_long_session_that_cuts_its_context_back_is_healthy() -> None:
    """110 calls, cut back at every eleventh, as agents do that summarise."""
    contexts = [5_000 + 6_000 * (number % 11) for number in range(110)]
    assert _grown(_shard(), contexts) == []


def test_noise_does_not_end_a_growth_and_a_small_model_beside_it_neither() -> None:
    """A context that falls by less than a fifth goes on growing; another model's calls have a context of their own."""
    shard, told = _shard(), list[Insight]()
    for number in range(60):
        tokens = 2_000 + 2_000 * number - (1_500 if number % 3 == 0 else 0)
        end_ns = NOON + number * 30 * SECOND
        told += shard.post([_call(2 * number, end_ns, tokens)])
        told += shard.post([_call(2 * number + 1, end_ns + SECOND, 300, request_model="gpt-4o-mini")])
    assert statuses(told)[:1] == [Status.FIRING]


@pytest.mark.parametrize(("uses", "fires"), [(20, True), (19, False)])
def test_a_tool_called_over_and_over_is_a_sign(uses: int, fires: bool) -> None:
    """Twenty times with the same arguments within ten minutes."""
    told = _uses(_shard(), *(_use(1, NOON + number * 10 * SECOND) for number in range(uses)))
    assert statuses(told) == ([Status.FIRING] if fires else [])
    if fires:
        assert observed(told[0])["most_repeated_tool"] == {"tool": "search", "uses": 20}


@pytest.mark.parametrize(
    "uses",
    [
        [_use(1, NOON + number * 10 * SECOND, args_hash=f"{number}") for number in range(60)],
        [_use(1, NOON + number * MINUTE) for number in range(60)],
        [_use(1, NOON + number * 10 * SECOND, scope=("sdk", "framework")[number % 2]) for number in range(38)],
        [_use(1, NOON + number * 10 * SECOND, session=f"s{number % 2}") for number in range(38)],
    ],
    ids=["other arguments", "slowly", "two witnesses of one use", "two sessions"],
)
def test_tools_of_a_healthy_session_are_none(uses: list[ToolUse]) -> None:
    """Other arguments, patient polling, the same use told twice and two sessions are no repeats."""
    assert _uses(_shard(), *uses) == []


def test_tools_without_calls_open_no_session() -> None:
    """A session is known by its calls, so that tools of any number of traces take no memory."""
    shard = _shard()
    for number in range(30):
        assert shard.shard.ingest([], [_use(1, NOON + number * SECOND)], NOON + number * SECOND) == []
    assert shard.shard.next_wake() is None


def test_what_is_taken_back_is_no_evidence() -> None:
    """Uses that turn out to be another team's leave this one, and are judged there."""
    shard = _shard()
    uses = [_use(1, NOON + number * SECOND, team="") for number in range(19)]
    _uses(shard, *uses)
    _uses(shard, *(msgspec.structs.replace(use, sign=-1) for use in uses))
    assert _uses(shard, _use(1, NOON + 20 * SECOND, team="")) == []
    told = _uses(
        shard, *(msgspec.structs.replace(use, team="agents", sign=1) for use in [*uses, _use(1, NOON + MINUTE)])
    )
    assert [insight.scope["team"] for insight in told] == ["agents"]


def test_reversed_calls_are_no_evidence() -> None:
    """A call that was none after all takes its tokens and its context with it."""
    shard = _shard()
    calls = [_call(number, NOON + number * SECOND, 100_000) for number in range(9)]
    shard.post(calls)
    shard.reverse(calls)
    assert shard.post([_call(50, NOON + 20 * SECOND, 100_000)]) == []
    assert observed(shard.post([_call(60 + n, NOON + 30 * SECOND, 100_000) for n in range(9)])[0])["calls"] == 10


def test_it_is_over_when_the_session_is_still() -> None:
    """Two minutes after the first call too few are left for a rate; five more and people are told so."""
    shard = _shard()
    _velocity(shard, 10, 100_000)
    told = shard.advance(NOON + HOUR)
    assert statuses(told) == [Status.RESOLVED]
    assert told[0].resolved_at == "2026-11-02T12:07:00Z"


def test_growth_and_repeats_are_over_when_the_session_is_still() -> None:
    """A session that ended does not stay open for what it did: ten minutes later none of it is now."""
    for shard in (_shard(), _shard()):
        _grown(shard, [5_000 + 1_875 * n for n in range(25)])
        _uses(shard, *(_use(1, NOON + n * SECOND) for n in range(20)))
        assert statuses(shard.advance(NOON + 2 * HOUR)) == [Status.RESOLVED]


def test_a_session_is_forgotten() -> None:
    """Six hours after it was heard of last nothing is left of it."""
    shard = _shard()
    _velocity(shard, 3, 1_000)
    shard.advance(NOON + 7 * HOUR)
    assert shard.shard.next_wake() is None


def test_a_restart_changes_nothing() -> None:
    """Steps, uses and the finding are the same after a crash at any moment."""
    plain, crashed = _shard(), _shard()
    for number in range(30):
        for shard in (plain, crashed):
            shard.post([_call(number, NOON + number * 30 * SECOND, 5_000 + 2_000 * number)])
            shard.told += _uses(shard, _use(1, NOON + number * 30 * SECOND + SECOND))
        crashed.crash()
    assert plain.told == crashed.told
    assert statuses(plain.told) == [Status.FIRING]


def test_dollars_are_what_was_spent() -> None:
    """So far and by the minute, from the prices of its calls; unknown where they have none."""
    calls = [
        a_call(number, NOON + number * 10 * SECOND, tokens=Tokens(100_000, 0)) for number in range(10)
    ]  # gpt-4o: $2.50 a million, so $0.25 each
    shard = _shard()
    told = shard.post([msgspec.structs.replace(call, dimensions=WHERE) for call in calls])
    assert told[0].evidence["spend_usd"] == "2.5"
    assert told[0].evidence["usd_per_minute"] == "1.25"
    assert "$2.50 so far" in told[0].summary
