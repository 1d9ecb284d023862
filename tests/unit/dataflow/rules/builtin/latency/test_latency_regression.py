"""LATENCY_REGRESSION: slower than on the days before, and not because there was more to do."""

from random import Random
from typing import Any

import msgspec
import pytest

from tests.unit.dataflow.rules.traffic import DAY, HOUR, MIDNIGHT, MINUTE, Shard, a_call, observed, only, statuses
from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.dataflow.rules.builtin.latency.latency_series import Latencies, measured

MS = 1_000_000
USUAL = {"took_ms": 3_200, "output": 256}
"""A second for 80 tokens."""


def slow_rule(**options: Any) -> Shard:
    return Shard(only("LATENCY_REGRESSION", **options))


def timed(number: int, end_ns: int, took_ms: int, output: int, first_ms: int | None = None, **changes: Any) -> Call:
    first_token_ns = None if first_ms is None else first_ms * MS
    call = a_call(number, end_ns, tokens=Tokens(changes.pop("input", 1_000), output), **changes)
    return msgspec.structs.replace(call, start_ns=end_ns - took_ms * MS, first_token_ns=first_token_ns)


def day(number: int, count: int = 40, *, start: int = 9 * HOUR, **values: Any) -> list[Call]:
    """Calls of one day, two minutes apart, each a little faster or slower than the last."""
    plain: dict[str, Any] = USUAL | values
    took = plain.pop("took_ms")
    at = MIDNIGHT + number * DAY + start
    return [
        timed(1_000 * number + index + 1, at + index * 2 * MINUTE, took * (90 + index % 20) // 100, **plain)
        for index in range(count)
    ]


def after_history(days: int = 3, **options: Any) -> Shard:
    shard = slow_rule(**options)
    for number in range(days):
        assert shard.post(day(number)) == []
    return shard


def test_a_model_that_became_slow_is_told() -> None:
    """Three times as slow as on each of three days: it fires with both percentiles."""
    (insight, *more) = after_history().post(day(3, took_ms=9_600))

    assert (insight.status, insight.scope) == (
        Status.FIRING,
        {"team": "checkout", "model": "gpt-4o", "mode": "blocking"},
    )
    assert more == []
    shown = observed(insight)
    assert shown["slow"] == "duration"
    # 95 % of 3.2 s × 0.90 … 1.09 are below 3.46 s; it is told at the tenth call of 9.6 s × 0.90 … 0.99. Histograms are
    # within 4.3 %.
    assert shown["duration"]["usual_p95_ms"] == pytest.approx(3_460, rel=0.05)
    assert shown["duration"]["p95_ms"] == pytest.approx(9_500, rel=0.05)
    assert shown["duration"]["times"] == pytest.approx(9_500 / 3_460, rel=0.1)
    assert insight.estimated_monthly_savings_usd is None


@pytest.mark.parametrize(("times", "told"), [(1.0, False), (1.25, False), (1.8, True)])
def test_it_has_to_be_half_as_slow_again(times: float, told: bool) -> None:
    """A quarter more is no regression, 1.8 times as much is one."""
    assert bool(after_history().post(day(3, took_ms=round(3_200 * times)))) is told


def test_longer_answers_take_longer() -> None:
    """Three times as long for three times as many tokens is no regression; for as many as ever it is one."""
    assert after_history().post(day(3, took_ms=9_600, output=768)) == []


def test_longer_prompts_may_take_longer() -> None:
    """Reading a hundred times as much explains twice the time."""
    assert after_history().post(day(3, took_ms=6_400, input=100_000)) == []


def test_shorter_answers_are_not_slow() -> None:
    """Answers that are quicker in all are none, however few tokens they have."""
    assert after_history().post(day(3, took_ms=3_000, output=8)) == []


def test_a_few_tenths_of_a_second_are_not_worth_telling() -> None:
    """Twice as slow as 200 ms is within the 300 ms that nobody is told of."""
    shard = slow_rule()
    for number in range(3):
        shard.post(day(number, took_ms=200, output=8))

    assert shard.post(day(3, took_ms=400, output=8)) == []
    assert len(shard.post(day(4, took_ms=700, output=8))) == 1


@pytest.mark.parametrize(("count", "told"), [(19, False), (20, True)])
def test_a_day_of_few_calls_does_not_count(count: int, told: bool) -> None:
    """Three days of nineteen calls are no history, three of twenty are."""
    shard = slow_rule()
    for number in range(3):
        shard.post(day(number, count))

    assert bool(shard.post(day(3, took_ms=9_600))) is told


@pytest.mark.parametrize(("days", "told"), [(2, False), (3, True)])
def test_days_before_are_needed(days: int, told: bool) -> None:
    """Two days of history are too few."""
    assert bool(after_history(days).post(day(days, took_ms=9_600))) is told


@pytest.mark.parametrize(("count", "told"), [(9, False), (10, True)])
def test_ten_calls_are_needed(count: int, told: bool) -> None:
    """Nine calls are too few to tell, however slow they are."""
    assert bool(after_history().post(day(3, count, took_ms=9_600))) is told


def test_a_few_slow_calls_are_chance() -> None:
    """Of a hundred calls five are above any 95th percentile; it takes as many more as chance does not bring."""

    def among(slow: int) -> list[Insight]:
        told: list[Insight] = []
        shard = slow_rule()
        for number in range(4):
            usual = day(number, 60, start=9 * HOUR)
            if number == 3:
                usual[-slow:] = day(3, 60, took_ms=9_600)[-slow:]
            told = shard.post(usual)
        return told

    # Of 60 calls 3 may be slow; four deviations of √(60 × 0.05 × 0.95) = 1.69 are 6.75 more.
    assert among(9) == []
    assert statuses(among(10)) == [Status.FIRING]


def test_one_bad_day_does_not_become_usual() -> None:
    """The median of the days' percentiles minds no day on which everything was ten times as slow."""
    shard = slow_rule()
    for number, took in enumerate((3_200, 32_000, 3_200, 3_200, 3_200)):
        shard.post(day(number, took_ms=took))
    shard.advance(MIDNIGHT + 5 * DAY)

    assert statuses(shard.post(day(5, took_ms=6_400))) == [Status.FIRING]


def test_a_late_first_token_is_told() -> None:
    """Streams whose first token comes five times as late are slow although they end as ever."""
    shard = slow_rule()
    for number in range(3):
        shard.post(day(number, first_ms=400, streaming=True))
    (insight,) = shard.post(day(3, first_ms=2_000, streaming=True))

    assert (observed(insight)["slow"], insight.scope["mode"]) == ("first_token", "streaming")
    assert observed(insight)["duration"]["times"] <= 1


def test_another_model_has_its_own_past() -> None:
    """What one model is used to says nothing about another, and streams are not compared with whole answers."""
    shard = after_history()

    assert shard.post(day(3, took_ms=9_600, request_model="gpt-4.1")) == []
    assert shard.post(day(3, took_ms=9_600, streaming=True, start=12 * HOUR)) == []
    assert shard.post(day(3, took_ms=9_600, team="search", start=15 * HOUR)) == []


@pytest.mark.parametrize("changes", [{"error_type": "timeout"}, {"operation": "embeddings"}, {"output": 0}])
def test_calls_without_an_answer_do_not_count(changes: dict[str, Any]) -> None:
    """A call that failed, that writes no text or of whose answer nobody knows the length can make nothing true."""
    assert after_history().post(day(3, took_ms=60_000, **changes)) == []


def test_it_is_over_when_the_model_is_as_fast_as_ever() -> None:
    """When the slow calls are out of the window, the finding resolves."""
    shard = after_history()
    shard.post(day(3, took_ms=9_600))
    told = shard.post(day(3, 80, start=13 * HOUR))

    assert statuses(told) == [Status.RESOLVED]


def test_what_is_taken_back_was_never_slow() -> None:
    """Slow calls that were reversed leave nothing: not in the window and not in the day."""
    shard = after_history()
    slow = day(3, 9, took_ms=9_600)
    shard.post(slow)
    shard.reverse(slow)

    assert shard.post(day(3, 9, took_ms=9_600, start=10 * HOUR)) == []


def test_a_crash_changes_nothing() -> None:
    """Stopped and restored after any call, it tells the same, with the same ids."""
    plain = after_history()
    plain.post(day(3, took_ms=9_600))
    broken = after_history()
    for call in day(3, took_ms=9_600):
        broken.post([call])
        broken.crash()

    assert broken.told == plain.told != []


def test_histograms_equal_a_recount() -> None:
    """Whatever was added and taken back in whatever order, what is left is what a new one would have."""
    random = Random(5)
    calls = [
        timed(n, random.randrange(20 * DAY), random.randrange(1, 9_000), random.randrange(1, 900)) for n in range(300)
    ]
    latencies, newest = Latencies(8 * HOUR), max(call.end_ns for call in calls)
    for call in calls:
        latencies.add(call.end_ns, measured(call), 1)
    for call in calls[::2]:
        latencies.add(call.end_ns, measured(call), -1)
    latencies.advance(newest)
    other = Latencies(8 * HOUR)
    other.restore(latencies.snapshot())

    piece = newest // HOUR
    left = [measured(call).duration for call in calls[1::2] if call.end_ns // HOUR > piece - 8]
    for each in (latencies, other):
        assert sorted(bucket for bucket, times in each.now[0].items() for _ in range(times)) == sorted(left)
