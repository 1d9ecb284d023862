"""Attribute values and the coercions that real emitters make necessary."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.spans import key_values
from tokensense_otel.dataflow.normalise.attributes import (
    attributes_of,
    from_json,
    from_repr,
    to_bool,
    to_count,
    to_text,
    to_texts,
)


def test_every_kind_of_value_is_read() -> None:
    """Strings, numbers, booleans, bytes, arrays and maps come as the Python values that they stand for."""
    values = {"s": "x", "e": "", "i": -3, "z": 0, "d": 0.5, "b": False, "y": b"\x00", "a": ["x", 1], "m": {"k": True}}
    assert attributes_of(key_values(values)) == values


def test_of_a_repeated_key_the_last_value_counts() -> None:
    """An attribute set twice has the value that was set last."""
    assert attributes_of([*key_values({"a": 1}), *key_values({"a": 2})]) == {"a": 2}


def test_what_is_too_long_or_too_deep_is_not_read() -> None:
    """Vectors and nesting bombs cost nothing: 65 elements and the 8th level are left out, 64 and the 7th are not."""
    deep: Any = "bottom"
    for _ in range(7):
        deep = [deep]
    found = attributes_of(key_values({"long": [0.5] * 65, "short": [0.5] * 64, "deep": deep, "fits": deep[0]}))
    assert found["long"] is None
    assert found["short"] == [0.5] * 64
    assert str(found["deep"]) == "[[[[[[[None]]]]]]]"
    assert str(found["fits"]) == "[[[[[['bottom']]]]]]"


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (12, 12),
        (0, 0),
        ("12", 12),
        (" 12 ", 12),
        (12.0, 12),
        ("12.0", 12),
        ({"low": 7, "high": 1, "unsigned": True}, 2**32 + 7),
        (10**12, 10**12),
        (10**12 + 1, None),
        (-1, None),
        ("-1", None),
        (12.5, None),
        (float("nan"), None),
        (float("inf"), None),
        ("Infinity", None),
        ("many", None),
        ("", None),
        ("9" * 400, None),
        (True, None),
        ([12], None),
        (None, None),
        ({"low": "x"}, None),
    ],
)
def test_a_count_is_a_whole_number_that_can_be(value: Any, count: int | None) -> None:
    """Numbers come as integers, floats, strings and JavaScript Longs; what no token count can be is no count."""
    assert to_count(value) == count


@given(st.one_of(st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.integers()), st.none()))
def test_coercions_never_fail(value: Any) -> None:
    """Whatever an attribute holds, reading it raises nothing."""
    count = to_count(value)
    assert count is None or 0 <= count <= 10**12
    assert to_bool(value) in (True, False)
    assert isinstance(to_text(value), str)
    assert isinstance(to_texts(value), list)
    from_json(value, 1000)
    from_repr(value)


def test_booleans_come_as_strings_too() -> None:
    """LiteLLM says `'True'`; everything else that is not true is false."""
    assert [to_bool(value) for value in (True, "True", "true", "1")] == [True] * 4
    assert [to_bool(value) for value in (False, "False", "", 1, None, [True])] == [False] * 6


def test_lists_come_as_arrays_json_and_comma_strings() -> None:
    """Finish reasons are an array, a JSON string or a comma string, all alike."""
    for value in (["stop", "length"], '["stop", "length"]', "stop, length"):
        assert to_texts(value) == ["stop", "length"]
    assert to_texts("[broken") == ["[broken"]


def test_json_has_a_limit() -> None:
    """A string as long as the limit is read, a longer one, a broken one or a number is not; a structure is there."""
    assert from_json('{"a":1}', 7) == {"a": 1}
    assert from_json('{"a":1}', 6) is None
    assert from_json("{", 7) is None
    assert from_json(7, 7) is None
    assert from_json({"a": 1}, 7) == {"a": 1}
    assert from_json("[" * 100_000, 1_000_000) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': 1, 'b': None, 'c': [True, False]}", {"a": 1, "b": None, "c": [True, False]}),
        ('{"a": 1}', {"a": 1}),
        ("{'it': \"it's\"}", {"it": "it's"}),
        ("{'say': 'a \"word\"'}", {"say": 'a "word"'}),
        ("{'path': 'C:\\\\x'}", {"path": "C:\\x"}),
        ("{1: (2, 3)}", {1: (2, 3)}),
        ("{'a': __import__('os').getpid()}", None),
        ("{'a': x}", None),
        ("{'a': 1", None),
        ("[" * 5_000 + "]" * 5_000, None),
        ("not a literal", None),
        ("", None),
    ],
)
def test_a_repr_is_read_and_never_evaluated(text: str, value: Any) -> None:
    """Python literals in strings are data; whatever would have to run is not read."""
    assert from_repr(text) == value


def test_a_long_repr_is_not_read() -> None:
    """The limit of 32,768 characters bounds the work."""
    assert from_repr("['" + "x" * 32_764 + "']") == ["x" * 32_764]
    assert from_repr("['" + "x" * 32_765 + "']") is None
