"""The life cycle of a finding, step by step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.core.insight import Status
from tokensense_otel.dataflow.rules.evaluation.episodes import (
    FLAP_BUCKETS,
    FLAP_NS,
    Episode,
    Transition,
    step,
)

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


def flap(episode: Episode, *times: int) -> list[Transition]:
    """Fire at each of the times and be false from the next moment on, for long enough to be resolved."""
    transitions = []
    for time in times:
        transitions.append(told(episode, 10, time))
        assert move(episode, None, time + 1) is None
        over = move(episode, None, time + 51)
        transitions += [over] if over else []
    return transitions


def test_what_comes_and_goes_is_told_once_as_flapping() -> None:
    """Buckets of 100, so twenty of them are 2,000: the third crossing within them is told, then there is quiet."""
    episode = Episode()
    first, over, again = flap(episode, 100, 2_100)

    assert [each.status for each in (first, over, again)] == [Status.FIRING, Status.RESOLVED, Status.FIRING]
    assert [each.flapping_ns for each in (first, over, again)] == [0, 0, 2_000]
    # It comes and goes on, and nobody is told.
    assert [move(episode, size, time) for size, time in ((10, 2_500), (None, 2_600), (10, 4_500))] == [None] * 3
    assert move(episode, None, 4_600) is None
    assert episode.deadline(50, 0) == 6_600
    assert move(episode, None, 6_599) is None
    calm = told(episode, None, 6_600)
    assert (calm.status, calm.resolved_ns, calm.flapping_ns) == (Status.RESOLVED, 6_600, 2_000)


def test_what_comes_seldom_does_not_flap() -> None:
    """A crossing more than twenty buckets ago does not count."""
    transitions = flap(Episode(), 100, 2_101, 4_300)

    assert [each.status for each in transitions] == [Status.FIRING, Status.RESOLVED] * 3
    assert not any(each.flapping_ns for each in transitions)


def test_flapping_again_is_told_again() -> None:
    """After the calm the count begins with the calm's end."""
    episode = Episode()
    flap(episode, 100, 200)
    told(episode, None, 2_201)

    # Resolved at 151 and 2,201, fired at 100 and 200: of those, only three are kept, and two are within 2,000 of 2,300.
    assert told(episode, 10, 2_300).flapping_ns == 0
    assert episode.crossings == [2_201, 2_300]


def test_long_buckets_do_not_flap_for_weeks() -> None:
    """Of days, twenty would be too many: six hours count."""
    day = 86_400_000_000_000
    episode = Episode()
    told_at = []
    for number in range(3):
        fired = step(episode, 10, number * day, key=KEY, bucket_ns=day, resolve_after_ns=50)
        step(episode, None, number * day + 60, key=KEY, bucket_ns=day, resolve_after_ns=50)
        step(episode, None, number * day + 200, key=KEY, bucket_ns=day, resolve_after_ns=50)
        assert fired is not None
        told_at.append(fired.flapping_ns)

    assert told_at == [0, 0, 0]
    assert min(FLAP_BUCKETS * day, FLAP_NS) == FLAP_NS


@pytest.mark.parametrize(("factor", "size", "status"), [(1.5, 14, None), (1.5, 15, Status.UPDATE), (3.0, 29, None)])
def test_the_step_of_an_update_can_be_set(factor: float, size: int, status: Status | None) -> None:
    """An update is told from that factor on, and not before."""
    episode = Episode()
    told(episode, 10, 100)

    transition = step(episode, size, 110, key=KEY, bucket_ns=100, resolve_after_ns=50, update_factor=factor)
    assert (transition and transition.status) == status


class Reference:
    """The life of a finding in the fewest words: (pending since, open, told size, false since, crossings, quiet)."""

    def __init__(self, hold: int, *, resolve_after: int = 50, flap: int = 2_000) -> None:
        self.hold = hold
        self.resolve_after = resolve_after
        self.flap = flap
        self.since: int | None = None
        self.open = False
        self.told = 0
        self.false: int | None = None
        self.crossings: list[int] = []
        self.quiet = 0

    def move(self, size: int | None, time: int) -> Status | None:
        if size is not None:
            self.false = None
            if self.open:
                if size < 2 * self.told:
                    return None
                self.told = size
                return Status.UPDATE
            self.since = time if self.since is None else self.since
            if time - self.since < self.hold:
                return None
            self.crossings = [*(each for each in self.crossings if self.since - each <= self.flap), self.since]
            self.quiet = self.flap if len(self.crossings) >= 3 else self.resolve_after
            self.open, self.told, self.since = True, size, None
            return Status.FIRING
        self.since = None
        if not self.open:
            return None
        self.false = time if self.false is None else self.false
        if time - self.false < self.quiet:
            return None
        self.crossings = [*self.crossings, self.false + self.quiet][-3:]
        self.open, self.false = False, None
        return Status.RESOLVED


@given(
    st.lists(st.tuples(st.none() | st.integers(1, 100), st.integers(0, 300)), max_size=80),
    st.sampled_from([0, 30]),
)
def test_a_story_is_that_of_the_reference(steps: list[tuple[int | None, int]], hold: int) -> None:
    """Whatever happens, what is told is what the reference tells."""
    episode, reference, time = Episode(), Reference(hold), 0
    for size, later in steps:
        time += later
        transition = move(episode, size, time, hold=hold)
        assert (transition and transition.status) == reference.move(size, time)
