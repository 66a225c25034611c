"""Experiments on the crossbar itself: exponents of its noise and of its energy, and the ceiling of its laser."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import load_chip, override
from photonsim.tiles import Crossbar

KEY_DATA = np.asarray(jax.random.key_data(jax.random.key(0)))
READINGS, COLUMNS = 1000, 16


def lit(rows, power_w=1.0, **receiver):
    """An ideal crossbar under shot noise, its receiver an electron for each photon."""
    settings = {"receiver.shot_noise": True, "receiver.responsivity_a_per_w": 1.2501635, "laser.power_w": power_w}
    size = {"tile.rows": rows, "tile.columns": COLUMNS}
    tile = override(load_chip("ideal"), settings | size | receiver).tile
    assert isinstance(tile, Crossbar)
    return tile


def read(tile, x, w):
    """Readings by the compiled engine, which needs no compilation for a shape."""
    programmed = jax.tree.map(np.asarray, tile.program(jnp.asarray(w, jnp.float32), 1))
    return np.asarray(tile.matmul(x.astype(np.float32), programmed, KEY_DATA, "numba"), np.float64)


def bright(rows):
    """Positive numbers whose largest is 1: (READINGS, rows) and (rows, COLUMNS)."""
    rng = np.random.default_rng(0)
    x, w = rng.uniform(size=(1, rows)), rng.uniform(size=(rows, COLUMNS))
    x[:, 0], w[0] = 1.0, 1.0
    return np.repeat(x, READINGS, axis=0), w


def test_shot_noise_of_the_photocurrent_grows_as_the_root_of_the_laser_s_power():
    x, w = bright(64)
    powers = 1e-6 * np.array([1.0, 10.0, 100.0, 1000.0])
    currents = []
    for power_w in powers:
        tile = lit(64, power_w)
        currents.append(read(tile, x, w).std(0).mean() * float(tile.current_per_mac_a))
    exponent = np.polyfit(np.log(powers), np.log(currents), 1)[0]
    # each of four spreads is known to 1/√(2 · 16,000) = 0.56 %, over a factor of 1,000: 0.56 % / (2.3 · 2.2)
    assert exponent == pytest.approx(0.5, abs=4 * 0.0056 / 5)


def test_optical_energy_per_mac_falls_as_one_over_the_length_at_a_fixed_output_precision():
    """The laser is turned to give outputs of 1 % at K = 64, 256 and 1,024; the light of one product is then ∝ 1/K.

    A reading shows the relative error e at one power; the light for another error goes as 1/e² (the law above).
    """
    lengths, energies_j = np.array([64, 256, 1024]), []
    for rows in lengths.tolist():
        x, w = bright(rows)
        tile = lit(rows).with_photons_per_mac(100.0)
        y = read(tile, x, w)
        relative = float(np.sqrt((y.var(0) / y.mean(0) ** 2).mean()))
        energy_j = float(tile.power_per_mac_w) / tile.clock_hz
        energies_j.append(energy_j * (relative / 0.01) ** 2)
    exponent = np.polyfit(np.log(lengths), np.log(energies_j), 1)[0]
    # variances are known to 1.1 %; the mean of K uniform products differs from 1/4 by 0.53/√K, 7 % at K = 64, and more
    # so the pinned ones: two of 64 numbers are at full scale
    assert exponent == pytest.approx(-1.0, abs=0.05)


def test_bits_grow_with_detected_power_until_the_laser_s_intensity_noise_stops_them():
    """SNR of a full-scale sum: ∝ P² under the amplifier, ∝ P under shot noise, and 1/(RIN · B) at last: 8.0 bits."""
    noise = {"laser.rin_db_per_hz": -140.0, "tile.clock_hz": 2e9, "receiver.tia_noise_a_per_sqrt_hz": 5e-12}
    x, w = np.ones((READINGS, 64)), np.ones((64, COLUMNS))
    rows = 64

    def snr(full_current_a, **changes):
        tile = lit(rows, **(noise | changes))
        power_w = tile.laser.power_w * full_current_a / rows / float(tile.current_per_mac_a)
        y = read(dataclasses.replace(tile, laser=dataclasses.replace(tile.laser, power_w=power_w)), x, w)
        return rows**2 / y.var()

    def slope(low_a, high_a, **changes):
        return np.log(snr(high_a, **changes) / snr(low_a, **changes)) / np.log(high_a / low_a)

    quiet = {"laser.rin_db_per_hz": -300.0}
    statistical = 4 * np.sqrt(2 * 2 / (READINGS * COLUMNS)) / np.log(10)
    assert slope(1e-8, 1e-7) == pytest.approx(2.0, abs=statistical + 0.02)
    assert slope(1e-3, 1e-2, **quiet) == pytest.approx(1.0, abs=statistical + 0.03)  # the amplifier is 3 % at 1 mA
    ceiling = snr(1.0)
    # the columns share the laser's tremor: 1,000 readings know its variance to 4.5 %
    assert 10 * np.log10(ceiling) == pytest.approx(50.0, abs=10 * np.log10(1 + 4 * 0.045))
    assert (10 * np.log10(ceiling) - 1.76) / 6.02 == pytest.approx(8.0, abs=0.1)
