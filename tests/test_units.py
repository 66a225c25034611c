"""Decibels, bits and photons against the numbers every photonics course prints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photonsim import units

FLOAT32 = 2e-6  # a few roundings of 2^-24, and log10 of a float32


@pytest.mark.parametrize(("level_db", "ratio"), [(0.0, 1.0), (3.0103, 2.0), (10.0, 10.0), (-30.0, 1e-3)])
def test_decibels_are_powers_of_ten_of_a_power_ratio(level_db, ratio):
    assert float(units.ratio_from_db(level_db)) == pytest.approx(ratio, rel=1e-5)


def test_zero_dbm_is_one_milliwatt_and_23_dbm_is_200():
    assert float(units.watts_from_dbm(0.0)) == pytest.approx(1e-3, rel=FLOAT32)
    assert float(units.watts_from_dbm(23.0)) == pytest.approx(0.2, rel=3e-3)  # 199.5 mW


def test_a_photon_at_1550_nm_has_the_published_energy():
    assert float(units.photon_energy_j(1550e-9)) == pytest.approx(1.2816e-19, rel=1e-4)
    assert float(units.photon_energy_j(1310e-9)) == pytest.approx(1.516e-19, rel=1e-3)


def test_an_ideal_eight_bit_converter_has_49_9_db():
    assert float(units.sndr_db_from_enob(8.0)) == pytest.approx(49.92, abs=0.01)


@given(st.floats(-100, 100))
def test_decibel_conversions_are_inverses(level_db):
    assert float(units.db_from_ratio(units.ratio_from_db(level_db))) == pytest.approx(level_db, abs=1e-4)
    assert float(units.dbm_from_watts(units.watts_from_dbm(level_db))) == pytest.approx(level_db, abs=1e-4)


@given(st.floats(0.5, 20))
def test_bits_and_decibels_are_inverses(enob):
    assert float(units.enob_from_sndr_db(units.sndr_db_from_enob(enob))) == pytest.approx(enob, rel=1e-5)
