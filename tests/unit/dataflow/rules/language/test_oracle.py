"""Verdicts of YAML rules equal brute force over all calls: shuffled, taken back, and with crashes anywhere."""

from collections.abc import Callable
from fractions import Fraction
from statistics import median
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataflow.rules.language.support import rules_of
from tests.unit.dataflow.rules.traffic import CATALOGUE, DAY, HOUR, MINUTE, NOON, a_call
from tokensense_otel.core.call import Call, Posting
from tokensense_otel.dataflow.rules import RuleShard

QUARTER = 15 * MINUTE
Verdict = Callable[[list[Call], int], bool]


def _within(some: list[Call], newest_ns: int, size: int, count: int, back: int = 0) -> list[Call]:
    """Calls in the `count` buckets that end with the bucket of `newest_ns`, or `back` buckets before it."""
    last = newest_ns // size - back
    return [call for call in some if last - count < call.end_ns // size <= last]


def _share(some: list[Call], newest_ns: int) -> bool:
    window = _within(some, newest_ns, 30 * 10**9, 120)
    failed = sum(bool(call.error_type) for call in window)
    return len(window) >= 3 and Fraction(failed, len(window)) > Fraction(3, 10)


def _baseline(some: list[Call], newest_ns: int) -> bool:
    now = _within(some, newest_ns, QUARTER, 4)
    if len(now) < 2:
        return False
    first = min(call.end_ns // QUARTER for call in _within(some, newest_ns, QUARTER, 21))  # what is remembered
    known = [
        len(_within(some, newest_ns, QUARTER, 4, 4 * back))
        for back in range(1, 5)
        if newest_ns // QUARTER - 4 * back - 3 >= first
    ]
    if len(known) < 2:
        return False
    base = median(map(Fraction, known))
    return base > 0 and len(now) > Fraction(3, 2) * base


def _budget(some: list[Call], newest_ns: int) -> bool:
    today = [call for call in some if call.end_ns // DAY == newest_ns // DAY]
    return sum(call.cost.low for call in today) > 15_000_000  # half of three cents


def _ratio(some: list[Call], newest_ns: int) -> bool:
    size = 5 * MINUTE
    now, longer = _within(some, newest_ns, 30 * 10**9, 120), _within(some, newest_ns, size, 72)
    known = newest_ns // size + 1 - min(call.end_ns // size for call in longer) if longer else 0
    if not now or 2 * known < 72 or not longer:
        return False
    return len(now) > 2 * Fraction(len(longer) * HOUR, known * size)


RULES: list[tuple[str, Verdict]] = [
    ("{metric: errors, aggregate: share, window: 1h, compare: {above: 30%}, min_samples: 3}", _share),
    (
        "{metric: calls, window: 1h, compare: {above: 1.5x, baseline: {previous: 4, min_windows: 2}}, min_samples: 2}",
        _baseline,
    ),
    ("{metric: cost_usd, compare: {above: 50%, budget: {amount: $0.03, per: day}}}", _budget),
    ("{metric: calls, window: 1h, compare: {above: 2x, window: 6h}}", _ratio),
]

EVENTS = st.lists(
    st.tuples(st.integers(0, 9 * 60), st.booleans(), st.integers(1, 4), st.booleans(), st.booleans()),
    min_size=1,
    max_size=30,
)
"""Minutes after noon, whether it failed, how many at once, whether one is taken back, whether the process dies."""


@given(EVENTS, st.sampled_from(RULES))
@settings(deadline=None, max_examples=60)
def test_verdicts_are_those_of_brute_force(events: list[tuple[int, bool, int, bool, bool]], rule: Any) -> None:
    """After every posting the condition holds exactly where it does over the list of all calls that count by then."""
    text, holds = rule
    rules = rules_of(text[:-1] + ", keep_firing_for: 0s, hysteresis: 1, update_factor: 1000000}")
    shard = RuleShard(rules, CATALOGUE)
    counted: list[Call] = []
    newest_ns = 0
    number = 0
    limit_ns = NOON + 10 * HOUR

    def post(sign: int, call: Call) -> None:
        nonlocal newest_ns
        shard.ingest([Posting(sign, call)], [], limit_ns)
        counted.append(call) if sign > 0 else counted.remove(call)
        newest_ns = max(newest_ns, call.end_ns)
        (series,) = [series for _, series in shard._tables["MINE"].items()]
        wanted = bool(counted) and holds(counted, newest_ns)
        assert series.episode.firing == wanted or series.episode.quiet_ns, (text, newest_ns - NOON)

    for minute, failed, count, taken_back, dies in events:
        for _ in range(count):
            number += 1
            post(1, a_call(number, NOON + minute * MINUTE, error_type="500" if failed else ""))
        if taken_back:
            post(-1, counted[-1])
        if dies:
            shard = RuleShard.restore(rules, CATALOGUE, shard.snapshot())
