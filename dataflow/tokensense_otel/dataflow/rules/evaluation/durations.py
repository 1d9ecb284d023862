"""Spans of time as people write them, and how a window is cut into buckets."""

import re
from functools import lru_cache
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import core_schema

SECOND_NS: Final = 1_000_000_000
_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_WRITTEN: Final = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?")
_LONGEST_S: Final = 30 * 86_400
_SIZES_S: Final = (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)
"""Widths that a bucket may have; each divides a day, so that buckets end where clocks strike."""
_MOST_BUCKETS: Final = 128


class Duration(int):
    """Whole nanoseconds that are written, and shown, as `30s`, `5m`, `1h30m`, `24h` or `7d`; at most `30d`.

    Raises:
        ValueError: with what to write instead.
    """

    def __new__(cls, text: str) -> Self:
        match = _WRITTEN.fullmatch(text.strip())
        if match is None or not any(match.groups()):
            raise ValueError(f"{text!r} is no duration; write 30s, 5m, 24h or 7d")
        seconds = sum(int(count or 0) * unit for count, unit in zip(match.groups(), _UNITS.values(), strict=True))
        if seconds > _LONGEST_S:
            raise ValueError(f"{text!r} is longer than 30d")
        return super().__new__(cls, seconds * SECOND_NS)

    def __str__(self) -> str:
        return span_text(self)

    __repr__ = __str__

    def __reduce__(self) -> tuple[type["Duration"], tuple[str]]:
        return Duration, (str(self),)  # copy and pickle would make it from a number

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def _read(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls(value)
        unit = f"{value}s" if isinstance(value, int) and not isinstance(value, bool) else "30s"
        raise ValueError(f"a duration has a unit; write {unit}, 5m, 24h or 7d")


def span_text(span_ns: int) -> str:
    """Nanoseconds in the largest unit that they are a whole number of, in days from two of them on.

    >>> span_text(86_400 * SECOND_NS), span_text(604_800 * SECOND_NS), span_text(90 * SECOND_NS), span_text(0)
    ('24h', '7d', '90s', '0s')
    """
    seconds, rest = divmod(span_ns, SECOND_NS)
    if rest:
        return f"{span_ns / SECOND_NS:g}s"
    for name, unit in _UNITS.items():
        if seconds % unit == 0 and seconds >= (2 * unit if name == "d" else unit):
            return f"{seconds // unit}{name}"
    return "0s"


@lru_cache(maxsize=256)
def bucket_ns(window_ns: int) -> int:
    """Width of the buckets of a window: the narrowest that makes at most 128 of them, a whole number.

    So what is judged reaches back the window's length, less a hundredth part on average.

    Raises:
        ValueError: where no such width divides the window, with one that can be cut.
    """
    for size_s in _SIZES_S:
        size = size_s * SECOND_NS
        if window_ns <= size * _MOST_BUCKETS and window_ns % size == 0:
            return size
    fitting = next(size for size in _SIZES_S if window_ns <= size * SECOND_NS * _MOST_BUCKETS) * SECOND_NS
    nearest = span_text(max(1, round(window_ns / fitting)) * fitting)
    raise ValueError(f"{span_text(window_ns)} cannot be cut evenly into buckets; write {nearest}")


def _checked(window: Duration) -> Duration:
    if window < 60 * SECOND_NS:
        raise ValueError(f"{window} is shorter than the shortest window; write 1m or more")
    bucket_ns(window)
    return window


Window = Annotated[Duration, AfterValidator(_checked)]
"""Length of a rolling window, from a minute to 30 days."""
