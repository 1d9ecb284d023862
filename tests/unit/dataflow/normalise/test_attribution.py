"""Dimensions from ordered lists of keys."""

from typing import Any

import pytest

from tokensense_otel.core.call import Dimensions
from tokensense_otel.dataflow.normalise import AttributionConfig
from tokensense_otel.dataflow.normalise.attribution import NOBODY, Attribution

DEFAULT = Attribution(AttributionConfig())


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"team": "b", "tokensense.team": "a"}, Dimensions(team="a")),
        ({"tokensense.team": "", "team": "b"}, Dimensions(team="b")),
        ({"metadata.user_api_key_team_alias": "payments", "llm.user": "u1"}, Dimensions(team="payments", user="u1")),
        (
            {"traceloop.association.properties.team": "payments", "traceloop.workflow.name": "triage"},
            Dimensions(team="payments", feature="triage"),
        ),
        ({"gen_ai.agent.name": "triage"}, Dimensions(feature="triage", agent="triage")),
        ({"tokensense.feature": "search", "gen_ai.agent.name": "triage"}, Dimensions(feature="search", agent="triage")),
        (
            {"deployment.environment": "old", "deployment.environment.name": "prod", "service.name": "cart"},
            Dimensions(environment="prod", service="cart"),
        ),
        ({"gen_ai.conversation.id": "c", "session.id": "s", "user.id": 7}, Dimensions(session="c", user="7")),
        ({"metadata": '{"team": "search", "other": 1}'}, Dimensions(team="search")),
        ({"metadata": {"team": "search"}}, Dimensions(team="search")),
        ({"metadata": '{"team": broken'}, NOBODY),
        ({"ai.settings.context": {"team": "search"}}, Dimensions(team="search")),
        ({"langfuse.trace.tags": ["x", "team:search", "Feature: triage"]}, Dimensions(team="search", feature="triage")),
        ({"langsmith.span.tags": "a,team:search"}, Dimensions(team="search")),
        ({"tag.tags": ["team:search"], "team": "own"}, Dimensions(team="own")),
        ({"team": ["a"], "user.id": True}, NOBODY),
        ({"http.route": "/"}, NOBODY),
        ({"team": "x" * 300}, Dimensions(team="x" * 256)),
    ],
)
def test_the_first_key_with_a_value_names_a_dimension(attributes: dict[str, Any], expected: Dimensions) -> None:
    """Our own key before the plain one before the dialects', an empty value is none, and objects and tags are read."""
    assert DEFAULT.read(attributes) == expected


def test_attributes_that_name_nothing_cost_nothing() -> None:
    """The same empty object is given, so that most spans take no room."""
    assert DEFAULT.read({"http.route": "/"}) is NOBODY


def test_a_configured_list_replaces_the_default_one() -> None:
    """Only the keys that the user listed count, in the user's order; one key may name two dimensions."""
    attribution = Attribution(AttributionConfig(team=("squad", "team"), feature=("squad",)))
    assert attribution.read({"squad": "s", "team": "t", "tokensense.team": "x"}) == Dimensions(team="s", feature="s")
