"""What emitters say that a call cost: which attribute, in which form, and what is no cost."""

from typing import Any

import pytest

from tests.support.calls import NOON
from tests.support.traffic import a_request, a_span, chat
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.normalise.cost import reported_cost

CENT = 10_000_000


def read(attributes: dict[str, Any]) -> int | None:
    """The reported cost of a chat call with these attributes besides."""
    request = a_request([a_span(1, chat() | attributes, trace=1)], {})
    (facts,), _ = Normaliser(NormaliseConfig(), b"salt").spans(request, tenant="t", project="", received_ns=NOON)
    assert facts.call is not None
    return facts.call.reported_cost


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.usage.cost": 0.01},
        {"operation.cost": "0.01"},
        {"gen_ai.cost.total_cost": 1e-2},
        {"llm.cost.total": 0.01, "llm.cost.completion_details.output": 512},
        {"mlflow.llm.cost": '{"input_cost": 0.004, "output_cost": 0.006, "total_cost": 0.01}'},
        {
            "langfuse.observation.cost_details": '{"input": 0.004, "output": 0.006, "total": 0.01}',
            "gen_ai.usage.cost": 3,
        },
    ],
    ids=lambda attributes: next(iter(attributes)),
)
def test_each_emitter_s_own_cost_is_read(attributes: dict[str, Any]) -> None:
    """One cent under each name that is known, in its form; Langfuse's before others, and never a detail."""
    assert read(attributes) == CENT


def test_without_one_nothing_is_made_up() -> None:
    """A call of which nobody says the cost has none reported."""
    assert read({"llm.cost.completion_details.output": 512, "gen_ai.usage.raw": "0.01"}) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (100_000, 100_000 * 10**9),
        (100_000.01, None),
        (1e-9, 1),
        (4e-10, None),
        (0, None),
        (-0.01, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        ("cheap", None),
        ("", None),
        ("{", None),
        ('{"input": 1}', None),
        ('{"total": "x"}', None),
        ('{"total": {"total": 1}}', None),
        ([0.01], None),
    ],
)
def test_what_is_no_cost_is_none(value: Any, expected: int | None) -> None:
    """More than 100,000 USD, less than a nano-dollar, zero, and whatever is no number are not taken."""
    assert reported_cost(value) == expected
