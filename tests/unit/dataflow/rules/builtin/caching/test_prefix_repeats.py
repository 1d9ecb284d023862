"""How often prompts began alike, worked out by hand and against a count over all of them."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataflow.rules.traffic import MINUTE, NOON
from tokensense_otel.dataflow.rules.builtin.caching.prefix_repeats import CAP, LATE, MOST, RollingRepeats

Sent = tuple[int, str, str]


def an_hour() -> RollingRepeats:
    return RollingRepeats(60 * MINUTE, 5 * MINUTE)


def test_the_first_of_each_five_minutes_repeats_nothing() -> None:
    """Three different prompts with one beginning are two repeats; the next five minutes begin anew."""
    ring = an_hour()
    for number, minute in enumerate((0, 2, 4, 5, 9)):
        ring.add(NOON + minute * MINUTE, "begin", f"p{number}")

    assert ring.repeats == 2 + 1


def test_one_prompt_sent_again_is_no_repeat_of_a_beginning() -> None:
    """Equal prompts are for a cache of answers: they count once, however often they come."""
    ring = an_hour()
    for _ in range(10):
        ring.add(NOON, "begin", "same")
    assert ring.repeats == 0

    ring.add(NOON, "begin", "other")
    assert ring.repeats == 1


def test_prompts_of_which_only_the_beginning_is_known_count_each() -> None:
    """Without a hash of the whole prompt nobody can tell that it is the same one."""
    ring = an_hour()
    for _ in range(10):
        ring.add(NOON, "begin", "")
    assert ring.repeats == 9


def test_what_is_not_followed_is_not_counted() -> None:
    """Beyond the cap of a bucket new prompts are left out: the count is at most too low."""
    ring = an_hour()
    for number in range(CAP + 50):
        ring.add(NOON, "begin", f"p{number}")
    assert ring.repeats == CAP - 1

    ring.add(NOON, "begin", "p5", -1)
    assert ring.repeats == CAP - 2


def test_the_oldest_bucket_is_forgotten_beyond_the_bound() -> None:
    """However many prompts come, no more than the bound are kept, and the count stays a lower bound."""
    ring = RollingRepeats(30 * 60 * MINUTE, 5 * MINUTE)
    for number in range(CAP * 300):
        ring.add(NOON + number // CAP * 5 * MINUTE, "begin", f"p{number}")
    kept = sum(len(prompts) for _, prompts in ring.snapshot()[1])
    assert MOST - CAP < kept <= MOST
    assert ring.repeats == kept - kept // CAP


def test_buckets_without_a_repeat_are_forgotten_after_an_hour() -> None:
    """A prompt every five minutes costs an hour's worth of memory, not a day's; those that repeat stay for a day."""
    ring = RollingRepeats(24 * 60 * MINUTE, 5 * MINUTE)
    for number in range(2):
        ring.add(NOON, "begin", f"p{number}")
    for number in range(1, 200):
        ring.add(NOON + number * 5 * MINUTE, "begin", f"q{number}")

    assert len(ring.snapshot()[1]) == 1 + LATE
    assert ring.repeats == 1
    ring.advance(NOON + 24 * 60 * MINUTE)
    assert ring.repeats == 0


sent = st.lists(
    st.tuples(st.integers(0, 80 * MINUTE), st.sampled_from(["a", "b"]), st.sampled_from(["", "x", "y", "z"])),
    max_size=40,
)


def oracle(calls: list[Sent]) -> int:
    """Repeats of the last twelve buckets, counted over all calls."""
    if not calls:
        return 0
    head = max(time for time, _, _ in calls) // (5 * MINUTE)
    kept = Counter((time // (5 * MINUTE), prefix, prompt) for time, prefix, prompt in calls)
    variants: Counter[tuple[int, str]] = Counter()
    for (bucket, prefix, prompt), times in kept.items():
        if bucket > head - 12:
            variants[bucket, prefix] += 1 if prompt else times
    return sum(count - 1 for count in variants.values())


@settings(max_examples=150, deadline=None)
@given(sent, sent, st.data())
def test_it_equals_a_count_over_all_calls(kept: list[Sent], wrong: list[Sent], data: st.DataObject) -> None:
    """In any order, with reversals, and stored and restored anywhere, what is left is what stayed."""
    newest = max((time for time, _, _ in kept), default=0)
    wrong = [call for call in wrong if call[0] <= newest]
    lines = [(1, call) for call in kept] + [(1, call) for call in wrong]
    ring = an_hour()
    for sign, (time, prefix, prompt) in [*data.draw(st.permutations(lines)), *((-1, call) for call in wrong)]:
        ring.add(NOON + time, prefix, prompt, sign)
        if data.draw(st.booleans()):
            state, ring = ring.snapshot(), an_hour()
            ring.restore(state)

    ring.advance(NOON + newest)
    assert ring.repeats == oracle(kept)
