"""Maintenance windows follow the local time of their zone, also where the clock changes."""

from datetime import datetime

import pytest
from pydantic import ValidationError

from tokensense_otel.exporters.muting.config import MaintenanceConfig
from tokensense_otel.exporters.selection.calendar import open_until


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def window(**keys: object) -> MaintenanceConfig:
    return MaintenanceConfig.model_validate({"reason": "backup", **keys})


NIGHT = window(start="22:00", end="02:00", days=["fri"], timezone="Europe/Zurich")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-01-09T21:59:59+01:00", None),  # Friday
        ("2026-01-09T22:00:00+01:00", "2026-01-10T02:00:00+01:00"),
        ("2026-01-10T01:59:59+01:00", "2026-01-10T02:00:00+01:00"),
        ("2026-01-10T02:00:00+01:00", None),
        ("2026-01-10T23:00:00+01:00", None),  # Saturday
        ("2026-01-08T23:00:00+01:00", None),  # Thursday
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(now: str, until: str | None) -> None:
    """Friday 22:00 to 02:00 ends on Saturday, and is not open on Thursday or Saturday night."""
    assert open_until(NIGHT, at(now)) == (None if until is None else at(until))


def test_a_whole_day_ends_with_the_day() -> None:
    """Without times a window is open all day, to local midnight."""
    day = window(days=["sat"], timezone="Asia/Kolkata")
    assert open_until(day, at("2026-01-10T00:00:00+05:30")) == at("2026-01-11T00:00:00+05:30")
    assert open_until(day, at("2026-01-09T23:59:59+05:30")) is None


def test_a_night_in_which_the_clock_is_put_forward_is_an_hour_shorter() -> None:
    """Zurich, 29 March 2026: 01:00 (+01:00) to 04:00 (+02:00) are two hours, open to the last."""
    early = window(start="01:00", end="04:00", timezone="Europe/Zurich")
    assert open_until(early, at("2026-03-29T01:00:00+01:00")) == at("2026-03-29T04:00:00+02:00")
    assert open_until(early, at("2026-03-29T04:00:00+02:00")) is None


def test_an_hour_that_comes_twice_is_open_both_times() -> None:
    """Zurich, 25 October 2026: 02:30 to 02:45 begins the first time and ends the second."""
    twice = window(start="02:30", end="02:45", timezone="Europe/Zurich")
    assert open_until(twice, at("2026-10-25T02:30:00+02:00")) == at("2026-10-25T02:45:00+01:00")
    assert open_until(twice, at("2026-10-25T02:44:59+01:00")) == at("2026-10-25T02:45:00+01:00")
    assert open_until(twice, at("2026-10-25T02:45:00+01:00")) is None


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"start": "9:00"}, "'9:00' is no time of day"),
        ({"start": "24:00"}, 'a day begins at "00:00"'),
        ({"end": "25:00"}, "'25:00' is no time of day"),
        ({"timezone": "Zurich"}, "'Zurich' is no time zone"),
        ({"days": []}, "at least 1 item"),
        ({"days": ["someday"]}, "'mon'"),
        ({"match": ["team"]}, "'team' is no matcher"),
        ({"reason": ""}, "at least 1 character"),
    ],
)
def test_a_wrong_window_says_what_to_write(keys: dict[str, object], said: str) -> None:
    """Times, zones, days, matchers and the reason are checked before anything starts."""
    with pytest.raises(ValidationError) as caught:
        window(**keys)
    assert said in str(caught.value)
