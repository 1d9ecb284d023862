"""Order: a model of PagerDuty that drops, keeps or loses answers is never left with an open incident."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.exporters.test_policy import a_delivery
from tokensense_otel.exporters.delivery.lane import Lanes
from tokensense_otel.store.outbox import Delivery


def deliveries(*lanes: str) -> list[Delivery]:
    """One for each lane named, in this order."""
    return [
        msgspec.structs.replace(a_delivery(), id=number, episode_id=lane, insight_id=f"in_{number}")
        for number, lane in enumerate(lanes)
    ]


def test_one_at_a_time_for_each_episode() -> None:
    """The second message of an episode is passed over while the first is under way; other episodes go on."""
    lanes = Lanes()
    first, second, other = deliveries("a", "a", "b")
    assert lanes.take([first, second, other], 8) == [first, other]
    assert lanes.take([first, second, other], 8) == []
    lanes.release(first)
    assert lanes.take([second, other], 8) == [second]


def test_no_more_than_the_slots() -> None:
    """The oldest are taken, up to as many as may start."""
    lanes = Lanes()
    due = deliveries("a", "b", "c")
    assert lanes.take(due, 2) == due[:2]
    assert len(lanes) == 2
    assert lanes.take(due, 0) == []


def test_only_what_is_under_way_can_be_released() -> None:
    """Releasing another delivery of the lane is a programmer's error."""
    lanes = Lanes()
    first, second = deliveries("a", "a")
    lanes.take([first], 1)
    with pytest.raises(ValueError, match="not under way"):
        lanes.release(second)


class PagerDuty:
    """Joins a trigger to the open alert, drops a resolve without one, opens anew after a resolve."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.pages = 0

    def take(self, episode: str, action: str) -> None:
        if action == "resolve":
            self.open.discard(episode)
        elif episode not in self.open:
            self.open.add(episode)
            self.pages += 1


@given(seed=st.integers(0, 2**32), episodes=st.integers(1, 5), slots=st.integers(1, 4))
def test_no_incident_stays_open_and_none_pages_twice(seed: int, episodes: int, slots: int) -> None:
    """Half of the sends fail, half of those after they took effect, in any order of outcomes: 0 open, 1 page each."""
    chance = random.Random(seed)
    pager, lanes = PagerDuty(), Lanes()
    waiting = deliveries(*[f"ep_{number}" for number in range(episodes) for _ in range(3)])
    chance.shuffle(waiting)
    actions: dict[str, list[str]] = {}
    story: dict[int, str] = {}
    for delivery in waiting:  # the first of a lane triggers, the second updates, the third resolves
        told = actions.setdefault(delivery.episode_id, [])
        told.append(["trigger", "trigger", "resolve"][len(told)])
        story[delivery.id] = told[-1]
    under_way: list[Delivery] = []
    while waiting:
        heads = list({delivery.episode_id: delivery for delivery in reversed(waiting)}.values())
        under_way += lanes.take(heads, slots - len(under_way))
        delivery = under_way.pop(chance.randrange(len(under_way)))
        outcome = chance.choices(["ok", "lost before", "lost after"], [2, 1, 1])[0]
        if outcome != "lost before":
            pager.take(delivery.episode_id, story[delivery.id])
        if outcome == "ok":
            waiting.remove(delivery)
        lanes.release(delivery)
    assert pager.open == set()
    assert pager.pages == episodes
    assert len(lanes) == 0
