"""Insights are recorded once each, and an open episode absorbs its twins."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.calls import NOON, an_insight
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.store.database import open_database, writing
from tokensense_otel.store.insights import list_insights, record_insight


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database("sqlite", data_dir=tmp_path)
    yield engine
    engine.dispose()


def record(engine: Engine, *some: Insight) -> list[bool]:
    with writing(engine).begin() as connection:
        return [record_insight(connection, insight, NOON) for insight in some]


def stored(engine: Engine) -> list[tuple[str, Status]]:
    return [(insight.episode_id, insight.status) for _, insight in list_insights(engine)]


def test_the_same_insight_twice_is_recorded_once(engine: Engine) -> None:
    """A replay of a firing that is on record changes nothing."""
    assert record(engine, an_insight(), an_insight()) == [True, False]
    assert stored(engine) == [("ep_1", Status.FIRING)]


def test_a_replayed_life_of_an_episode_is_recorded_once(engine: Engine) -> None:
    """Fire and resolve, repeated whole after a crash, stay two insights."""
    life = [an_insight(), an_insight(Status.RESOLVED)]

    assert record(engine, *life, *life) == [True, True, False, False]


def test_an_open_episode_absorbs_a_firing_under_another_id(engine: Engine) -> None:
    """A crossing that a replay dates to the neighbouring bucket is the same finding."""
    record(engine, an_insight())

    assert record(engine, an_insight(episode="ep_2")) == [False]


def test_the_end_of_a_twin_ends_the_episode_that_was_told(engine: Engine) -> None:
    """A resolve under the twin's id is recorded under the id that people saw fire."""
    record(engine, an_insight(), an_insight(episode="ep_2"))

    assert record(engine, an_insight(Status.RESOLVED, episode="ep_2")) == [True]
    assert stored(engine) == [("ep_1", Status.FIRING), ("ep_1", Status.RESOLVED)]


def test_a_finding_that_comes_back_is_a_new_episode(engine: Engine) -> None:
    """After a resolve, the next firing on the same key is told again."""
    record(engine, an_insight(), an_insight(Status.RESOLVED))

    assert record(engine, an_insight(episode="ep_2")) == [True]


def test_a_resolve_that_nobody_saw_fire_is_not_told(engine: Engine) -> None:
    """An end without a beginning is absorbed."""
    assert record(engine, an_insight(Status.RESOLVED)) == [False]


def test_scopes_and_projects_have_episodes_of_their_own(engine: Engine) -> None:
    """The key of an episode is tenant, project, rule and scope."""
    others = [
        an_insight(episode="ep_2", scope={"team": "search"}),
        an_insight(episode="ep_3", project="proj_abc"),
        an_insight(episode="ep_4", tenant="acme"),
        an_insight(episode="ep_5", rule="LONG_PROMPTS"),
    ]

    assert record(engine, an_insight(), *others) == [True] * 5
    assert len(list_insights(engine, project="proj_abc")) == 1
    assert len(list_insights(engine, rule="SPIKE", tenant="default")) == 3
