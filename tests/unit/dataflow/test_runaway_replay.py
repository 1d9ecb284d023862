"""A session that runs away, from OTLP to the finding: tools and calls of one agent, in whatever order and pieces."""

import random

import pytest

from tests.support.road import Road
from tests.support.spans import a_request, an_otlp_span
from tokensense_otel.core.insight import Insight
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.dataflow.normalise import NormaliseConfig
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RulesConfig, RuleSet
from tokensense_otel.dataflow.runner import InProcessRunner
from tokensense_otel.receiver.log.entry import Entry, Signal

SECOND = 1_000_000_000
NOON = 1_767_268_800 * SECOND
CATALOGUE = Catalogue.load()
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 50}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
ROOT = {"gen_ai.operation.name": "invoke_agent", "tokensense.team": "agents", "session.id": "s1"}


def _agent(uses: int, *, same: bool) -> list[bytes]:
    """A request for each span: a root that names whose it is and ends last, and `uses` rounds of a call and a tool."""
    spans = [an_otlp_span(ROOT, number=1, start_ns=NOON, end_ns=NOON + 600 * SECOND, name="invoke_agent")]
    for number in range(uses):
        at = NOON + number * 5 * SECOND
        said = '{"query": "state of the job"}' if same else f'{{"query": "{number}"}}'
        spans.append(an_otlp_span(CHAT, number=100 + number, parent=1, start_ns=at, end_ns=at + SECOND))
        tool = TOOL | {"gen_ai.tool.call.arguments": said}
        spans.append(
            an_otlp_span(tool, number=500 + number, parent=1, start_ns=at + 2 * SECOND, end_ns=at + 3 * SECOND)
        )
    return [a_request(span, scope="somebody").SerializeToString() for span in spans]


def _refuse(entry: Entry) -> None:
    raise AssertionError(entry)


def _replayed(bodies: list[bytes]) -> list[Insight]:
    runner = InProcessRunner(
        DataflowConfig(), rules=RuleSet(RulesConfig()), normalise=NormaliseConfig(), salt=b"salt", catalogue=CATALOGUE,
        quarantine=_refuse,
    )  # fmt: skip
    for body in bodies:
        runner.feed([Entry(Signal.TRACES, "default", "", NOON, body)])
    return [insight for insight in runner.finish().insights if insight.rule == "RUNAWAY_SESSION"]


@pytest.mark.parametrize(("uses", "same", "fires"), [(22, True, True), (19, True, False), (60, False, False)])
def test_one_tool_over_and_over_is_found_in_recorded_spans(uses: int, same: bool, fires: bool) -> None:
    """Team and session come from the root; other arguments each time, or fewer rounds, are a healthy agent."""
    told = _replayed(_agent(uses, same=same))
    assert [insight.scope for insight in told] == ([{"team": "agents", "session": "s1"}] if fires else [])


def test_order_and_repetition_of_spans_do_not_matter() -> None:
    """Shuffled and sent twice, the same spans give the same finding, with the same id."""
    bodies = _agent(25, same=True)
    plain = _replayed(bodies)
    shuffled = bodies * 2
    random.Random(7).shuffle(shuffled)
    assert _replayed(shuffled) == plain
    assert len(plain) == 1


@pytest.mark.parametrize("root_first", [True, False])
def test_the_stages_of_the_dataflow_bring_tools_to_their_calls(root_first: bool) -> None:
    """In the shards of a running dataflow calls and tools of a session meet, though its root comes last."""
    root, *others = _agent(22, same=True)
    road = Road()
    bodies = [root, *others] if root_first else [*others, root]
    road.take(Entry(Signal.TRACES, "default", "", NOON, body) for body in bodies)
    road.crash()
    road.advance(NOON + 5 * SECOND)
    assert road.insights == 1
