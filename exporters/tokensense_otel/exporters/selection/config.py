"""Configuration of matchers and of hours of the week."""

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


class HoursConfig(Config):
    """Hours of the week, in the local time of a zone."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(default=DAYS, min_length=1)
    """Days on which it begins, in `timezone`."""
    start: TimeOfDay = "00:00"
    """Local time at which it begins."""
    end: TimeOfDay = "24:00"
    """Local time at which it ends; on the next day where it is not after `start`."""
    timezone: Zone = "UTC"
    """An IANA name. Where the clock is put forward or back, the hours follow the local time."""

    @model_validator(mode="after")
    def _begins(self) -> Self:
        if self.start == "24:00":
            raise ValueError('start: a day begins at "00:00"; write that')
        return self


class RouteConfig(HoursConfig):
    """Insights that an exporter gets."""

    match: tuple[MatcherText, ...] = ()
    """Which: `severity=high`, `team=payments`, `rule=~"BUDGET|COST_SPIKE"`. All of them have to hold; none means every
    insight in these hours."""


def clock_time(text: str) -> time:
    """The time of day; the end of a day is the beginning of the next."""
    return time() if text == "24:00" else time.fromisoformat(text)
