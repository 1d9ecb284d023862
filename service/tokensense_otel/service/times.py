"""Points in time as people write them: RFC 3339, Unix seconds, or how long ago (`30m`, `24h`, `7d`)."""

import re
from datetime import UTC, datetime

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNIX = re.compile(r"\d{1,11}(\.\d{1,9})?")
_NANOS = 1_000_000_000


def parse_time(text: str, now_ns: int) -> int:
    """Unix nanoseconds. A time without an offset is UTC.

    >>> parse_time("1767225600", 0), parse_time("1h", 7200 * 10**9)
    (1767225600000000000, 3600000000000)

    Raises:
        ValueError: with what to write instead.
    """
    text = text.strip()
    if match := _AGO.fullmatch(text):
        return now_ns - int(match[1]) * _UNITS[match[2]] * _NANOS
    return _moment(text, "how long ago such as 24h or 7d")


def parse_future(text: str, now_ns: int) -> int:
    """Unix nanoseconds, where `2h` is two hours from now.

    >>> parse_future("1h", 7200 * 10**9)
    10800000000000

    Raises:
        ValueError: with what to write instead.
    """
    text = text.strip()
    if match := _AGO.fullmatch(text):
        return now_ns + int(match[1]) * _UNITS[match[2]] * _NANOS
    return _moment(text, "how long from now such as 2h or 7d")


def _moment(text: str, or_else: str) -> int:
    if _UNIX.fullmatch(text):
        whole, _, fraction = text.partition(".")
        return int(whole) * _NANOS + int(fraction.ljust(9, "0"))
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + in a query arrives as a space
    except ValueError:
        raise ValueError(f"{text!r} is not a time; write 2026-01-31T08:00:00Z, Unix seconds, or {or_else}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since_epoch = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * _NANOS + since_epoch.microseconds * 1000
