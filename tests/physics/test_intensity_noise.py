"""The laser's tremor in a tile: it multiplies all readings of a symbol alike, and no brightness takes it away."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import load_chip, override
from photonsim.tiles import Crossbar

ROWS, COLUMNS, READINGS = 8, 4, 3000
CHIP = override(load_chip("ideal"), {"tile.rows": ROWS, "tile.columns": COLUMNS, "tile.clock_hz": 2e9})


def readings(rin_db_per_hz, power_w=1e-3, columns=COLUMNS):
    """Products of full-scale inputs and weights: 8 in every column."""
    chip = override(CHIP, {"laser.rin_db_per_hz": rin_db_per_hz, "laser.power_w": power_w})
    x, w = jnp.ones((READINGS, ROWS), jnp.float32), jnp.ones((ROWS, columns), jnp.float32)
    return np.asarray(chip.matmul(x, chip.program(w), jax.random.key(0), "jax"), dtype=np.float64)


@pytest.mark.parametrize("rin_db_per_hz", [-130.0, -120.0])
@pytest.mark.parametrize("power_w", [1e-3, 1.0])
def test_relative_variance_is_rin_times_bandwidth_whatever_the_power(rin_db_per_hz, power_w):
    """B = clock / 2 = 1 GHz: at -120 dB/Hz the light trembles by √1e-3 = 3.2 %."""
    y = readings(rin_db_per_hz, power_w)[:, 0]
    # variance of 3000 normal draws: relative standard error √(2/3000) = 2.6 %
    assert (y / ROWS).var() == pytest.approx(10 ** (rin_db_per_hz / 10) * 1e9, rel=5 * 0.026)


def test_columns_of_a_tile_tremble_together_and_tiles_apart():
    y = readings(-120.0, columns=2 * COLUMNS)
    np.testing.assert_allclose(y[:, :COLUMNS], np.tile(y[:, :1], COLUMNS), rtol=1e-6)
    assert abs(np.corrcoef(y[:, 0], y[:, COLUMNS])[0, 1]) < 5 / np.sqrt(READINGS)


def test_a_laser_without_intensity_noise_leaves_the_product_exact():
    np.testing.assert_array_equal(readings(-200.0), ROWS)
    assert isinstance(CHIP.tile, Crossbar)
    assert not CHIP.tile.readout.intensity_noise


def test_integrating_for_longer_averages_the_tremor():
    """n symbols in a reading narrow its bandwidth to clock / (2 n)."""
    chip = load_chip("lightening-transformer-b-8bit")
    tile = chip.tile
    quiet = {each: value for one in tile.disturbances() for each, value in one.off.items()}
    quiet = {f"tile.{name}": value for name, value in quiet.items()} | {"laser.rin_db_per_hz": -120.0}
    spreads = []
    for accumulation in (1, 4):
        still = override(chip, quiet | {"tile.accumulation": accumulation})
        terms = still.tile.terms_per_readout
        x, w = jnp.ones((READINGS, terms), jnp.float32), jnp.ones((terms, 1), jnp.float32)
        y = np.asarray(still.matmul(x, still.program(w), jax.random.key(0), "jax"), dtype=np.float64)
        spreads.append((y / terms).var())
    assert spreads[0] == pytest.approx(1e-12 * float(tile.clock_hz) / 2, rel=5 * 0.026)
    assert spreads[0] / spreads[1] == pytest.approx(4, rel=5 * 0.037)


def test_turning_the_laser_up_does_not_help_against_its_own_noise():
    """With shot noise too: the variance falls as 1/P, down to the floor of the tremor."""
    variances = []
    for power_w in (1e-7, 1e-6, 1.0):
        chip = override(CHIP, {"laser.rin_db_per_hz": -130.0, "laser.power_w": power_w, "receiver.shot_noise": True})
        x, w = jnp.ones((READINGS, ROWS), jnp.float32), jnp.ones((ROWS, 1), jnp.float32)
        y = np.asarray(chip.matmul(x, chip.program(w), jax.random.key(0), "jax"), dtype=np.float64)
        variances.append((y / ROWS).var())
        assert isinstance(chip.tile, Crossbar)
        law = 1e-13 * 1e9 + 1 / (ROWS * float(chip.tile.electrons_per_mac))
        assert variances[-1] == pytest.approx(law, rel=5 * 0.026)
    assert variances[2] > 1e-4 / 2
