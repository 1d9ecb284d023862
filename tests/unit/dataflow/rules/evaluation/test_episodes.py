"""The life cycle of a finding, step by step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.core.insight import Status
from tokensense_otel.dataflow.rules.evaluation.episodes import Episode, Transition, step

KEY = ("default", "default", "SPIKE", "checkout")


def move(episode: Episode, size: int | None, time: int, *, hold: int = 0) -> Transition | None:
    """Buckets of 100, resolved after 50."""
    return step(episode, size, time, key=KEY, bucket_ns=100, resolve_after_ns=50, for_ns=hold)


def told(episode: Episode, size: int | None, time: int) -> Transition:
    transition = move(episode, size, time)
    assert transition is not None
    return transition


def test_a_true_condition_fires_once() -> None:
    """The crossing is told, its continuation is not."""
    episode = Episode()

    assert told(episode, 10, 120).status is Status.FIRING
    assert move(episode, 11, 130) is None
    assert episode.firing


def test_an_id_is_made_of_the_key_and_the_bucket_of_the_crossing() -> None:
    """Two crossings in one bucket have one id, in two buckets two, and another key has another id."""
    ids = [told(Episode(), 10, time).episode_id for time in (100, 199, 200)]
    other = step(Episode(), 10, 100, key=("default", "x"), bucket_ns=100, resolve_after_ns=50)

    assert ids[0] == ids[1] != ids[2]
    assert other is not None
    assert other.episode_id != ids[0]


@pytest.mark.parametrize(("size", "status"), [(19, None), (20, Status.UPDATE)])
def test_an_update_is_told_when_the_finding_has_doubled(size: int, status: Status | None) -> None:
    """Twice what was last told is worth another word."""
    episode = Episode()
    told(episode, 10, 100)

    transition = move(episode, size, 110)
    assert (transition and transition.status) == status


def test_each_update_has_its_own_id_and_its_own_base() -> None:
    """From 10 to 20 to 40: every doubling counts from the last one told."""
    episode = Episode()
    first = told(episode, 10, 100)
    second = told(episode, 20, 110)
    assert move(episode, 39, 115) is None
    third = told(episode, 40, 120)

    assert len({first.id, second.id, third.id}) == 3
    assert {second.episode_id, third.episode_id} == {first.episode_id}


@pytest.mark.parametrize(("time", "status"), [(199, None), (200, Status.RESOLVED)])
def test_it_resolves_when_the_condition_was_false_for_a_while(time: int, status: Status | None) -> None:
    """False since 150, resolved 50 later and not before."""
    episode = Episode()
    told(episode, 10, 100)
    assert move(episode, None, 150) is None

    transition = move(episode, None, time)
    assert (transition and transition.status) == status
    assert (transition and transition.resolved_ns) == (200 if status else None)


def test_resolving_late_says_when_it_was_over() -> None:
    """The time of resolution is that of the promise, not of the timer that found it."""
    episode = Episode()
    told(episode, 10, 100)
    move(episode, None, 150)

    assert told(episode, None, 9_000).resolved_ns == 200


def test_a_flicker_does_not_resolve() -> None:
    """True again in between starts the wait anew."""
    episode = Episode()
    told(episode, 10, 100)
    move(episode, None, 150)
    move(episode, 10, 190)

    assert move(episode, None, 210) is None
    assert move(episode, None, 259) is None
    assert told(episode, None, 260).status is Status.RESOLVED


@pytest.mark.parametrize("again", [210, 1_000])
def test_firing_again_is_another_episode(again: int) -> None:
    """After a resolution the next crossing has a new id, in the same bucket too."""
    episode = Episode()
    first = told(episode, 10, 201)
    move(episode, None, 202)
    assert step(episode, None, 203, key=KEY, bucket_ns=100, resolve_after_ns=0) is not None
    second = told(episode, 10, again)

    assert second.status is Status.FIRING
    assert second.episode_id != first.episode_id


def test_a_condition_may_have_to_hold() -> None:
    """With a hold of 30 the finding is pending, fires at 30, and is forgotten if the condition breaks before."""
    episode = Episode()
    assert move(episode, 10, 100, hold=30) is None
    assert (episode.pending, episode.deadline(50, 30)) == (True, 130)
    assert move(episode, None, 110, hold=30) is None
    assert not episode.active

    assert move(episode, 10, 120, hold=30) is None
    fired = move(episode, 10, 150, hold=30)
    assert fired is not None
    assert (fired.status, fired.started_ns) == (Status.FIRING, 120)


@given(st.lists(st.tuples(st.none() | st.integers(1, 100), st.integers(0, 80)), max_size=50))
def test_a_story_is_always_well_formed(steps: list[tuple[int | None, int]]) -> None:
    """Whatever happens: firing, then updates, then resolved, with ids that are never used twice."""
    episode, time = Episode(), 0
    ids: list[str] = []
    episodes: list[str] = []
    open_id = ""
    for size, later in steps:
        time += later
        transition = move(episode, size, time)
        if transition is None:
            continue
        ids.append(transition.id)
        if transition.status is Status.FIRING:
            assert not open_id
            open_id = transition.episode_id
            episodes.append(open_id)
        else:
            assert transition.episode_id == open_id
            open_id = "" if transition.status is Status.RESOLVED else open_id
    assert len(set(ids)) == len(ids)
    assert len(set(episodes)) == len(episodes)
