"""Matchers say which insights a silence is about."""

import re

import pytest

from tests.support.calls import NOON, an_insight
from tokensense_otel.core.insight import Severity
from tokensense_otel.core.mutes import Mute, MuteKind, parse_matcher


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("team=checkout", True),
        ("team=check", False),
        ("team!=search", True),
        ("team!=checkout", False),
        ("team=~check.*", True),
        ("team=~check", False),
        ("team!~check", True),
        ('team = "checkout"', True),
        ("rule=SPIKE", True),
        ("rule=~SPIKE|BUDGET", True),
        ("severity=low", True),
        ("severity=high", False),
        ("tenant=default", True),
        ("project!=default", False),
        ("episode=ep_1", True),
        ("model=", True),
        ("model=gpt-4o", False),
        ("model!=gpt-4o", True),
    ],
)
def test_a_matcher_compares_the_whole_value(text: str, holds: bool) -> None:
    """`=`, `!=`, `=~` and `!~` as Alertmanager has them; what an insight lacks is empty."""
    assert parse_matcher(text).holds(an_insight()) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("team", "'team' is no matcher; write name=value"),
        ("=x", "'=x' is no matcher"),
        ("team==x", None),
        ("team=~(", "'(' is no regular expression"),
        ("team=" + 501 * "x", "longer than 500 characters"),
    ],
)
def test_a_wrong_matcher_says_what_to_write(text: str, said: str | None) -> None:
    """What is no matcher is refused with a reason; `==` is the value `=x`, not an error."""
    if said is None:
        assert parse_matcher(text).value == "=x"
        return
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_matcher(text)


@pytest.mark.parametrize(("now_ns", "covers"), [(NOON - 1, False), (NOON, True), (NOON + 9, True), (NOON + 10, False)])
def test_a_mute_covers_from_its_start_until_before_its_end(now_ns: int, covers: bool) -> None:
    """[from, to)."""
    assert _mute("team=checkout").covers(an_insight(), now_ns) is covers


def test_all_matchers_have_to_hold() -> None:
    """One that does not hold is enough to let an insight through."""
    assert not _mute("team=checkout", "severity=high").covers(an_insight(), NOON)
    assert _mute("team=checkout", "severity=high").covers(an_insight(severity=Severity.HIGH), NOON)


def _mute(*matchers: str) -> Mute:
    return Mute(
        id="sil_1",
        kind=MuteKind.SILENCE,
        matchers=tuple(map(parse_matcher, matchers)),
        starts_ns=NOON,
        ends_ns=NOON + 10,
        by="ada",
        reason="migration",
        created_ns=NOON,
    )
