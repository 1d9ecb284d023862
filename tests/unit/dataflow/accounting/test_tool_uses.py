"""Whose tools are: told when they come, and told again when a span that comes later names it."""

import random
from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.support.books import facts_of, price
from tests.support.calls import NOON
from tests.support.spans import TRACE, span_id
from tokensense_otel.core.call import Dimensions
from tokensense_otel.dataflow.accounting import AccountingConfig, Ledger
from tokensense_otel.dataflow.facts import Kind, Origin, SpanFacts, ToolCall, ToolUse


def _span(number: int, parent: int = 0, team: str = "", args: str = "", kind: Kind = Kind.WRAPPER) -> SpanFacts:
    return SpanFacts(
        tenant="default",
        trace_id=TRACE,
        span_id=span_id(number),
        parent_id=span_id(parent) if parent else b"",
        kind=Kind.TOOL if args else kind,
        own=Dimensions(team=team, session="s1" if team else ""),
        origin=Origin(scope="sdk"),
        tools=(ToolCall("weather", args, NOON),) if args else (),
    )


def _ledger() -> Ledger:
    return Ledger(AccountingConfig(), price)


def _in_force(told: list[ToolUse]) -> Counter[ToolUse]:
    """What is left when all that was taken back is taken out."""
    left: Counter[ToolUse] = Counter()
    for use in told:
        left[msgspec.structs.replace(use, sign=1)] += use.sign
    return +left


def test_a_tool_is_told_at_once_and_again_when_its_team_comes() -> None:
    """First nobody's, then taken back in the same words and told for the team that the root names."""
    ledger = _ledger()
    (first,) = ledger.ingest([_span(2, parent=1, args="aa")], 0).tools
    assert (first.team, first.session, first.name, first.scope, first.sign) == ("", "", "weather", "sdk", 1)
    gone, come = ledger.ingest([_span(1, team="checkout")], 1).tools
    assert gone == msgspec.structs.replace(first, sign=-1)
    assert (come.team, come.session, come.sign) == ("checkout", "s1", 1)


def test_a_span_that_names_nothing_new_tells_nothing_again() -> None:
    """What does not change is not told twice, and a resend tells nothing."""
    ledger = _ledger()
    ledger.ingest([_span(3, parent=2, args="aa", team="checkout")], 0)
    assert ledger.ingest([_span(2, parent=1)], 1).tools == []
    assert ledger.ingest([_span(3, parent=2, args="aa", team="checkout")], 2).tools == []


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_neither_order_nor_batches_nor_a_restart_matter(seed: int, size: int) -> None:
    """A random tree of spans, shuffled, cut and with restarts in between, leaves the same uses in force."""
    chance = random.Random(seed)
    spans = [
        _span(
            number,
            parent=chance.randint(0, number - 1),
            team=chance.choice(["", "", "red", "blue"]),
            args=chance.choice(["", "aa", "bb"]),
        )
        for number in range(1, size + 1)
    ]
    whole = _in_force(_ledger().ingest(spans, 0).tools)
    chance.shuffle(spans)
    ledger, told = _ledger(), list[ToolUse]()
    while spans:
        cut = chance.randint(1, 5)
        batch, spans = spans[:cut], spans[cut:]
        told += ledger.ingest(batch, 0).tools
        if chance.random() < 0.3:
            ledger = Ledger.restore(AccountingConfig(), price, ledger.snapshot())
    assert _in_force(told) == whole
    assert sum(whole.values()) == sum(use.sign for use in told)


def test_the_answer_and_the_execution_are_two_witnesses() -> None:
    """In a real agent's trace the request in the answer and the tool's own span differ by scope only."""
    told = [use for batch in facts_of("pydantic_ai_logfire") for use in _ledger().ingest(batch, 0).tools]
    scopes = {use.scope for use in told if use.name == "weather"}
    assert {"pydantic-ai", "pydantic-ai (asked for)"} <= scopes
    assert len({use.args_hash for use in told if use.name == "weather"}) == 1
