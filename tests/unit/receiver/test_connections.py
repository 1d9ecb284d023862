"""Who stays when there are too many connections."""

from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.receiver.connections import Connections


class Line:
    def __init__(self) -> None:
        self.up = True

    def hang_up(self) -> None:
        self.up = False


def test_the_one_that_was_idle_the_longest_goes() -> None:
    """A connection that had a request since counts as idle from its end, and one at work never goes."""
    crowd = Connections(3)
    first, second, third, fourth, fifth, sixth = (Line() for _ in range(6))
    for line in (first, second, third):
        assert crowd.enter(line)
    crowd.begin(first)
    crowd.begin(second)
    crowd.end(first)

    assert crowd.enter(fourth)
    assert [line.up for line in (first, second, third)] == [True, True, False]
    assert crowd.enter(fifth)
    assert [line.up for line in (first, second)] == [False, True]
    for line in (fourth, fifth):
        crowd.begin(line)
    assert not crowd.enter(sixth)
    assert all(line.up for line in (second, fourth, fifth))


def test_who_left_makes_room() -> None:
    """Leaving is safe to say twice, of one at work, and of one that was never let in."""
    crowd = Connections(1)
    busy, refused, next_ = Line(), Line(), Line()
    assert crowd.enter(busy)
    crowd.begin(busy)
    assert not crowd.enter(refused)
    crowd.leave(refused)
    crowd.leave(busy)
    crowd.leave(busy)
    assert len(crowd) == 0
    assert crowd.enter(next_)
    assert busy.up


@given(st.lists(st.tuples(st.sampled_from(["enter", "begin", "end", "leave"]), st.integers(0, 7)), max_size=100))
def test_there_are_never_more_than_allowed(steps: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order, the count holds, and what was hung up on is forgotten."""
    crowd, lines = Connections(3), [Line() for _ in range(8)]
    entered: set[int] = set()
    for step, number in steps:
        if step == "enter":
            if number in entered or not lines[number].up:
                continue
            if crowd.enter(lines[number]):
                entered.add(number)
        else:
            getattr(crowd, step)(lines[number])
        if step == "leave":
            entered.discard(number)
        entered = {number for number in entered if lines[number].up}
        assert len(crowd) == len(entered) <= 3
