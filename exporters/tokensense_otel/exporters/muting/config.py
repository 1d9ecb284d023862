"""Configuration of maintenance windows."""

import re
from datetime import time
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from tokensense_otel.core.config import Config
from tokensense_otel.core.mutes import parse_matcher

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


def _a_time(text: str) -> str:
    if _TIME.fullmatch(text) is None:
        raise ValueError(f'{text!r} is no time of day; write "22:00" in quotes, "24:00" for the end of the day')
    return text


def _a_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write a name such as Europe/Zurich or UTC") from None
    return name


def _a_matcher(text: str) -> str:
    parse_matcher(text)
    return text


TimeOfDay = Annotated[str, AfterValidator(_a_time)]
Zone = Annotated[str, AfterValidator(_a_zone)]
MatcherText = Annotated[str, AfterValidator(_a_matcher)]


class MaintenanceConfig(Config):
    """A window that comes again: what is found in it is told when it ends, if it is still so."""

    match: tuple[MatcherText, ...] = ()
    """Which insights, as `tokensense silences add` takes them: `team=payments`, `rule=~"SPIKE|COST_SPIKE"`. All of
    them have to hold; none means every insight."""
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(default=DAYS, min_length=1)
    """Days on which the window begins, in `timezone`."""
    start: TimeOfDay = "00:00"
    """Local time at which it begins."""
    end: TimeOfDay = "24:00"
    """Local time at which it ends; on the next day where it is not after `start`."""
    timezone: Zone = "UTC"
    """An IANA name. Where the clock is put forward or back, the window follows the local time."""
    reason: str = Field(min_length=1, max_length=500)
    """Why: shown with whatever is held back."""
    owner: str = Field(default="", max_length=500)
    """Whom to ask."""

    @model_validator(mode="after")
    def _begins(self) -> Self:
        if self.start == "24:00":
            raise ValueError('start: a day begins at "00:00"; write that')
        return self


def clock_time(text: str) -> time:
    """The time of day; the end of a day is the beginning of the next."""
    return time() if text == "24:00" else time.fromisoformat(text)
