"""The contract as a pytest class: subclass it, name your rule, and its tests are yours."""

# ruff: noqa: S101 - assertions are what this is for

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokensense_otel.core.call import UNKNOWN_COST, Call, Cost, CostKind, Dimensions, Posting, Tokens
from tokensense_otel.core.insight import Insight, Status, decode_insight, encode_insight
from tokensense_otel.dataflow.rules.config import RulesConfig, RuleSet, extended
from tokensense_otel.dataflow.rules.evaluation.shard import RuleShard
from tokensense_otel.dataflow.rules.registry import RULES
from tokensense_otel.dataflow.rules.testing.traffic import CATALOGUE, DAY, HOUR, MINUTE, START, a_call, busy

_slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
_text = st.text(max_size=12) | st.sampled_from(["", "a\x00b", "{team}", "<!channel>", "𝒳" * 40, "\x1f", "unattributed"])
_count = st.none() | st.integers(0, 2) | st.integers(0, 10**12)


class Subject(msgspec.Struct, frozen=True):
    """A rule, its configuration, and traffic on which it fires (nothing where the author gave none)."""

    name: str
    rules: RuleSet
    firing: Sequence[Call] = ()

    def shard(self) -> RuleShard:
        return RuleShard(self.rules, CATALOGUE)


def subject_of(rule: Any, options: Mapping[str, Any], firing: Sequence[Call] = ()) -> Subject:
    """Only this rule is on. `rule` is a class, a rule, or what stands in YAML beneath `rules.custom`."""
    off: dict[str, Any] = {name: {"enabled": False} for name in RULES}
    if isinstance(rule, Mapping):
        written = RulesConfig.model_validate(off | {"custom": [{**rule, **options}]})
        return Subject(written.custom[0].name, RuleSet(written), firing)
    made = rule() if isinstance(rule, type) else rule
    model = RulesConfig if made.name in RULES else extended(RulesConfig, (made,))
    return Subject(made.name, RuleSet(model.model_validate(off | {made.name: dict(options)})), firing)


class RuleContract:
    rule: ClassVar[Any]
    """The class under test, or a mapping as it stands beneath `rules.custom`."""
    options: ClassVar[Mapping[str, Any]] = {}
    """Options under which it fires on `firing`."""

    def firing(self) -> Sequence[Call]:
        """Calls on which it fires, in the order of their ends."""
        return ()

    @pytest.fixture
    def subject(self) -> Subject:
        return subject_of(self.rule, self.options, self.firing())

    def test_it_fires(self, subject: Subject) -> None:
        """On the traffic that is its business it tells a finding once, and resolves it when that is long gone."""
        if not subject.firing:
            pytest.skip("no traffic is given that makes it fire")
        shard = subject.shard()
        told = judge(shard, subject.firing) + wait(shard, subject.firing[-1].end_ns + 40 * DAY)
        assert told
        assert told[0].status is Status.FIRING
        assert len({insight.id for insight in told}) == len(told)
        for episode in {insight.episode_id for insight in told}:
            statuses = [insight.status for insight in told if insight.episode_id == episode]
            assert statuses[0] is Status.FIRING
            assert statuses[-1] is Status.RESOLVED

    def test_batches_do_not_matter(self, subject: Subject) -> None:
        """However calls are cut into batches, and whenever the process dies, it tells the same under the same ids."""
        traffic = [*subject.firing, *busy()]
        now_ns = max(call.end_ns for call in traffic)
        whole = subject.shard().ingest([Posting(1, call) for call in traffic], [], now_ns)

        @settings(max_examples=4, deadline=None, suppress_health_check=_slow)
        @given(cuts=st.lists(st.integers(1, len(traffic)), max_size=4), deaths=st.sets(st.integers(0, 4)))
        def check(cuts: list[int], deaths: set[int]) -> None:
            shard = subject.shard()
            told: list[Insight] = []
            ends = sorted({*cuts, len(traffic)})
            for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
                told += shard.ingest([Posting(1, call) for call in traffic[start:end]], [], now_ns)
                if number in deaths:
                    shard = RuleShard.restore(subject.rules, CATALOGUE, shard.snapshot())
            assert told == whole

        check()

    def test_what_is_taken_back_is_gone(self, subject: Subject) -> None:
        """When every call turns out to be none, every finding is over soon, and nothing was spent."""
        shard = subject.shard()
        traffic = [*subject.firing, *busy()]
        now_ns = max(call.end_ns for call in traffic)
        told = shard.ingest([Posting(1, call) for call in traffic], [], now_ns)
        told += shard.ingest([Posting(-1, call) for call in reversed(traffic)], [], now_ns)
        closed = wait(shard, now_ns + 2 * DAY + _keeps_ns(subject))
        last = {insight.episode_id: insight for insight in [*told, *closed]}
        assert [insight.title for insight in last.values() if insight.status is not Status.RESOLVED] == []
        for insight in closed:
            assert insight.evidence.get("priced_calls_30d", 0) == 0
            assert Decimal(insight.estimated_monthly_savings_usd or 0) == 0

    def test_it_saves_no_more_than_was_spent(self, subject: Subject) -> None:
        """Whatever fires, its saving is at most what its slice did cost, and projections say that they are some."""
        for insight in _told(subject):
            spent = insight.evidence.get("spend_30d_usd")
            if insight.estimated_monthly_savings_usd is not None:
                assert Decimal(0) <= Decimal(insight.estimated_monthly_savings_usd)
                if spent is not None:
                    assert Decimal(insight.estimated_monthly_savings_usd) <= Decimal(spent)

    def test_people_can_read_it(self, subject: Subject) -> None:
        """Title, summary and fix are there and short; scope is text by name; thresholds are in the evidence."""
        rule = subject.rules.rules[subject.name]
        for insight in _told(subject):
            assert insight.title
            assert insight.summary.strip()
            assert insight.suggested_fix
            assert len(insight.title) <= 300
            assert set(insight.evidence["thresholds"]) == set(rule.thresholds)
            assert all(isinstance(part, str) and part for part in insight.scope.values())
            assert insight.evidence["window"]["from"] <= insight.evidence["window"]["to"]

    def test_evidence_is_json(self, subject: Subject) -> None:
        """What is told can be written, and read again as it was."""
        for insight in _told(subject):
            assert decode_insight(encode_insight(insight)) == insight

    def test_nothing_is_too_odd(self, subject: Subject) -> None:
        """Calls of which nothing is known, and names and numbers of any kind, break nothing; off, it tells nothing."""

        @settings(max_examples=15, deadline=None, suppress_health_check=_slow)
        @given(st.lists(odd_calls(), max_size=40))
        def check(traffic: list[Call]) -> None:
            shard = subject.shard()
            now_ns = START + 3 * HOUR
            postings = [Posting(1, call) for call in traffic]
            told = shard.ingest(postings, [], now_ns) + wait(shard, now_ns + DAY)
            for insight in told:
                encode_insight(insight)

        check()
        off = RuleSet(subject.rules.defaults.overridden({subject.name: {"enabled": False}}))
        assert RuleShard(off, CATALOGUE).ingest([Posting(1, call) for call in busy(days=2)], [], START + 2 * DAY) == []


@st.composite
def odd_calls(draw: st.DrawFn) -> Call:
    """Calls with whatever a sender of spans can put into one."""
    call = a_call(draw(st.integers(1, 40)), START + draw(st.integers(0, 4 * HOUR // MINUTE)) * MINUTE)
    tokens = Tokens(*(draw(_count) for _ in Tokens.__struct_fields__))
    low = draw(st.integers(0, 10**15))
    cost = draw(
        st.sampled_from([UNKNOWN_COST, Cost(CostKind.KNOWN, low, low, "p"), Cost(CostKind.ESTIMATED, low, low + 5)])
    )
    return msgspec.structs.replace(
        call,
        tenant=draw(st.sampled_from(["default", "acme"])),
        project=draw(st.sampled_from(["default", "p"])),
        tokens=tokens,
        cost=cost,
        dimensions=Dimensions(*(draw(_text) for _ in Dimensions.__struct_fields__)),
        request_model=draw(_text | st.just("gpt-4o")),
        provider=draw(_text | st.just("openai")),
        error_type=draw(st.sampled_from(["", "500"])),
        finish_reason=draw(st.sampled_from(["", "length", "stop"])),
        prompt_hash=draw(st.sampled_from(["", "a"])),
        first_token_ns=draw(st.none() | st.integers(0, 10**12)),
        start_ns=draw(st.integers(0, 2 * call.end_ns)),
    )


def _told(subject: Subject) -> Iterable[Insight]:
    shard = subject.shard()
    for traffic in (subject.firing, busy()):
        if traffic:
            shard = subject.shard()
            yield from judge(shard, traffic)
            yield from wait(shard, traffic[-1].end_ns + 2 * DAY)


def judge(shard: RuleShard, traffic: Sequence[Call]) -> list[Insight]:
    """Call by call in event time, with the timers that fall between them."""
    told: list[Insight] = []
    for call in traffic:
        told += wait(shard, call.end_ns)
        told += shard.ingest([Posting(1, call)], [], call.end_ns)
    return told


def wait(shard: RuleShard, until_ns: int) -> list[Insight]:
    told: list[Insight] = []
    wake = shard.next_wake()
    while wake is not None and wake <= until_ns:
        told += shard.advance(wake)
        after = shard.next_wake()
        wake = after if after is not None and after > wake else None
    return told


def _keeps_ns(subject: Subject) -> int:
    return int(subject.rules.defaults.of(subject.name).keep_firing_for)
