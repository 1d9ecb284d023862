"""The whole evaluation against brute force: every event is kept, and everything is computed anew from all of them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataflow.rules.evaluation.test_episodes import Reference
from tests.unit.dataflow.rules.evaluation.toy import Toy, rule_set
from tests.unit.dataflow.rules.traffic import HOUR, MINUTE, NOON, SECOND, Shard, a_call
from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.core.insight import Status
from tokensense_otel.dataflow.rules.evaluation.shard import BEAT_NS

BUCKET = 30 * SECOND
"""Of an hour's window."""
BUCKETS = 120
QUARTER = 15 * MINUTE
FLAP = 5 * HOUR
"""Twenty times the wait for a resolution."""


@dataclass
class Key:
    """All events of one team that were in its window when they came, and the life of its finding."""

    events: list[tuple[int, int]] = field(default_factory=list)
    head: int = -1
    newest_ns: int = 0
    life: Reference = field(default_factory=lambda: Reference(0, resolve_after=QUARTER, flap=FLAP))

    def fits(self, time_ns: int) -> bool:
        return time_ns // BUCKET > self.head - BUCKETS

    def judge(self, at_ns: int) -> Status | None:
        """1,000 tokens in three calls of the window open a finding, fewer than 900 close it."""
        inside = [tokens for time_ns, tokens in self.events if self.head - BUCKETS < time_ns // BUCKET <= self.head]
        threshold = 900 if self.life.open else 1_000
        size = sum(inside) if len(inside) >= 3 and sum(inside) >= threshold else None
        return self.life.move(size, at_ns)


class Oracle:
    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.told: list[tuple[str, Status]] = []
        self._advanced_ns = 0

    def post(self, call: Call, sign: int) -> None:
        team, event = call.dimensions.team, (call.end_ns, call.tokens.input or 0)
        if sign < 0 and team not in self.keys:
            return
        key = self.keys.setdefault(team, Key())
        if not key.fits(call.end_ns):
            return
        key.head = max(key.head, call.end_ns // BUCKET)
        key.newest_ns = max(key.newest_ns, call.end_ns)
        key.events.append(event) if sign > 0 else key.events.remove(event)
        self._tell(team, key.judge(key.newest_ns))

    def begin(self, now_ns: int) -> None:
        """The first moment, from which beats are counted."""
        self._advanced_ns = self._advanced_ns or now_ns

    def advance(self, now_ns: int) -> None:
        every = now_ns // BEAT_NS > self._advanced_ns // BEAT_NS
        self._advanced_ns = now_ns
        for team, key in self.keys.items():
            if every or key.life.open:
                key.head = max(key.head, now_ns // BUCKET)
                self._tell(team, key.judge(now_ns))

    def _tell(self, team: str, status: Status | None) -> None:
        if status:
            self.told.append((team, status))


def arrivals(chance: random.Random) -> Iterator[tuple[int, Call, bool]]:
    """(log time, call, whether it will be taken back) in order of arrival, late by up to three quarters of an hour.

    Two teams whose sums of an hour are around the thresholds, now and then with silence in between.
    """
    now_ns = NOON
    for number in range(1, 150):
        now_ns += chance.choice([0, 10, 60, 300, 600, 600, 900, 3_600]) * SECOND + chance.randrange(20 * SECOND)
        late_ns = chance.choice([0, 0, 1, 30, 600, 2_700]) * SECOND
        tokens = Tokens(chance.choice([80, 120, 200, 310, 500]), 1)
        yield now_ns, a_call(number, now_ns - late_ns, team=chance.choice("aab"), tokens=tokens), chance.random() < 0.2


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32))
def test_verdicts_are_those_of_all_events(seed: int) -> None:
    """Sums, firings, updates and resolutions of each key, in their order, whatever comes late, is taken back two calls
    later, and wherever the process dies: they are those of a computation over all events."""
    chance = random.Random(seed)
    shard, oracle = Shard(rule_set(Toy(), window="1h")), Oracle()
    wrong: list[tuple[int, Call]] = []

    def pass_time(now_ns: int) -> None:
        while (wake := shard.shard.next_wake()) is not None and wake <= now_ns:
            shard.told += shard.shard.advance(wake)
            oracle.advance(wake)

    for number, (now_ns, call, taken_back) in enumerate(arrivals(chance)):
        pass_time(now_ns)
        oracle.begin(now_ns)
        shard.post([call], now_ns=now_ns)
        oracle.post(call, 1)
        if taken_back:
            wrong.append((number + 2, call))
        while wrong and wrong[0][0] <= number:
            _, gone = wrong.pop(0)
            if _event(gone) in oracle.keys[gone.dimensions.team].events:  # else it came too late to be counted
                shard.reverse([gone], now_ns=now_ns)
                oracle.post(gone, -1)
        if chance.random() < 0.1:
            shard.crash()
        for (_, _, team), series in shard.shard._tables["TOY"].items():
            key = oracle.keys[team]
            inside = [each for each in key.events if key.head - BUCKETS < each[0] // BUCKET]
            assert series.counts == [len(inside), sum(tokens for _, tokens in inside)]
    pass_time(NOON + 150 * 4_000 * SECOND)

    told = [(insight.scope["team"], insight.status) for insight in shard.told]
    assert {team: [each for each in told if each[0] == team] for team in "ab"} == {
        team: [each for each in oracle.told if each[0] == team] for team in "ab"
    }
    assert len({insight.id for insight in shard.told}) == len(shard.told)
    assert {Status.FIRING, Status.RESOLVED} <= {status for _, status in told}


def _event(call: Call) -> tuple[int, int]:
    return call.end_ns, call.tokens.input or 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_the_order_within_the_window_does_not_matter(seed: int) -> None:
    """Calls of an hour, in any order, leave the same sums and the same open findings."""
    chance = random.Random(seed)
    sent = [
        a_call(number, NOON + chance.randrange(900) * SECOND, team=chance.choice("abcd"), tokens=Tokens(130, 1))
        for number in range(1, chance.randrange(40))
    ]
    ends = []
    for _ in range(2):
        shard = Shard(rule_set(Toy(), window="1h"))
        shard.post(sent, now_ns=NOON + 900 * SECOND)
        table = shard.shard._tables["TOY"]
        ends.append({key: (series.counts, series.episode.firing) for key, series in table.items()})
        chance.shuffle(sent)

    assert ends[0] == ends[1]
