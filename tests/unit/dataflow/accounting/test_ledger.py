"""The ledger: postings that always sum up to the settlement of what was seen, in bounded memory."""

import time
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.books import price
from tests.support.calls import NOON, SECOND
from tests.support.spans import TRACE, facts_of_span
from tokensense_otel.core.call import UNKNOWN_COST, Call, Cost, Dimensions, Posting, Tokens
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting import AccountingConfig, Ledger, open_trace
from tokensense_otel.dataflow.accounting.trace import settle
from tokensense_otel.dataflow.accounting.verdicts import Verdicts
from tokensense_otel.dataflow.facts import Kind, SpanFacts


class Sums:
    """The books that a ledger's postings make."""

    def __init__(self, **config: Any) -> None:
        self.config = AccountingConfig(**config)
        self.ledger = Ledger(self.config, price)
        self.calls: list[Call] = []
        self.total = Accounting()

    def ingest(self, *spans: SpanFacts, at: int = 0) -> list[Posting]:
        changes = self.ledger.ingest(spans, at)
        for posting in changes.postings:
            if posting.sign > 0:
                self.calls.append(posting.call)
            else:
                self.calls.remove(posting.call)
        for change in changes.accounting.values():
            self.total.add(change)
        total = self.total
        assert total.spans == total.calls + total.duplicates + total.wrappers + total.not_genai
        assert total.calls == len(self.calls)
        return changes.postings


def test_a_late_root_gives_its_team_to_calls_already_posted() -> None:
    """When the root names the team, each call is reversed exactly as it was posted and posted with the team."""
    sums = Sums()
    (first,) = sums.ingest(facts_of_span(2, parent=1))
    assert first.call.dimensions.team == ""
    assert first.call.cost.low == 110
    postings = sums.ingest(facts_of_span(1, Kind.OTHER, own=Dimensions(team="search")))
    assert postings[0] == Posting(-1, first.call)
    assert postings[1] == Posting(1, msgspec.structs.replace(first.call, dimensions=Dimensions(team="search")))
    assert sums.total == Accounting(spans=2, calls=1, not_genai=1)


def test_a_call_that_turns_out_to_be_an_outer_one_is_taken_back() -> None:
    """The outer span may come first; when the inner one comes, it takes the outer one's place."""
    sums = Sums()
    sums.ingest(facts_of_span(1))
    assert sums.total == Accounting(spans=1, calls=1)
    postings = sums.ingest(facts_of_span(2, parent=1))
    assert [posting.sign for posting in postings] == [-1, 1]
    assert sums.total == Accounting(spans=2, calls=1, duplicates=1)


def test_a_stand_in_is_taken_back_when_a_call_beneath_it_comes() -> None:
    """An agent's own usage counts only until the first of its calls is reported."""
    sums = Sums()
    sums.ingest(facts_of_span(1, Kind.WRAPPER, tokens=Tokens(300, 30)))
    assert sums.total == Accounting(spans=1, calls=1)
    sums.ingest(facts_of_span(2, parent=1))
    assert [call.tokens for call in sums.calls] == [Tokens(100, 10)]
    assert sums.total == Accounting(spans=2, calls=1, wrappers=1)


def test_price_is_asked_again_only_when_what_it_depends_on_changes() -> None:
    """New dimensions keep the cost; new tokens get a new one."""
    asked: list[Call] = []

    def expensive(call: Call) -> Cost:
        asked.append(call)
        return price(call)

    ledger = Ledger(AccountingConfig(), expensive)
    ledger.ingest([facts_of_span(2, parent=1)], 0)
    ledger.ingest([facts_of_span(1, Kind.OTHER, own=Dimensions(team="search"))], 0)
    assert len(asked) == 1
    ledger.ingest([facts_of_span(3, Kind.DETAIL, parent=2, tokens=Tokens(100, 10, cache_read=60))], 0)
    assert len(asked) == 2


def test_a_span_sent_twice_is_a_duplicate() -> None:
    """The same bytes again, in the same batch or a later one, change nothing but the count of duplicates."""
    sums = Sums()
    sums.ingest(facts_of_span(1), facts_of_span(1))
    assert sums.ingest(facts_of_span(1), at=SECOND) == []
    assert sums.total == Accounting(spans=3, calls=1, duplicates=2)


def test_a_span_exported_twice_with_other_attributes_is_one_call() -> None:
    """Two processors that export one span id make one call out of what both say, in either order."""
    poor = facts_of_span(1, tokens=Tokens(), own=Dimensions(user="u7"))
    rich = facts_of_span(1, own=Dimensions(team="search"))
    outcomes: list[list[Call]] = []
    for one, two in ((poor, rich), (rich, poor)):
        sums = Sums()
        sums.ingest(one)
        sums.ingest(two)
        sums.ingest(one)
        assert sums.total == Accounting(spans=3, calls=1, duplicates=2)
        outcomes.append(sums.calls)
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0].tokens == Tokens(100, 10)
    assert outcomes[0][0].dimensions == Dimensions(team="search", user="u7")


def test_tenants_with_one_trace_id_are_apart() -> None:
    """The same ids sent by two tenants are two traces."""
    ledger = Ledger(AccountingConfig(), price)
    changes = ledger.ingest([facts_of_span(1, tenant="a"), facts_of_span(1, tenant="b")], 0)
    assert changes.accounting == {"a": Accounting(spans=1, calls=1), "b": Accounting(spans=1, calls=1)}


def test_a_trace_closes_when_it_was_idle_and_not_before() -> None:
    """After 120 s without a span only ids are left; until then, and after each span anew, the facts are kept."""
    sums = Sums(trace_idle_s=120)
    sums.ingest(facts_of_span(1), at=0)
    assert sums.ledger.next_wake() == 120 * SECOND
    sums.ingest(facts_of_span(2), at=100 * SECOND)
    sums.ledger.advance(220 * SECOND - 1)
    assert sums.ledger.open_spans == 2
    sums.ledger.advance(220 * SECOND)
    assert sums.ledger.open_spans == 0
    assert sums.ledger.next_wake() is None


def test_a_resend_of_a_closed_trace_is_a_duplicate_within_the_window() -> None:
    """Hours later, a Collector's persistent queue may send what was counted; its ids are still known."""
    sums = Sums(resend_window_s=3600)
    sums.ingest(facts_of_span(1))
    sums.ledger.advance(200 * SECOND)
    assert sums.ingest(facts_of_span(1), at=3000 * SECOND) == []
    assert sums.total == Accounting(spans=2, calls=1, duplicates=1)
    assert sums.ledger.open_spans == 0, "a resend opens no trace"
    sums.ledger.advance(3600 * SECOND)
    sums.ledger.advance(8000 * SECOND)
    sums.ingest(facts_of_span(1), at=8000 * SECOND)
    assert sums.total.calls == 2, "beyond the window nothing is remembered"


def test_a_late_wrapper_of_a_closed_trace_stands_in_for_nothing() -> None:
    """That a closed trace had calls is remembered, so an agent span an hour late does not count its usage again."""
    sums = Sums()
    sums.ingest(facts_of_span(2, parent=1))
    sums.ledger.advance(200 * SECOND)
    sums.ingest(facts_of_span(1, Kind.WRAPPER, tokens=Tokens(300, 30)), at=300 * SECOND)
    assert sums.total == Accounting(spans=2, calls=1, wrappers=1)


def test_a_late_call_of_a_closed_trace_counts() -> None:
    """A span that was never seen is accounted on its own, however late."""
    sums = Sums()
    sums.ingest(facts_of_span(1))
    sums.ledger.advance(200 * SECOND)
    sums.ingest(facts_of_span(2), at=300 * SECOND)
    assert sums.total == Accounting(spans=2, calls=2)


@pytest.mark.parametrize("one_trace", [True, False])
def test_memory_is_bounded(one_trace: bool) -> None:
    """Over its limits the ledger closes traces early: facts and ids stay bounded, and every span stays counted."""
    sums = Sums(max_open_spans=50, max_trace_spans=40, max_resend_ids=160)
    for number in range(1, 1001):
        trace_id = TRACE if one_trace else number.to_bytes(16, "big")
        sums.ingest(facts_of_span(number, trace_id=trace_id, scope="sdk"), at=number)
        assert sums.ledger.open_spans <= 50
    assert sums.total == Accounting(spans=1000, calls=1000)
    sums.ledger.advance(1000 * SECOND)
    # 160 ids of 8 bytes and their frame.
    assert len(sums.ledger.snapshot()) < 160 * 9 + 200


def test_spans_that_are_not_genai_are_only_counted() -> None:
    """A trace without GenAI makes no postings."""
    sums = Sums()
    assert sums.ingest(*(facts_of_span(number, Kind.OTHER, parent=number - 1) for number in range(1, 6))) == []
    assert sums.total == Accounting(spans=5, not_genai=5)


def test_a_restored_ledger_knows_what_it_posted() -> None:
    """After a crash the reversal is of exactly the posting from before, resends are known, and timers go on."""
    sums = Sums()
    (first,) = sums.ingest(facts_of_span(2, parent=1))
    sums.ingest(facts_of_span(7, trace_id=b"closed-long-ago!"), at=-200 * SECOND)
    sums.ledger.advance(0)
    sums.ledger = Ledger.restore(sums.config, price, sums.ledger.snapshot())
    assert sums.ledger.next_wake() == 120 * SECOND
    assert sums.ingest(facts_of_span(2, parent=1), facts_of_span(7, trace_id=b"closed-long-ago!")) == []
    postings = sums.ingest(facts_of_span(1, Kind.OTHER, own=Dimensions(team="search")))
    assert postings[0] == Posting(-1, first.call)


def test_a_snapshot_of_another_version_is_refused() -> None:
    """A ledger does not guess at the meaning of state that another version wrote."""
    snapshot = msgspec.msgpack.decode(Ledger(AccountingConfig(), price).snapshot())
    snapshot[0] = 99
    with pytest.raises(ValueError, match="version 99"):
        Ledger.restore(AccountingConfig(), price, msgspec.msgpack.encode(snapshot))


def test_a_snapshot_of_5000_open_spans_is_fast() -> None:
    """Snapshots are taken every few seconds, and what did not change is not encoded again: under 50 ms."""
    ledger = Ledger(AccountingConfig(), price)
    for number in range(1, 5001):
        ledger.ingest([facts_of_span(number, trace_id=(number // 5).to_bytes(16, "big"))], 0)
    ledger.snapshot()
    began = time.perf_counter()
    ledger.snapshot()
    assert time.perf_counter() - began < 0.05


TOKENS = (Tokens(), Tokens(100, 10), Tokens(100, 10, cache_read=60), Tokens(7, 1))


@st.composite
def traces(draw: st.DrawFn) -> list[SpanFacts]:
    """A tangle of up to 14 spans of one trace: parents that never come, loops, shared ids, failures."""
    spans: list[SpanFacts] = []
    for number in range(1, draw(st.integers(2, 14)) + 1):
        start = NOON + draw(st.integers(0, 3)) * SECOND
        spans.append(
            facts_of_span(
                number,
                draw(st.sampled_from([Kind.CALL, Kind.CALL, *Kind])),
                parent=draw(st.integers(0, 16)),
                own=Dimensions(team=draw(st.sampled_from(["", "", "search", "shop"]))),
                tokens=draw(st.sampled_from(TOKENS)),
                response_id=draw(st.sampled_from(["", "", "r1", "r2"])),
                scope=draw(st.sampled_from(["sdk", "framework"])),
                dialect=draw(st.sampled_from(["openinference", "anthropic-sdk"])),
                error_type=draw(st.sampled_from(["", "", "", "timeout"])),
                operation=draw(st.sampled_from(["chat", "chat", "embeddings"])),
                start_ns=start,
                end_ns=start + draw(st.sampled_from([SECOND // 2, SECOND])),
            )
        )
    return spans


@settings(max_examples=150, deadline=None)
@given(spans=traces(), few=st.sampled_from([0, 5, 16]), data=st.data())
def test_the_books_are_the_settlement_of_everything_seen(spans: list[SpanFacts], few: int, data: st.DataObject) -> None:
    """After each span, in any order and across crashes, what is posted is what settling all of them at once gives.

    Whether a trace is settled as a whole, or from some length on by the parts that matter to each other.
    """
    sums = Sums()
    seen: dict[bytes, SpanFacts] = {}
    with patch.object(open_trace, "_FEW", few):
        for facts in data.draw(st.permutations(spans)):
            seen[facts.span_id] = facts
            sums.ingest(facts)
            if data.draw(st.integers(0, 4)) == 0:
                sums.ledger = Ledger.restore(sums.config, price, sums.ledger.snapshot())
            standing = {call.span_id: msgspec.structs.replace(call, cost=UNKNOWN_COST) for call in sums.calls}
            assert standing == settle(seen, verdicts=Verdicts())


def test_a_quiet_trace_is_kept_as_bytes_and_wakes_as_it_was() -> None:
    """After two snapshots without a change a trace rests; a late root still corrects its calls exactly."""
    sums = Sums()
    (first,) = sums.ingest(facts_of_span(2, parent=1))
    assert sums.ledger.snapshot() == sums.ledger.snapshot() == sums.ledger.snapshot()
    assert sums.ingest(facts_of_span(2, parent=1)) == []
    sums.ledger.snapshot()
    sums.ledger.snapshot()
    postings = sums.ingest(facts_of_span(1, Kind.OTHER, own=Dimensions(team="search")))
    assert [posting.sign for posting in postings] == [-1, 1]
    assert postings[0].call == first.call
    sums.ledger.snapshot()
    sums.ledger.snapshot()
    sums.ledger.advance(500 * SECOND)
    assert sums.ledger.open_spans == 0
    assert sums.ingest(facts_of_span(2, parent=1), at=500 * SECOND) == []


def test_a_recording_has_no_limits() -> None:
    """Replaying lifts every limit by count, and leaves the windows."""
    config = AccountingConfig(trace_idle_s=7).without_limits()
    assert config.trace_idle_s == 7
    assert min(config.max_open_spans, config.max_trace_spans, config.max_resend_ids, config.max_identities) > 10**15
