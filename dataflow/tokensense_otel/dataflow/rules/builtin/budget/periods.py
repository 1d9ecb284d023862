"""Days, weeks and months as calendars in a time zone have them, summer time included."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

Period = Literal["day", "week", "month"]
SECOND_NS: Final = 1_000_000_000
_KEPT: Final = 1_000
_last: dict[tuple[Period, str], tuple[int, int]] = {}


def bounds(time_ns: int, period: Period, zone: str) -> tuple[int, int]:
    """[from, to) in Unix nanoseconds of the period that a moment is in. Weeks begin on Monday, everything at midnight.

    A day on which clocks change has 23 or 25 hours. Where a midnight does not exist, the day begins when it would have.
    """
    key = (period, zone)
    known = _last.get(key)
    if known is not None and known[0] <= time_ns < known[1]:
        return known
    if len(_last) >= _KEPT:
        _last.clear()
    found = _last[key] = _bounds(time_ns, period, ZoneInfo(zone))
    return found


def _bounds(time_ns: int, period: Period, zone: ZoneInfo) -> tuple[int, int]:
    day = datetime.fromtimestamp(time_ns // SECOND_NS, UTC).astimezone(zone).date()
    if period == "day":
        first, after = day, day + timedelta(days=1)
    elif period == "week":
        first = day - timedelta(days=day.weekday())
        after = first + timedelta(days=7)
    else:
        first = day.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    return _midnight(first, zone), _midnight(after, zone)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * SECOND_NS


def _checked(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"there is no time zone {zone!r}; write an IANA name, for instance Europe/Berlin") from None
    return zone


Zone = Annotated[str, AfterValidator(_checked)]
"""An IANA time zone, for instance `Europe/Berlin`."""
