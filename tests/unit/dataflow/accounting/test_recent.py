"""Remembered ids: found within the window, forgotten after it, eight bytes each."""

from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.dataflow.accounting.recent import RecentIds, recent_key

HOUR = 3_600_000_000_000


def test_an_id_is_found_until_its_window_ends() -> None:
    """Young or sealed, an id is known for the whole window, and some generations later it is gone."""
    recent = RecentIds(HOUR, 1000)
    recent.add(7, 0)
    assert 7 in recent
    assert 8 not in recent
    for minute in range(0, 60, 5):
        recent.expire(minute * 60_000_000_000)
        assert 7 in recent
    recent.expire(2 * HOUR)
    assert 7 not in recent
    assert len(recent) == 0


def test_the_oldest_ids_make_room() -> None:
    """Above its capacity the oldest generation goes, never a young id."""
    recent = RecentIds(HOUR, 80)
    for key in range(1000):
        recent.add(key, 0)
        assert key in recent
        assert len(recent) <= 80
    assert 0 not in recent
    assert 950 in recent


@given(keys=st.sets(st.integers(0, 2**64 - 1), max_size=60), others=st.sets(st.integers(0, 2**64 - 1), max_size=20))
def test_state_survives_a_restart_in_either_byte_order(keys: set[int], others: set[int]) -> None:
    """What was remembered is remembered after loading, also on a machine of the other byte order."""
    recent, same, swapped = RecentIds(HOUR, 80), RecentIds(HOUR, 80), RecentIds(HOUR, 80)
    for key in keys:
        recent.add(key, 5)
    state = recent.state()
    same.load(state)
    state.little = not state.little
    state.young = _reversed(state.young)
    state.sealed = [(at, _reversed(ids)) for at, ids in state.sealed]
    swapped.load(state)
    for key in keys | others:
        assert (key in same) == (key in swapped) == (key in recent) == (key in keys)


def _reversed(ids: bytes) -> bytes:
    """Each 8 bytes in the other order."""
    return b"".join(ids[at : at + 8][::-1] for at in range(0, len(ids), 8))


def test_keys_depend_on_every_part_and_nothing_else() -> None:
    """An id is the same in every process; another trace, span or purpose gives another."""
    assert recent_key(b"trace", b"span") == recent_key(b"trace", b"span")
    assert recent_key(b"") == int.from_bytes(bytes.fromhex("e4a6a0577479b2b4"), "little")
    assert len({recent_key(b"trace", b"span"), recent_key(b"trace"), recent_key(b"trace", b"calls")}) == 3
