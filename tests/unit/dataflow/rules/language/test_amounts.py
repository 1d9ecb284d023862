"""Amounts: what is written is exactly what is meant, and what is not meant is refused with an example."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.dataflow.rules.language.amounts import Amount, Unit, as_json, read_amount, shown


@pytest.mark.parametrize(
    ("written", "unit", "amount"),
    [
        ("5%", Unit.SHARE, Fraction(1, 20)),
        (0.05, Unit.SHARE, Fraction(1, 20)),
        ("100%", Unit.SHARE, Fraction(1)),
        ("$20", Unit.USD, Fraction(20 * 10**9)),
        ("1,200.5 USD", Unit.USD, Fraction(12_005 * 10**8)),
        (1e-05, Unit.USD, Fraction(10_000)),
        ("500ms", Unit.TIME, Fraction(5 * 10**8)),
        ("1.5m", Unit.TIME, Fraction(90 * 10**9)),
        ("10k", Unit.COUNT, Fraction(10_000)),
        ("2.5M", Unit.COUNT, Fraction(2_500_000)),
        (7, Unit.COUNT, Fraction(7)),
        ("3x", Unit.TIMES, Fraction(3)),
        ("150%", Unit.TIMES, Fraction(3, 2)),
    ],
)
def test_amounts_are_exact(written: Amount, unit: Unit, amount: Fraction) -> None:
    """Each form is one exact number: no float comes between."""
    assert read_amount(written, unit) == amount


@pytest.mark.parametrize(
    ("written", "unit", "say"),
    [
        ("5 percent", Unit.SHARE, "'5 percent' is no share; write for instance 5%"),
        ("101%", Unit.SHARE, "write a share of at most 100%"),
        (5, Unit.TIME, "5 is no length of time; write for instance 500ms, 2s or 5m"),
        ("€5", Unit.USD, "write for instance \\$20"),
        (-1, Unit.COUNT, "-1 is no number; write for instance 5000 or 5k"),
        (True, Unit.COUNT, "True is no number"),
        ("nan", Unit.TIMES, "write for instance 3x or 300%"),
        ("", Unit.COUNT, "'' is no number"),
    ],
)
def test_what_is_no_amount_is_refused_with_one(written: Amount, unit: Unit, say: str) -> None:
    """The message has what was written and a form that is right."""
    with pytest.raises(ValueError, match=say):
        read_amount(written, unit)


@given(st.integers(0, 10**12), st.sampled_from(Unit))
def test_what_is_shown_can_be_read(number: int, unit: Unit) -> None:
    """What people read in an insight is a form that a rule takes, up to rounding."""
    amount = Fraction(number, 10**12) if unit is Unit.SHARE else Fraction(number)
    again = read_amount(shown(amount, unit), unit)
    assert abs(again - amount) <= max(
        amount / 100, {Unit.SHARE: Fraction(1, 10_000), Unit.TIME: Fraction(10**8)}.get(unit, Fraction(1))
    )


@pytest.mark.parametrize(
    ("amount", "unit", "value"),
    [
        (Fraction(25 * 10**8), Unit.USD, "2.5"),
        (Fraction(25 * 10**8), Unit.TIME, 2.5),
        (Fraction(3), Unit.COUNT, 3),
        (Fraction(1, 3), Unit.SHARE, 0.333333),
    ],
)
def test_evidence_has_plain_numbers(amount: Fraction, unit: Unit, value: object) -> None:
    """Dollars are decimal strings, times are seconds."""
    assert as_json(amount, unit) == value
