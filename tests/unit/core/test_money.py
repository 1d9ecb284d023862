"""Money adds up exactly and is written plainly."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.core.money import nanos, usd, usd_text


@given(st.integers(-(10**18), 10**18))
def test_nano_dollars_survive_the_way_out_and_back(amount: int) -> None:
    """What is written as USD reads back as the same nano-dollars, with no exponent in the text."""
    text = usd_text(amount)

    assert text is not None
    assert "E" not in text
    assert nanos(Decimal(text)) == amount
    assert usd(amount) == Decimal(text)


def test_half_a_nano_dollar_goes_to_the_even_neighbour() -> None:
    """Rounding has no bias."""
    assert [nanos(Decimal(text)) for text in ("0.0000000005", "0.0000000015", "0.0000000025")] == [0, 2, 2]


def test_unknown_money_stays_unknown() -> None:
    """None is written as None, never as zero."""
    assert usd_text(None) is None
    assert usd_text(0) == "0"
