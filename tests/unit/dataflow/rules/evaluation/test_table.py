"""Keys in bounded memory: the door, quiet keys as bytes, and what is not followed."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataflow.rules.evaluation.toy import Prompts, Toy, rule_set
from tests.unit.dataflow.rules.traffic import DAY, HOUR, MINUTE, NOON, SECOND, Shard, a_call, calls, observed, statuses
from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.dataflow.rules.evaluation import door, table
from tokensense_otel.dataflow.rules.evaluation.bloom import Rotating, digest


def prompts(**options: Any) -> Shard:
    return Shard(rule_set(Prompts(), **options))


def of(shard: Shard, rule: str = "PROMPTS") -> table.Table:
    return shard.shard._tables[rule]


def a_prompt(number: int, prompt: str, time_ns: int = NOON, tokens: int = 500) -> Call:
    return a_call(number, time_ns, prompt_hash=prompt, tokens=Tokens(tokens, 1))


def test_a_key_that_came_once_waits_at_the_door() -> None:
    """It takes no series; its second call counts both, with their money and their traces."""
    shard = prompts()
    shard.post([a_prompt(1, "p")])
    assert (len(of(shard).items()), len(of(shard).door)) == (0, 1)

    shard.crash()
    shard.post([a_prompt(2, "p", NOON + SECOND)])
    ((_, series),) = of(shard).items()
    assert (series.counts, len(of(shard).door), series.partial) == ([2, 1_000, 0], 0, False)
    (insight,) = shard.post([a_prompt(3, "p", NOON + 2 * SECOND)])
    assert len(insight.evidence["sample_trace_ids"]) == 3
    assert "counts_are_lower_bounds" not in insight.evidence
    assert "not_followed" not in insight.evidence


def test_who_waits_can_be_taken_back() -> None:
    """A reversal finds its call at the door, and only that one."""
    shard = prompts()
    first = a_prompt(1, "p")
    shard.post([first])
    shard.reverse([a_prompt(2, "p")])
    assert len(of(shard).door) == 1
    shard.reverse([first])
    assert len(of(shard).door) == 0

    shard.post([a_prompt(3, "p")])
    assert len(of(shard).items()) == 0


def test_who_waits_is_forgotten_in_the_end() -> None:
    """After 30 days, when no window reaches so far back, nothing waits and no timer is wanted."""
    shard = prompts()
    shard.post([a_prompt(1, "p")])
    assert shard.shard.next_wake() is not None
    shard.advance(NOON + 30 * DAY + HOUR)

    assert (len(of(shard)), shard.shard.next_wake()) == (0, None)


def test_beyond_the_door_counts_are_lower_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that waited longest is given up; when it comes again it is followed from then on, and says so."""
    monkeypatch.setattr(door, "CAPACITY", 2)
    shard = prompts()
    shard.post([a_prompt(number, f"p{number}") for number in (1, 2, 3)])
    assert of(shard).other == table.Other(1, 1, 1_260_000)  # 500 × 2.50 + 1 × 10.00 USD a million

    shard.crash()
    again = [a_prompt(10 + number, "p1", NOON + number * SECOND) for number in range(4)]
    told = shard.post(again)
    assert statuses(told) == [Status.FIRING]
    assert observed(told[0])["calls"] == 3  # at the fourth call of the prompt
    assert told[0].evidence["counts_are_lower_bounds"] is True
    assert told[0].evidence["not_followed"] == {"keys": 1, "calls": 1, "usd": "0.00126"}


def test_what_forbids_is_remembered_beyond_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt that was given up with what forbids its firing never fires, across a restart."""
    monkeypatch.setattr(door, "CAPACITY", 1)
    shard = prompts()
    shard.post([a_prompt(1, "bad", tokens=13), a_prompt(2, "good"), a_prompt(3, "other")])
    shard.crash()

    for prompt, expected in (("bad", []), ("good", [Status.FIRING])):
        some = [a_prompt(100 * len(prompt) + number, prompt, NOON + number) for number in range(5)]
        assert statuses(shard.post(some))[:1] == expected


def test_a_call_of_another_key_with_the_same_digest_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should two keys share a digest, what waits for one of them is never added to the other."""
    monkeypatch.setattr("tokensense_otel.dataflow.rules.evaluation.shard.digest", lambda _key: b"0" * 16)
    shard = prompts()
    shard.post([a_prompt(1, "p"), a_prompt(2, "q")])

    ((key, series),) = of(shard).items()
    assert (key[-1], series.counts[0], series.partial) == ("q", 1, True)


def toys(max_keys: int) -> Shard:
    return Shard(rule_set(Toy(), max_keys=max_keys))


def test_what_is_given_up_is_added_up() -> None:
    """Beyond its keys the least used of the oldest goes, and its calls and dollars are told with every finding."""
    shard = toys(2)
    shard.post(calls(2, team="a", first=1) + calls(1, team="b", first=10))
    assert of(shard, "TOY").other == table.Other()
    told = shard.post(calls(3, team="c", first=20))

    assert {key[-1] for key, _ in of(shard, "TOY").items()} == {"a", "c"}
    assert told[-1].evidence["not_followed"] == {"keys": 1, "calls": 1, "usd": "0.003"}
    shard.crash()
    assert of(shard, "TOY").other == table.Other(1, 1, 3_000_000)


def test_open_findings_are_not_given_up() -> None:
    """Where every key has an open finding, a new one is not followed, and is counted."""
    shard = toys(1)
    shard.post(calls(3, team="a", first=1))
    shard.post(calls(5, team="b", first=10))

    assert {key[-1] for key, _ in of(shard, "TOY").items()} == {"a"}
    assert of(shard, "TOY").other == table.Other(5, 5, 15_000_000)


def test_quiet_keys_are_kept_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not change between two snapshots is bytes, until it is touched; then everything is as it was."""
    monkeypatch.setattr(table, "HOT", 1)
    shard = toys(100)
    shard.post([a_call(number, NOON, team=f"team-{number}", tokens=Tokens(10, 1)) for number in range(10)])
    first = shard.shard.snapshot()
    assert of(shard, "TOY").sizes().cold == 0
    shard.post([a_call(100, NOON + SECOND, team="team-3", tokens=Tokens(10, 1))])
    assert shard.shard.snapshot() != first
    assert (
        of(shard, "TOY").sizes().cold == 9
    )  # one is not cold for it is the last, one for it was touched, and one of them both

    shard.post([a_call(200, NOON + MINUTE, team="team-5", tokens=Tokens(10, 1))])
    kept = {key[-1]: series for key, series in of(shard, "TOY").items()}
    assert kept["team-5"].counts == [2, 20]
    assert type(kept["team-6"]) is table.Cold
    # Time thaws what leaves its window, and in the end there is nothing.
    shard.advance(NOON + 31 * DAY)
    assert (len(of(shard, "TOY")), of(shard, "TOY").sizes().cold) == (0, 0)


event = st.tuples(
    st.sampled_from("abcdefgh"), st.integers(0, 5_400), st.sampled_from([13, 100, 500]), st.integers(0, 9)
)


def story(rule: Toy, events: list[tuple[str, int, int, int]], *, crash: bool) -> list[Insight]:
    """Calls, reversals of some of them, time that passes and snapshots, in this order."""
    shard = Shard(rule_set(rule, window="1h"))
    sent: list[Call] = []
    now_ns = NOON
    for number, (prompt, later, tokens, what) in enumerate(events):
        now_ns += later * SECOND // 10
        if what == 0 and sent:
            shard.reverse([sent.pop()], now_ns=now_ns)
        elif what == 1:
            shard.advance(now_ns)
        else:
            sent.append(
                a_call(number + 1, now_ns - what * MINUTE, prompt_hash=prompt, team=prompt, tokens=Tokens(tokens, 1))
            )
            shard.post(sent[-1:], now_ns=now_ns)
        if crash:
            shard.crash() if what == 2 else shard.shard.snapshot()
    shard.advance(now_ns + DAY)
    return shard.told


def whole(told: list[Insight]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(insight) for insight in told]


@settings(max_examples=100, deadline=None)
@given(st.lists(event, max_size=80))
def test_cold_keys_tell_what_warm_ones_tell(events: list[tuple[str, int, int, int]]) -> None:
    """Snapshots, restarts and keys as bytes change nothing of what is told, to the letter."""
    warm = story(Toy(), events, crash=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "HOT", 0)
        cold = story(Toy(), events, crash=True)

    assert whole(cold) == whole(warm)


@settings(max_examples=100, deadline=None)
@given(st.lists(event, max_size=80))
def test_a_small_door_invents_nothing(events: list[tuple[str, int, int, int]]) -> None:
    """With room for one at the door, what fires is at most what fires with room for all, and what fires with room for
    all is what fires without a door."""
    unbounded = story(Prompts(), events, crash=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prompts, "unbounded", False)
        exact = story(Prompts(), events, crash=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "CAPACITY", 1)
        bounded = story(Prompts(), events, crash=True)

    assert whole(unbounded) == whole(exact)
    first = {insight.scope["prompt"] for insight in bounded}
    assert first <= {insight.scope["prompt"] for insight in exact}


def test_what_was_seen_is_remembered_for_two_turns_at_most() -> None:
    """The newer half takes over when it is full or old; a key is known for at least one turn."""
    seen = Rotating(1 << 12, span_ns=100, most=4)
    names = [digest((str(number),)) for number in range(12)]
    for number, name in enumerate(names[:8]):
        seen.add(name, number)
    assert all(seen.holds(name) for name in names[:8])
    seen.add(names[8], 8)  # the third turn
    assert [seen.holds(name) for name in names[:9]] == [False] * 4 + [True] * 5
    seen.add(names[9], 200)  # too old
    seen.add(names[10], 400)
    assert [seen.holds(name) for name in names[8:11]] == [False, True, True]
