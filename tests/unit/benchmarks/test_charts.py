"""What benchmarks show of their figures: charts, and quantiles of a histogram."""

import math
from xml.etree import ElementTree as ET

import pytest

from benchmarks.charts import bars, lines
from benchmarks.delays import Delays

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_as_long_as_their_values() -> None:
    """Three bars, of which the second is half of the first and a value of zero can still be seen; names are escaped."""
    page = ET.fromstring(bars("A < B", "µs", {"TokenSense": 40.0, "peer & co": 20.0, "none": 0.0}))
    first, second, third = [float(each.get("width", "0")) for each in page.iter(f"{SVG}rect")][1:]
    assert (first, third) == (420, 1)
    assert second == pytest.approx(first / 2)
    assert {"A < B", "µs", "TokenSense", "40", "peer & co", "20", "none", "0"} == {
        text.text for text in page.iter(f"{SVG}text")
    }


def test_lines_go_from_zero_to_the_most() -> None:
    """The largest value touches the top of the field and the last minute its right side, whatever series has it."""
    page = ET.fromstring(lines("t", "MB", {"a": [(0, 0), (10, 50)], "b": [(5, 100)]}))
    a, b = [line.get("points") for line in page.iter(f"{SVG}polyline")]
    assert a == "70.0,286.0 590.0,171.0"
    assert b == "330.0,56.0"


def test_quantiles_are_taken_within_a_bucket() -> None:
    """Of 10 up to 0.1 s and 10 more up to 0.3 s the median is 0.1 s; what is beyond the last bound is that bound."""
    delays = Delays({0.1: 10, 0.3: 20, math.inf: 20})
    assert [delays.quantile(share) for share in (0.25, 0.5, 0.75, 1.0)] == pytest.approx([0.05, 0.1, 0.2, 0.3])
    assert Delays({0.1: 0, math.inf: 4}).quantile(0.5) == 0.1
    assert Delays({0.1: 0, math.inf: 0}).quantile(0.5) == 0.0


def test_what_was_before_is_left_out() -> None:
    """A minute's quantiles are of that minute: what was counted before is taken away, bucket by bucket."""
    before, after = Delays({0.1: 5, 0.2: 5, math.inf: 5}), Delays({0.1: 5, 0.2: 9, math.inf: 9})
    assert after.since(before) == Delays({0.1: 0, 0.2: 4, math.inf: 4})
    assert after.since(before).count == 4
