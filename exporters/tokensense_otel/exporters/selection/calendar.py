"""When a window of hours is open, in the local time of its zone. Pure: time is passed in.

Where the clock passes a local time twice, or leaps over it, the longest reading is taken: a window that is an hour too
long once a year harms less than a page in the middle of the work.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tokensense_otel.exporters.selection.config import DAYS, HoursConfig, clock_time

_SECOND = 1_000_000_000


def open_until(window: HoursConfig, now_ns: int) -> int | None:
    """When the window that is open at `now_ns` ends, `None` where none is. Unix nanoseconds."""
    zone = ZoneInfo(window.timezone)
    today = datetime.fromtimestamp(now_ns // _SECOND, UTC).astimezone(zone).date()
    ends: list[int] = []
    for back in (0, 1, 2):  # one that began the day before yesterday can be open where the clock was put back
        day = today - timedelta(days=back)
        if DAYS[day.weekday()] in window.days:
            start_ns, end_ns = _on(window, day, zone)
            if start_ns <= now_ns < end_ns:
                ends.append(end_ns)
    return max(ends, default=None)


def _on(window: HoursConfig, day: date, zone: ZoneInfo) -> tuple[int, int]:
    start, end = clock_time(window.start), clock_time(window.end)
    overnight = end == time() or end <= start
    return min(_instants(day, start, zone)), max(_instants(day + timedelta(days=overnight), end, zone))


def _instants(day: date, at: time, zone: ZoneInfo) -> list[int]:
    """Both readings of a local time, in Unix nanoseconds."""
    return [int(datetime.combine(day, at.replace(fold=fold), zone).timestamp()) * _SECOND for fold in (0, 1)]
