"""One dataflow, two engines: Bytewax and the in-process runner give the same books and the same findings."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from bytewax.testing import TestingSink, TestingSource, run_main

from tests.support.calls import NOON, SECOND
from tests.support.captures import NAMES, trace_requests
from tests.support.traffic import a_request, a_span, chat
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.core.tally import Tallies
from tokensense_otel.core.usage import Accounting, usage_rows
from tokensense_otel.dataflow.clock import LogClock
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.dataflow.decode import Decoder
from tokensense_otel.dataflow.deltas import Deltas
from tokensense_otel.dataflow.engine.flow import build_flow
from tokensense_otel.dataflow.explain.keep import to_kept
from tokensense_otel.dataflow.facts import Kind
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RulesConfig, RuleSet
from tokensense_otel.dataflow.runner import InProcessRunner, Outcome
from tokensense_otel.dataflow.stages import Stages
from tokensense_otel.receiver.log.entry import Entry, Signal

CONFIG = DataflowConfig(shards=4)
ALL_TEAMS = {"name": "ALL_TEAMS", "metric": "calls", "window": "1h", "group_by": ["model"], "compare": {"above": 9}}
RULES = RuleSet(RulesConfig.model_validate({"custom": [ALL_TEAMS]}), {})
CATALOGUE = Catalogue.load()
CAPTURED = 1_795_564_800_000_000_000
"""2026-11-25T00:00:00Z, when the captures had been made."""
SALT = b"a salt of thirty-two bytes, fixed"

Engine = Callable[[list[Entry]], Outcome]


def refuse(entry: Entry) -> None:
    raise AssertionError(f"an entry was put aside: {entry.signal}")


def in_process(entries: list[Entry]) -> Outcome:
    runner = InProcessRunner(
        CONFIG, rules=RULES, normalise=NormaliseConfig(), salt=SALT, catalogue=CATALOGUE, quarantine=refuse
    )
    for at in range(0, len(entries), 3):
        runner.feed(entries[at : at + 3])
    return runner.finish()


def bytewax(entries: list[Entry]) -> Outcome:
    books, insights = run_bytewax(entries)
    trimmed = books.trimmed()
    return Outcome(trimmed.usage, trimmed.accounting, insights, trimmed.tallies)


def run_bytewax(entries: list[Entry]) -> tuple[Deltas, list[Insight]]:
    kept: list[Any] = []
    clock = LogClock(lambda: NOON)  # nothing grows old while the recording runs
    stages = Stages(CONFIG, RULES, CATALOGUE)
    decoder = Decoder(Normaliser(NormaliseConfig(), SALT), refuse)
    flow = build_flow(
        TestingSource(entries, batch_size=2), TestingSink(kept), decoder=decoder, stages=stages, clock=clock
    )
    run_main(flow)  # type: ignore[no-untyped-call]
    books = Deltas()
    insights: list[Insight] = []
    for _, item in kept:
        if isinstance(item, Insight):
            insights.append(item)
        else:
            books.merge(item)
    return books, insights


ENGINES: list[Engine] = [in_process, bytewax]


def entries_of(requests: list[Any], since_ns: int = NOON) -> list[Entry]:
    return [
        Entry(Signal.TRACES, "default", "", since_ns + number * SECOND, request.SerializeToString())
        for number, request in enumerate(requests)
    ]


def books(outcome: Outcome) -> tuple[list[dict[str, Any]], Accounting, Tallies]:
    total = Accounting()
    for accounting in outcome.accounting.values():
        total.add(accounting)
    return (
        usage_rows(outcome.usage.items(), ("tenant", "project", "provider", "model", "operation", "team")),
        total,
        outcome.tallies,
    )


@pytest.mark.parametrize("name", NAMES)
def test_both_engines_keep_the_same_books_of_a_capture(name: str) -> None:
    """Usage, accounting and tallies of real traffic agree to the last field, whichever engine and order."""
    entries = entries_of(trace_requests(name), CAPTURED)
    shuffled = random.Random(7).sample(entries, len(entries))

    first, *others = [books(engine(some)) for engine in ENGINES for some in (entries, shuffled)]

    assert first[1].calls > 0
    assert others == [first] * 3


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_for_explanations_is_every_span_of_genai_traces(name: str) -> None:
    """In any order each span of a trace with a GenAI span reaches the store once, and no span of another trace."""
    entries = entries_of([*trace_requests(name), a_request([a_span(1, {"http.route": "/"}, trace=99)], {})], CAPTURED)
    spans = Decoder(Normaliser(NormaliseConfig(), SALT), refuse).decode(entries).spans
    genai = {facts.trace_id for facts in spans if facts.kind is not Kind.OTHER}
    seen, _ = run_bytewax(random.Random(7).sample(entries, len(entries)))

    kept = sorted(to_kept(facts, 0) for _, facts in seen.seen)
    assert kept == sorted({to_kept(facts, 0) for facts in spans if facts.trace_id in genai})
    assert len(kept) < len(spans)


def misused(calls: int) -> list[Entry]:
    """A team that asks gpt-4o for ten tokens, `calls` times."""
    return entries_of(
        [
            a_request([a_span(n, chat(output_tokens=10), trace=n, end_ns=NOON + n * SECOND)], {"team": "checkout"})
            for n in range(1, calls + 1)
        ]
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("calls", "fires"), [(19, False), (20, True)])
def test_a_rule_fires_at_its_threshold_on_either_engine(engine: Engine, calls: int, fires: bool) -> None:
    """MODEL_MISUSE fires on the twentieth call and not before."""
    outcome = engine(misused(calls))

    fired = [one.scope["team"] for one in outcome.insights if one.rule == "MODEL_MISUSE"]
    assert fired == (["checkout"] if fires else [])


def test_a_finding_has_the_same_id_on_either_engine() -> None:
    """A replay of what ran live yields the same ids."""
    live, replayed = [
        [(one.id, one.status) for one in engine(misused(25)).insights if one.status is Status.FIRING]
        for engine in (bytewax, in_process)
    ]

    assert live
    assert live == replayed


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("calls", "fires"), [(9, False), (10, True)])
def test_a_rule_may_look_beyond_teams_on_either_engine(engine: Engine, calls: int, fires: bool) -> None:
    """Calls of ten teams, in as many shards, meet in one finding about their model; they are counted once."""
    asked = [
        a_request([a_span(n, chat(), trace=n, end_ns=NOON + n * SECOND)], {"team": f"team-{n}"})
        for n in range(1, calls + 1)
    ]
    found = [one for one in engine(entries_of(asked)).insights if one.rule == "ALL_TEAMS"]

    assert [(list(one.scope), one.evidence["observed"]["value"]) for one in found] == [(["model"], 10)] * fires


@pytest.mark.parametrize("engine", ENGINES)
def test_a_team_that_only_roots_name_raises_no_alarm_about_nobody(engine: Engine) -> None:
    """Calls that come before the root which names their team are judged under that team only."""
    calls = [a_span(100 + n, chat(output_tokens=10), trace=n, parent=n, end_ns=NOON) for n in range(1, 26)]
    roots = [a_span(n, {"tokensense.team": "checkout"}, trace=n, end_ns=NOON) for n in range(1, 26)]

    # The empty request puts calls and roots into different batches: only then are the calls ever unattributed.
    outcome = engine(entries_of([a_request([], {}), a_request(calls, {}), a_request(roots, {})]))

    assert [one.scope["team"] for one in outcome.insights if one.rule == "MODEL_MISUSE"] == ["checkout"]


def test_what_reaches_the_books_knows_when_it_was_received() -> None:
    """Four requests, read two at a time: on the books, the oldest reception of each two; nothing of what timers do."""
    spans = [a_span(1, chat(), trace=number, end_ns=NOON) for number in range(1, 5)]
    written, _ = run_bytewax(entries_of([a_request([span], {"service.name": "cart"}) for span in spans]))
    assert sum(usage.calls for usage in written.usage.values()) == 4
    assert written.since == {NOON, NOON + 2 * SECOND}
