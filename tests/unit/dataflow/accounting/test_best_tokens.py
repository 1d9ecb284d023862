"""Reports of one call of which each knows something else: the books get the best of all of them, at its price."""

import itertools
from typing import Any

import msgspec
import pytest

from tests.support.books import price
from tests.support.calls import NOON, SECOND, a_call
from tests.support.spans import facts_of_span
from tokensense_otel.core.call import Call, CostKind, Posting, Tokens
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting import AccountingConfig, Identities, Twins, may_have_twin
from tokensense_otel.dataflow.accounting.sameness import doubtful, witness
from tokensense_otel.dataflow.accounting.trace import settle

LOST = Tokens(219, 79, 0, 0)
"""OpenLIT of an Anthropic stream: the input without 2,300 cached tokens, which it says are zero."""
WHOLE = Tokens(2519, 79, 2000, 300)
ANTHROPIC: dict[str, Any] = {"provider": "anthropic", "request_model": "claude-haiku-4-5", "response_model": ""}
MILLISECOND = 1_000_000


def report(number: int, dialect: str, tokens: Tokens, **changes: Any) -> Call:
    """A report in a trace of its own, priced."""
    call = a_call(
        **({"response_id": "m1", "scope": dialect, "dialect": dialect, "tokens": tokens} | changes),
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
    )
    return msgspec.structs.replace(call, cost=price(call))


def booked(stage: Identities | Twins, *calls: Call) -> tuple[list[Call], Accounting]:
    """What stands after these reports came one by one, and what became of their spans."""
    standing: list[Call] = []
    total = Accounting()
    for call in calls:
        total.add(Accounting(spans=1, calls=1))
        changes = stage.ingest([Posting(1, call)], 0)
        for posting in changes.postings:
            if posting.sign > 0:
                standing.append(posting.call)
            else:
                standing.remove(posting.call)
        for change in changes.accounting.values():
            total.add(change)
    assert total.calls == len(standing)
    return standing, total


@pytest.mark.parametrize(("streaming", "reads", "doubts"), [(True, 0, True), (False, 0, False), (True, 1, False)])
def test_a_zero_of_a_stream_is_doubtful_where_the_emitter_loses_it(streaming: bool, reads: int, doubts: bool) -> None:
    """OpenLIT says zero for the cached tokens of a stream that it did not read; of other calls it is to be believed."""
    call = report(1, "openlit", Tokens(219, 79, reads, 1), streaming=streaming)
    assert bool(doubtful(call)) == doubts


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_a_report_without_a_doubtful_zero_is_the_better_witness(numbers: tuple[int, int]) -> None:
    """Of two reports of a stream beneath one span the one counts that read its cached tokens, whoever was earlier."""
    told: dict[str, Any] = {"parent": 9, "response_id": "m1", **ANTHROPIC}
    one = facts_of_span(numbers[0], dialect="openlit", tokens=LOST, streaming=True, **told)
    two = facts_of_span(numbers[1], dialect="openinference", tokens=WHOLE, **told)
    (call,) = settle({one.span_id: one, two.span_id: two}).values()
    assert (call.dialect, call.tokens) == ("openinference", WHOLE)


def test_a_doubtful_zero_completes_nothing() -> None:
    """What the best witness does not know stays unknown where another only says a zero that it may have lost."""
    spans = [
        facts_of_span(1, parent=9, dialect="logfire", tokens=Tokens(2519, 79), response_id="m1", **ANTHROPIC),
        facts_of_span(2, parent=9, dialect="openlit", tokens=LOST, response_id="m1", streaming=True, **ANTHROPIC),
    ]
    (call,) = settle({facts.span_id: facts for facts in spans}).values()
    assert call.tokens == Tokens(2519, 79)


def test_reports_in_two_traces_complete_each_other_at_the_price_of_what_they_come_to() -> None:
    """OpenLLMetry's output of a stream is one too high, its reasoning is known only there: 218 + 78 nano-dollars."""
    counted_twice = report(1, "openllmetry", Tokens(218, 79, 0, 0, reasoning=0), **ANTHROPIC)
    other = report(2, "openlit", Tokens(218, 78, 0, 0), streaming=True, **ANTHROPIC)
    for order in itertools.permutations([counted_twice, other]):
        (call,), total = booked(Identities(AccountingConfig(), price), *order)
        assert call.tokens == Tokens(218, 78, 0, 0, reasoning=0)
        assert (call.cost.kind, call.cost.low) == (CostKind.KNOWN, 296)
        assert total == Accounting(spans=2, calls=1, duplicates=1)


def test_without_prices_usage_and_cost_stay_those_of_one_report() -> None:
    """A stage that cannot price what reports come to together keeps the best one's usage, so that its cost is true."""
    first = report(1, "openllmetry", Tokens(218, 79, 0, 0, reasoning=0), **ANTHROPIC)
    other = report(2, "openlit", Tokens(218, 78, 0, 0), streaming=True, **ANTHROPIC)
    (call,), _ = booked(Identities(AccountingConfig()), first, other)
    assert (call.tokens, call.cost) == (first.tokens, first.cost)


HEARD = {"response_id": "", "request_model": "", "response_model": "gpt-4o", "root": False}
UNHEARD = {"response_id": "", "request_model": "gpt-4o", "response_model": "", "root": False}


def listener(number: int, tokens: Tokens, start_ns: int = NOON, **changes: Any) -> Call:
    """A turn of openai-agents as a listener tells it: with usage as OpenInference does, else as OpenLLMetry."""
    dialect = changes.pop("dialect", "openinference-openai-agents" if tokens.known else "otel-openai-agents")
    told = HEARD if dialect.startswith("openinference") else UNHEARD
    return report(number, dialect, tokens, **(told | {"start_ns": start_ns, "end_ns": start_ns + SECOND} | changes))


@pytest.mark.parametrize(
    ("heard", "failed"), [(Tokens(1017, 41), ""), (Tokens(), ""), (Tokens(), "error")], ids=["usage", "none", "failed"]
)
def test_two_listeners_to_one_framework_tell_of_one_call(heard: Tokens, failed: str) -> None:
    """A turn is in a trace of each listener, without an id, and one hears no usage: one call, the known one."""
    one = listener(1, heard, error_type=failed, dialect="openinference-openai-agents")
    two = listener(2, Tokens(), NOON + MILLISECOND, error_type=failed)
    assert may_have_twin(one)
    assert may_have_twin(two)
    for order in itertools.permutations([one, two]):
        (call,), total = booked(Twins(AccountingConfig(), price), *order)
        assert (call.tokens, call.failed) == (heard, bool(failed))
        assert total == Accounting(spans=2, calls=1, duplicates=1)


@pytest.mark.parametrize(
    "change",
    [
        {"dialect": "openllmetry"},
        {"error_type": "error"},
        {"scope": "openinference-openai-agents"},
        {"request_model": "o3"},
        {"start_ns": NOON + SECOND},
    ],
    ids=["no listener", "one failed", "one listener", "other model", "other time"],
)
def test_a_report_without_usage_is_otherwise_a_call_of_its_own(change: dict[str, Any]) -> None:
    """A call of unknown usage is never taken for another one's unless two listeners tell of it at one time."""
    one, two = listener(1, Tokens(1017, 41)), listener(2, Tokens(), **change)
    calls, _ = booked(Twins(AccountingConfig(), price), one, two)
    assert len(calls) == 2


def test_turns_at_one_time_are_each_heard_once() -> None:
    """Of three turns beside each other and three reports without usage, three calls with all usage are left."""
    heard = [listener(number, Tokens(1000 + number, 10), NOON + number * MILLISECOND) for number in range(3)]
    unheard = [listener(10 + number, Tokens(), NOON + number * MILLISECOND) for number in range(3)]
    for order in (heard + unheard, [*unheard, *heard], [*heard[:1], *unheard, *heard[1:]]):
        calls, _ = booked(Twins(AccountingConfig(), price), *order)
        assert sorted(call.tokens.input or 0 for call in calls) == [1000, 1001, 1002]


def test_a_witness_with_usage_comes_first() -> None:
    """A doubt about a class weighs less than no usage at all."""
    assert witness(report(1, "openlit", LOST, streaming=True)) < witness(report(2, "openinference", Tokens()))
