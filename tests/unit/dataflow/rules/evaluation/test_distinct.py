"""Different names in a window against a set."""

from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.dataflow.rules.evaluation.distinct import RollingDistinct

SIZE, COUNT = 10, 6
event = st.tuples(st.integers(0, 200), st.sampled_from("abcdefgh"), st.sampled_from([1, 1, 1, -1, None]))


@given(st.lists(event, max_size=60), st.integers(0, 60), st.sampled_from([3, 100]))
def test_it_is_the_size_of_the_set_or_less(events: list[tuple[int, str, int | None]], cut: int, cap: int) -> None:
    """Exact while the cap was not reached, else a lower bound that says so; reversals and crashes change nothing."""
    window = RollingDistinct(SIZE * COUNT, SIZE, cap)
    kept: list[tuple[int, str]] = []
    head: int | None = None
    for number, (time, name, sign) in enumerate(events):
        if number == cut:
            state = window.snapshot()
            window = RollingDistinct(SIZE * COUNT, SIZE, cap)
            window.restore(state)
        if sign is None:
            window.advance(time)
            head = max(head, time // SIZE) if head is not None else None
        elif sign > 0 or (time, name) in kept:
            fits = head is None or time // SIZE > head - COUNT
            assert window.add(time, name, sign) == fits
            if fits:
                head = time // SIZE if head is None else max(head, time // SIZE)
                kept.append((time, name)) if sign > 0 else kept.remove((time, name))
        kept = [each for each in kept if head is None or each[0] // SIZE > head - COUNT]
        true = len({name for _, name in kept})
        assert window.count <= true
        assert window.count == true or not window.exact
        if cap > 8:
            assert window.exact
            assert window.empty == (not kept)


def test_beyond_the_cap_it_is_at_least_so_many() -> None:
    """Names that are followed go on being counted; a new one is not, until there is room again."""
    window = RollingDistinct(SIZE * COUNT, SIZE, 2)
    for name in "aab":
        window.add(0, name)
    assert (window.count, window.exact) == (2, True)
    window.add(15, "c")
    assert (window.count, window.exact) == (2, False)
    window.add(15, "c", -1)
    assert (window.count, window.exact) == (2, True)
    window.advance(60)
    window.add(61, "c")
    assert (window.count, window.exact) == (1, True)


def test_taking_back_what_never_came_changes_nothing() -> None:
    """A reversal without its posting is ignored."""
    window = RollingDistinct(SIZE * COUNT, SIZE)
    window.add(0, "a", -1)

    assert (window.count, window.exact, window.empty) == (0, True, True)
