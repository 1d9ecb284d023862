"""RETRY_WASTE: what is a retry and what is none, both sides of what it compares, and exact books whatever the order."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataflow.rules.traffic import (
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
from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.core.insight import Status
from tokensense_otel.dataflow.rules.builtin.waste.attempts import MOST_ATTEMPTS, MOST_REQUESTS, Attempt, Attempts

WITHIN = 5 * MINUTE
# A failed attempt of 4,000 tokens: 4,000 × 2.50 by the million.
FAILED: dict[str, Any] = {"error_type": "timeout", "tokens": Tokens(4_000, 0), "feature": "answers"}
GOOD: dict[str, Any] = {"feature": "answers"}


def shard(**options: float | str) -> Shard:
    return Shard(only("RETRY_WASTE", **options))


def pairs(count: int, *, first: int = 1, start: int = NOON, gap: int = 2 * SECOND, **bad: Any) -> list[Call]:
    """`count` requests that failed and were sent again; each call takes a second, so they begin `gap` − 1 s later."""
    some: list[Call] = []
    for index in range(count):
        number, at = first + 2 * index, start + index * 10 * SECOND
        prompt = {"prompt_hash": f"p{number}"}
        some.append(a_call(number, at, **FAILED | prompt | bad))
        some.append(a_call(number + 1, at + gap, **GOOD | prompt))
    return some


def test_it_fires_at_the_tenth_attempt_thrown_away() -> None:
    """Nine prove nothing. The tenth fires with the call that repeats it, and the money is that of the first ones."""
    rules = shard()
    assert rules.post(pairs(9)) == []
    failed, again = pairs(1, first=100, start=NOON + HOUR)
    assert rules.post([failed]) == []

    (insight,) = rules.post([again])

    assert insight.status is Status.FIRING
    assert insight.scope == {"team": "checkout", "feature": "answers", "model": "gpt-4o"}
    assert observed(insight) == {
        "attempts_thrown_away": 10,
        "failed": 10,
        "cut_short": 0,
        "thrown_away_usd": "0.1",
        "attempts_without_known_cost": 0,
    }
    assert insight.evidence["spend_30d_usd"] == insight.estimated_monthly_savings_usd == "0.1"
    assert insight.evidence["sample_trace_ids"][0] == failed.trace_id.hex()
    assert insight.evidence["price_ids"] == ["openai/gpt-4o"]


@pytest.mark.parametrize(("gap", "fires"), [(WITHIN + SECOND, True), (WITHIN + SECOND + 1, False)])
def test_a_retry_begins_within_five_minutes(gap: int, fires: bool) -> None:
    """The next attempt begins five minutes after the end of the first and counts; a nanosecond later it does not."""
    assert bool(shard().post(pairs(10, gap=gap))) == fires


@pytest.mark.parametrize(("gap", "fires"), [(SECOND, True), (SECOND - 1, False)])
def test_two_at_once_are_no_retry(gap: int, fires: bool) -> None:
    """A call that begins as the failed one ends repeats it; one that began before was made for another reason."""
    assert bool(shard().post(pairs(10, gap=gap))) == fires


def test_a_cut_answer_bought_again_counts() -> None:
    """An answer that hit its limit and was bought again was for nothing, a whole one was not."""
    cut: dict[str, Any] = {"error_type": "", "finish_reason": "length", "tokens": Tokens(4_000, 500)}
    (insight,) = shard().post(pairs(10, **cut))
    assert (observed(insight)["failed"], observed(insight)["cut_short"]) == (0, 10)
    assert shard().post(pairs(50, **{**cut, "finish_reason": "stop"})) == []


def test_failures_that_nobody_repeats_are_no_retries() -> None:
    """Failed calls with prompts of their own never fire here; ERROR_SPEND has them."""
    assert shard().post([a_call(number, **FAILED, prompt_hash=f"p{number}") for number in range(200)]) == []


def test_without_hashes_and_counts_it_is_silent() -> None:
    """Nothing links the calls, so nothing is claimed."""
    assert (
        shard().post(
            [call for each in range(50) for call in (a_call(2 * each, **FAILED), a_call(2 * each + 1, **GOOD))]
        )
        == []
    )


def counted(requests: int, *numbers: int) -> list[Call]:
    """Requests of one trace each, all attempts but the last of which failed, with the numbers that are told."""
    some: list[Call] = []
    for request in range(requests):
        for index, number in enumerate(numbers):
            values = GOOD if index == len(numbers) - 1 else FAILED
            at = NOON + request * MINUTE + index * 2 * SECOND
            call = a_call(request * 10 + index, at, **values, attempt=number)
            some.append(call if index == 0 else _in_trace(call, some[-1].trace_id))
    return some


def _in_trace(call: Call, trace_id: bytes) -> Call:
    return a_call(0, call.end_ns, span_id=call.span_id, trace_id=trace_id, feature="answers", attempt=call.attempt,
                  error_type=call.error_type, tokens=call.tokens)  # fmt: skip


def test_told_attempts_of_a_trace_are_linked_without_a_hash() -> None:
    """Attempts 1 and 2 in one trace are one request; two requests that are both told as the first are two."""
    (insight,) = shard().post(counted(10, 1, 2))
    assert observed(insight)["attempts_thrown_away"] == 10
    assert shard().post(counted(50, 1, 1)) == []


def test_refused_attempts_are_counted_and_cost_nothing_known() -> None:
    """Attempts without usage do not fire by themselves, however many; beside paid ones they are listed."""
    rules = shard()
    assert rules.post(pairs(100, tokens=Tokens())) == []
    (insight,) = rules.post(pairs(10, first=1_000, start=NOON + HOUR))
    assert observed(insight)["attempts_without_known_cost"] == 100
    assert observed(insight)["thrown_away_usd"] == "0.1"


@pytest.mark.parametrize(("tokens", "fires"), [(4_000, True), (3_999, False)])
def test_ten_cents_are_the_least(tokens: int, fires: bool) -> None:
    """Ten attempts of a cent are ten cents and fire; a token less does not."""
    assert bool(shard().post(pairs(10, tokens=Tokens(tokens, 0)))) == fires


def test_teams_features_and_models_are_kept_apart() -> None:
    """Nine of one and nine of another are no eighteen."""
    rules = shard()
    rules.post(pairs(9))
    more = [
        a_call(1_000 + index, call.end_ns, team="search", feature="answers", prompt_hash=call.prompt_hash,
               error_type=call.error_type, tokens=call.tokens)
        for index, call in enumerate(pairs(9, first=500))
    ]  # fmt: skip
    assert rules.post(more) == []


def test_taking_a_call_back_takes_back_what_it_proved() -> None:
    """Without the second call the first was no attempt thrown away, and without the first one nothing was."""
    rules = shard()
    some = pairs(9)
    rules.post(some)
    rules.reverse([some[1], some[2]])
    more = pairs(3, first=100, start=NOON + HOUR)
    assert rules.post(more[:4]) == []
    assert len(rules.post(more[4:])) == 1


def test_a_crash_forgets_no_first_attempt() -> None:
    """A retry after a restart still finds what it repeats."""
    rules = shard()
    some = pairs(10)
    for index in range(0, 20, 2):
        rules.post(some[index : index + 1])
        rules.crash()
        rules.post(some[index + 1 : index + 2])
    assert len(rules.told) == 1


def test_it_resolves_when_the_attempts_are_a_day_old() -> None:
    """A day on nothing is left of it."""
    rules = shard()
    rules.post(pairs(10))
    told = rules.advance(NOON + DAY + HOUR)
    assert statuses(told) == [Status.RESOLVED]


def attempt(start: int, end: int, number: int, *, failed: bool = False) -> Attempt:
    name = number.to_bytes(8, "big")
    return Attempt(end, name, name, start, failed, cut=False, nanos=1)


some_attempts = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 8), st.booleans(), st.integers(0, 2)), min_size=1, max_size=24
)


@settings(max_examples=200, deadline=None)
@given(some_attempts, st.randoms(use_true_random=False))
def test_the_books_equal_a_count_from_scratch(told: list[tuple[int, int, bool, int]], random: Any) -> None:
    """With calls posted and some of them taken back, what is counted is what a look at those that stay gives."""
    books = Attempts()
    counted: dict[Attempt, int] = {}
    posted: dict[str, list[Attempt]] = {}
    # A useless attempt opens each request before anything else of it comes, and stays.
    for link in "abc":
        first = attempt(-1, 0, ord(link), failed=True)
        assert books.post(link, first, 1, 10) == []
        posted[link] = [first]

    def post(link: str, each: Attempt, sign: int) -> None:
        for changed, change in books.post(link, each, sign, 10):
            counted[changed] = counted.get(changed, 0) + change

    for number, (start, took, failed, where) in enumerate(told, 1_000):
        link = "abc"[where]
        each = attempt(start, start + took, number, failed=failed)
        posted[link].append(each)
        post(link, each, 1)
        if random.random() < 0.3 and len(posted[link]) > 1:
            gone = random.choice(posted[link][1:])
            posted[link].remove(gone)
            post(link, gone, -1)

    truth = {
        each
        for request in posted.values()
        for each in request
        if each.failed
        and any(other.place > each.place for other in request if each.end_ns <= other.start_ns <= each.end_ns + 10)
    }
    assert {each for each, times in counted.items() if times} == truth
    assert set(counted.values()) <= {0, 1}


def test_memory_is_bounded() -> None:
    """Neither many requests nor one sent in a loop grow without end, and what is settled stays counted."""
    books = Attempts()
    for number in range(3 * MOST_REQUESTS):
        books.post(f"r{number}", attempt(0, 1, number, failed=True), 1, 10)
    assert len(books) == MOST_REQUESTS

    loop = Attempts()
    told = [
        change for number in range(500) for change in loop.post("x", attempt(number, number, number, failed=True), 1, 1)
    ]
    assert [sign for _, sign in told] == [1] * 499
    assert len(loop.snapshot()[0][1]) == MOST_ATTEMPTS


def test_what_is_an_hour_old_is_forgotten() -> None:
    """A request is followed for an hour after its last attempt, and not a nanosecond longer."""
    books = Attempts()
    books.post("x", attempt(0, 5, 1, failed=True), 1, 10)
    books.forget(5 + HOUR)
    assert len(books) == 1
    books.forget(6 + HOUR)
    assert len(books) == 0


def test_within_is_at_most_an_hour() -> None:
    """More than an hour is refused, as attempts are not remembered for longer."""
    only("RETRY_WASTE", within="1h")
    with pytest.raises(ValueError, match="write 1h or less"):
        only("RETRY_WASTE", within="61m")


def test_successes_alone_take_no_room() -> None:
    """A team whose calls all succeed is not followed, whatever its prompts."""
    rules = shard()
    rules.post(calls(50, prompt_hash="same"))
    assert len(rules.shard._tables["RETRY_WASTE"]) == 0
