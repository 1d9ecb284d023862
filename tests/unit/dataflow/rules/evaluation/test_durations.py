"""Durations as people write them, and the buckets of a window."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tokensense_otel.core.config import Config
from tokensense_otel.dataflow.rules.evaluation.durations import SECOND_NS, Duration, Window, bucket_ns

DAY_S = 86_400
WINDOW: TypeAdapter[Duration] = TypeAdapter(Window)


class Holder(Config):
    wait: Duration = Duration("15m")
    """A wait."""


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("0s", 0, "0s"),
        ("30s", 30, "30s"),
        ("90s", 90, "90s"),
        ("60s", 60, "1m"),
        ("1h30m", 5_400, "90m"),
        ("24h", DAY_S, "24h"),
        ("1d", DAY_S, "24h"),
        ("48h", 2 * DAY_S, "2d"),
        ("7d", 7 * DAY_S, "7d"),
        ("30d", 30 * DAY_S, "30d"),
        (" 5m ", 300, "5m"),
    ],
)
def test_it_is_read_and_shown_in_units(text: str, seconds: int, shown: str) -> None:
    """A duration is whole nanoseconds, shown in the largest unit that fits, and survives copies."""
    duration = Duration(text)

    assert (duration, str(duration)) == (seconds * SECOND_NS, shown)
    assert copy.deepcopy(duration) == pickle.loads(pickle.dumps(duration)) == duration


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "write 30s"),
        ("5", "write 30s"),
        ("5 minutes", "write 30s"),
        ("-5m", "write 30s"),
        ("1.5h", "write 30s"),
        ("5m1h", "write 30s"),
        ("721h", "longer than 30d"),
        (3600, "write 3600s"),
        (True, "has a unit"),
        (None, "has a unit"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(value: object, words: str) -> None:
    """Numbers without a unit, other words and what is too long are errors."""
    with pytest.raises(ValidationError, match=words):
        Holder.model_validate({"wait": value})


def test_a_configuration_with_one_can_be_written_and_read_again() -> None:
    """What `model_dump` gives is what a user would write."""
    holder = Holder.model_validate({"wait": "1h"})

    assert holder.model_dump() == holder.model_dump(mode="json") == {"wait": "1h"}
    assert Holder.model_validate(holder.model_dump()) == holder
    assert Holder().wait == 900 * SECOND_NS


@pytest.mark.parametrize(
    ("window", "bucket"),
    [("1m", 1), ("5m", 5), ("15m", 10), ("1h", 30), ("6h", 300), ("24h", 900), ("7d", 7_200), ("30d", 21_600)],
)
def test_a_window_is_cut_into_about_a_hundred_buckets(window: str, bucket: int) -> None:
    """The narrowest bucket of a clock that makes at most 128 of them."""
    assert bucket_ns(Duration(window)) == bucket * SECOND_NS


@pytest.mark.parametrize(("window", "words"), [("59s", "write 1m or more"), ("131m", "write 132m"), ("31d", "30d")])
def test_a_window_that_cannot_be_cut_is_refused(window: str, words: str) -> None:
    """Too short, too long, or no whole number of buckets."""
    with pytest.raises(ValidationError, match=words):
        WINDOW.validate_python(window)
    assert WINDOW.validate_python("1m") == 60 * SECOND_NS


@given(st.integers(1, 30 * 24 * 60))
def test_whatever_is_proposed_can_be_cut(minutes: int) -> None:
    """A window is whole buckets, or the error names one that is."""
    window = minutes * 60 * SECOND_NS
    try:
        size = bucket_ns(window)
    except ValueError as error:
        window = Duration(str(error).rpartition(" ")[2])
        size = bucket_ns(window)
    assert window % size == 0
    assert window // size <= 128
