"""Numbers as a person reads them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photonsim.report.quantities import PREFIXES, si, significant


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.43e-12, "2.43 pJ"),
        (0.0, "0 J"),
        (1.0, "1.00 J"),
        (999.4, "999 J"),
        (999.6, "1.00 kJ"),
        (0.9996e-6, "1.00 µJ"),
        (12.34e-15, "12.3 fJ"),
        (-5e-3, "-5.00 mJ"),
        (math.inf, "inf J"),
        (3e-21, "0.00300 aJ"),
    ],
)
def test_joules_have_three_digits_and_a_prefix(value, text):
    assert si(value, "J") == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (22.2149, 4, "22.21"),
        (0.0104, 2, "0.010"),
        (1234567.0, 3, "1,234,567"),
        (1.5e9, 3, "1.50e+09"),
        (2e-7, 3, "2.00e-07"),
        (0.0, 3, "0"),
        (math.nan, 3, "nan"),
        (math.inf, 3, "inf"),
        (-0.5, 2, "-0.50"),
    ],
)
def test_significant_digits(value, digits, text):
    assert significant(value, digits) == text


@given(st.floats(1e-17, 1e16))
def test_a_quantity_read_back_is_the_value_to_three_digits(value):
    number, unit = si(value, "J").split()
    power = next(power for power, prefix in PREFIXES.items() if f"{prefix}J" == unit)
    assert float(number.replace(",", "")) * 10.0**power == pytest.approx(value, rel=5.1e-3)
    assert 0.99 <= float(number.replace(",", "")) < 1000
