"""Conventions, each stated once: signs, axes, and units. A sign that flips or an axis that swaps fails here by name."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import load_chip, override
from photonsim.devices import Microring, PhaseShifter
from photonsim.devices.mach_zehnder_interferometer import cell_matrix
from photonsim.evaluate.measurement import Measurement
from photonsim.tiles import Crossbar
from photonsim.units import db_from_ratio, dbm_from_watts, ratio_from_db, watts_from_dbm

SMALL = {"tile.rows": 3, "tile.columns": 2, "laser.power_w": 1.0}


def crossbar(settings):
    """The tile of a small lit chip."""
    tile = override(load_chip("ideal"), SMALL | settings).tile
    assert isinstance(tile, Crossbar)
    return tile


def product(chip, x, w):
    x, w = (jnp.asarray(each, jnp.float32) for each in (x, w))
    return np.asarray(chip.matmul(x, chip.program(w), jax.random.key(0), "jax"))


@pytest.mark.parametrize("encoding", ["differential", "offset", "two-pass", "coherent"])
def test_signs_multiply_and_rows_of_x_meet_columns_of_w(encoding):
    """y[m, n] = Σ_k x[m, k] w[k, n]: vectors are rows, outputs are columns, and minus times minus is plus."""
    chip = override(load_chip("ideal"), SMALL | {"tile.encoding": encoding})
    x, w = np.zeros((4, 5)), np.zeros((5, 3))
    x[0, 2], x[1, 2], x[3, 4] = 1.0, -1.0, 0.5
    w[2, 1], w[2, 0], w[4, 2] = 1.0, -0.5, -1.0
    expected = [[-0.5, 1.0, 0.0], [0.5, -1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, -0.5]]
    np.testing.assert_allclose(product(chip, x, w), expected, atol=1e-6)


def test_decibels_of_loss_are_positive_and_of_power_count_from_a_milliwatt():
    assert float(ratio_from_db(10.0)) == pytest.approx(10.0)
    assert float(db_from_ratio(0.5)) == pytest.approx(-3.0103, abs=1e-4)
    assert float(watts_from_dbm(0.0)) == pytest.approx(1e-3)
    assert float(dbm_from_watts(1.0)) == pytest.approx(30.0)
    near, far = (crossbar({"tile.insertion_loss_db": loss}) for loss in (0.0, 10.0))
    assert float(near.power_per_mac_w / far.power_per_mac_w) == pytest.approx(10.0, rel=1e-6)


def test_power_is_of_a_core_at_the_source_and_at_the_wall_it_is_more():
    """P over rows and columns is the light of one product; the wall pays P / η."""
    tile = crossbar({"laser.wall_plug_efficiency": 0.2})
    assert float(tile.power_per_mac_w) == pytest.approx(1.0 / 6)
    assert tile.laser.wall_power_w == pytest.approx(5.0)


def test_a_symbol_lasts_one_clock_and_is_read_in_half_its_bandwidth():
    """σ² = i_n² · clock / 2 of one reading, over the current of a product squared."""
    tile = crossbar({"receiver.tia_noise_a_per_sqrt_hz": 1e-11, "tile.clock_hz": 4e9})
    expected = 1e-22 * 2e9 / (1.25 / 6) ** 2
    assert float(tile.background_variance) == pytest.approx(expected, rel=1e-5)


def test_heat_moves_a_resonance_to_longer_wavelengths():
    ring = Microring(resonance_m=1550e-9, quality_factor=1e4, free_spectral_range_m=20e-9)
    assert 60e-12 < ring.drift_m_per_k < 90e-12


def test_the_error_of_a_measurement_is_expected_less_observed():
    measured = Measurement(np.array([[3.0, 1.0]]), np.array([[2.0, 1.5]]))
    np.testing.assert_array_equal(measured.error, [[1.0, -0.5]])


def test_a_cell_at_zero_crosses_and_at_pi_lets_light_straight_through():
    """Fields are columns: out = M in, upper waveguide first."""
    none = np.zeros(())
    crossed, straight = (np.abs(cell_matrix(none + theta, none, none, none)) ** 2 for theta in (0.0, np.pi))
    np.testing.assert_allclose(crossed, [[0, 1], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(straight, np.eye(2), atol=1e-6)


def test_rounding_of_phases_is_over_a_whole_turn():
    """b bits are 2^b settings of 2π."""
    shifter = PhaseShifter(pi_power_w=0.0, response_time_s=0.0, write_energy_j=0.0, bits=3)
    steps = np.unique(np.round(np.asarray(shifter.set_phases(jnp.linspace(0, 6.28, 500), jnp.zeros(500))), 4))
    assert np.diff(steps).min() == pytest.approx(2 * np.pi / 8, abs=1e-3)
