"""What is held back, and what becomes of a lane that waits."""

import pytest

from tests.support.calls import NOON, SECOND, an_insight
from tokensense_otel.core.insight import Status
from tokensense_otel.core.mutes import Mute, MuteKind, parse_matcher
from tokensense_otel.exporters.muting.config import MaintenanceConfig
from tokensense_otel.exporters.muting.decide import given_up, hold
from tokensense_otel.store.held import Waiting

F, U, R = Status.FIRING, Status.UPDATE, Status.RESOLVED


def a_mute(name: str, seconds: int, matcher: str = "team=checkout") -> Mute:
    return Mute(
        id=name,
        kind=MuteKind.SILENCE,
        matchers=(parse_matcher(matcher),),
        starts_ns=NOON,
        ends_ns=NOON + seconds * SECOND,
        by="ada",
        reason="migration",
        created_ns=NOON,
    )


ALWAYS = MaintenanceConfig.model_validate({"reason": "backup", "owner": "ops", "match": ["rule=SPIKE"]})


def test_the_mute_that_lasts_longest_holds() -> None:
    """Two silences cover it: the later end counts, and the reason names who, why and until when."""
    found = hold(an_insight(), [a_mute("sil_1", 60), a_mute("sil_2", 90)], {}, NOON)
    assert found is not None
    assert (found.by, found.until_ns) == ("sil_2", NOON + 90 * SECOND)
    assert found.reason == "silence sil_2 by ada until 2026-01-01T12:01:30Z: migration"


def test_a_maintenance_window_holds_what_it_matches() -> None:
    """Until the end of the day, under the name of the window; another rule is told."""
    found = hold(an_insight(), [], {"backup": ALWAYS}, NOON)
    assert found is not None
    assert (found.by, found.until_ns) == ("maintenance.backup", NOON + 12 * 3600 * SECOND)
    assert found.reason == "maintenance window backup of ops until 2026-01-02T00:00:00Z: backup"
    assert hold(an_insight(rule="BUDGET"), [], {"backup": ALWAYS}, NOON) is None


def test_the_end_of_a_finding_is_never_held() -> None:
    """A resolve passes whatever is in force."""
    assert hold(an_insight(R), [a_mute("sil_1", 60)], {"backup": ALWAYS}, NOON) is None


@pytest.mark.parametrize(
    ("lane", "told", "gone"),
    [
        ([F, R], False, [0, 1]),
        ([F, U, U, R], False, [0, 1, 2, 3]),
        ([F, R], True, [0]),
        ([U, R], True, [0]),
        ([U, U, R], True, [0, 1]),
        ([F, U, U, U], False, [1, 2]),
        ([U, U, U], True, [0, 1]),
        ([F, U], False, []),
        ([F], False, []),
        ([U], True, []),
    ],
)
def test_what_came_and_went_unheard_is_not_told(lane: list[Status], told: bool, gone: list[int]) -> None:
    """Never told and over: nothing. Told and over: the end alone. Not over: the firing and the newest update."""
    waiting = [Waiting(number, status) for number, status in enumerate(lane)]
    assert sorted(given_up(waiting, told=told)) == gone
