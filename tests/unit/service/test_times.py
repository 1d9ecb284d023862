import pytest

from tokensense_otel.service.times import parse_time

NOW = 1_767_225_600 * 10**9  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-01T00:00:00Z", 1_767_225_600),
        ("2026-01-01T01:30:00+01:30", 1_767_225_600),
        ("2026-01-01T01:30:00 01:30", 1_767_225_600),  # as it arrives from an unescaped query
        ("2026-01-01", 1_767_225_600),
        ("1767225600", 1_767_225_600),
        ("30s", 1_767_225_570),
        ("24h", 1_767_139_200),
        ("7d", 1_766_620_800),
        ("1w", 1_766_620_800),
    ],
)
def test_each_way_to_write_a_time_is_understood(text: str, seconds: int) -> None:
    """RFC 3339 in any offset, Unix seconds, and how long ago all name the same points in time."""
    assert parse_time(text, NOW) == seconds * 10**9


def test_fractions_are_exact() -> None:
    """A fraction of a second is kept to the digit, never through a float."""
    assert parse_time("1767225600.123456789", 0) == 1_767_225_600_123_456_789
    assert parse_time("2026-01-01T00:00:00.123456Z", 0) == 1_767_225_600_123_456_000


@pytest.mark.parametrize("text", ["", "yesterday", "24x", "-5", "1e9", "2026-13-01", "h", "99999999999999999999"])
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    """A time that is none is refused with examples."""
    with pytest.raises(ValueError, match=r"is not a time; write 2026-01-31T08:00:00Z, Unix seconds, or how long ago"):
        parse_time(text, NOW)
