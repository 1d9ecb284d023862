"""Where one signal tells of every call, it is enough, however it is cut up on its way."""

import random

import pytest

from tests.support.calls import SECOND
from tests.support.road import Road
from tests.support.truth import ALONE, FIELDS, calls_of, differences, sums
from tests.support.wire import ARRANGEMENTS, as_of, recorded
from tokensense_otel.receiver.log.entry import Entry, Signal

RECEIVED = 1_795_564_800_000_000_000
"""2026-11-25T00:00:00Z."""


def accounted(folder: str, signal: str, arrangement: str, seed: int) -> Road:
    alone = [sent for sent in as_of(recorded(folder), RECEIVED) if sent.signal == signal]
    road = Road()
    for number, (_, request) in enumerate(ARRANGEMENTS[arrangement](alone, random.Random(seed))):
        now_ns = RECEIVED + number * SECOND // 100
        road.take([Entry(Signal(signal), "default", "", now_ns, request.SerializeToString())])
    return road


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize(("folder", "signal"), ALONE)
def test_one_signal_is_enough(folder: str, signal: str, arrangement: str, seed: int) -> None:
    """Records alone, or metrics alone, whole or in pieces, in any order, with everything twice: what they can tell."""
    road = accounted(folder, signal, arrangement, seed)
    assert differences(folder, sums(folder, road.rows()), ALONE[folder, signal]) == []
    total = road.total()
    assert (total.calls, total.spans) == (calls_of(folder), 0)


@pytest.mark.parametrize(
    "arrangement",
    [
        "whole",
        "twice",
        pytest.param(
            "one_by_one",
            marks=pytest.mark.xfail(
                reason="a Rust SDK gives each metric of one collection a time of its own; only those that come in one "
                "request are put together, so a request taken apart on its way counts each metric as an interval"
            ),
        ),
    ],
)
def test_metrics_with_times_of_their_own_are_enough(arrangement: str) -> None:
    """Copilot's metrics of one collection differ by microseconds and are still one interval."""
    road = accounted("copilot_cli", "metrics", arrangement, 0)
    assert differences("copilot_cli", sums("copilot_cli", road.rows()), tuple(FIELDS)) == []
