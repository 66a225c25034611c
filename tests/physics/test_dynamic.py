"""The dynamic coherent crossbar against brute force: phases, magnitudes, the comb, photons."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.converters import Adc, Dac
from photonsim.devices import Laser, Modulator, Receiver
from photonsim.devices.directional_coupler import splitter_dispersion, wdm_offsets_m
from photonsim.devices.mach_zehnder_interferometer import phase_noise_mean
from photonsim.tiles import DynamicCrossbar

QUIET = DynamicCrossbar(
    rows=12,
    columns=12,
    wavelengths=12,
    clock_hz=5e9,
    insertion_loss_db=4.22,
    laser=Laser(power_w=20e-3, wall_plug_efficiency=0.2, wavelength_m=1550e-9),
    input_dac=Dac(None, 0.0),
    weight_dac=Dac(None, 0.0),
    modulator=Modulator(0.0),
    receiver=Receiver(responsivity_a_per_w=1.0, energy_j=0.0, shot_noise=False),
    adc=Adc(None, 0.0),
)
M, K, N = 300, 24, 40


def operands(m=M, k=K, n=N):
    rng = np.random.default_rng(0)
    x, w = rng.uniform(-1, 1, (m, k)).astype(np.float32), rng.uniform(-1, 1, (k, n)).astype(np.float32)
    x[:, ::12], w[::12] = 1.0, 1.0  # every block's scale is 1
    return x, w


def error(tile, x, w, seed=0):
    key_data = jax.random.key_data(jax.random.key(seed))
    return np.asarray(tile.matmul(jnp.asarray(x), tile.program(jnp.asarray(w), 1), key_data)) - x @ w


def test_operand_errors_have_the_mean_and_spread_of_the_fields_they_stand_for():
    """Brute force: every product with its own magnitudes and phase, x (1 + ε_x) w (1 + ε_w) cos φ.

    12,000 outputs on each side: relative standard errors of the mean squares below 2 %.
    """
    sigma_m, sigma_phase = 0.05, math.radians(20)
    x, w = operands()
    tile = dataclasses.replace(QUIET, magnitude_sigma=sigma_m, phase_sigma_rad=sigma_phase)
    ours = error(tile, x, w)
    rng = np.random.default_rng(1)
    shape = (M, K, N)
    fields = (1 + rng.normal(0, sigma_m, shape)) * (1 + rng.normal(0, sigma_m, shape))
    products = x[:, :, None] * w[None] * fields * np.cos(rng.normal(0, sigma_phase, shape))
    brute = products.sum(1) - x @ w
    shrink = (phase_noise_mean(sigma_phase) - 1) * (x @ w)
    assert (ours - shrink).var() == pytest.approx((brute - shrink).var(), rel=0.05)
    slope = np.vdot(ours, x @ w) / np.vdot(x @ w, x @ w)
    assert slope == pytest.approx(phase_noise_mean(sigma_phase) - 1, abs=0.005)


def test_output_error_grows_with_the_output():
    x, w = operands()
    tile = dataclasses.replace(QUIET, output_sigma=0.05, accumulation=2)  # one reading for all 24 terms
    relative = error(tile, x, w) / (x @ w)
    assert relative.std() == pytest.approx(0.05, rel=0.03)  # 12,000 outputs: 0.6 %
    assert relative.mean() == pytest.approx(0.0, abs=4 * 0.05 / math.sqrt(M * N))


def test_the_comb_lets_through_some_of_the_squares():
    """Fields through a splitter of every channel, added up on two diodes: |t x + k w|² − |k x − t w|²."""
    x, w = operands()
    spacing = 2e-9  # wide, so that the effect is far above rounding
    kappa = np.tile(splitter_dispersion(wdm_offsets_m(12, spacing)), 2)[None, :, None]
    t, k = np.sqrt(1 - kappa), np.sqrt(kappa)
    fields = x[:, :, None].astype(float), w[None].astype(float)
    currents = (t * fields[0] + k * fields[1]) ** 2 - (k * fields[0] - t * fields[1]) ** 2
    brute = currents.sum(1) / 2 - x @ w
    ours = error(dataclasses.replace(QUIET, channel_spacing_m=spacing), x, w)
    assert np.abs(brute).max() > 0.05
    assert ours == pytest.approx(brute, abs=2e-5)


def test_shot_noise_counts_the_photons_of_both_operands():
    """Var y = (Σ x² + Σ w²) / (4 n), n electrons of an operand at full scale: Poisson counts on two diodes."""
    x, w = operands(400, 12, 24)
    receiver = dataclasses.replace(QUIET.receiver, shot_noise=True)
    tile = dataclasses.replace(QUIET, receiver=receiver)
    n = float(tile.electrons_per_operand)
    normalised = error(tile, x, w) / np.sqrt((np.sum(x**2, 1)[:, None] + np.sum(w**2, 0)) / (4 * n))
    assert normalised.std() == pytest.approx(1.0, rel=0.03)  # 9,600 outputs: 0.7 %
    rng = np.random.default_rng(2)
    bright = n * np.sum((x[:1, :, None] + w[None]) ** 2, 1) / 2, n * np.sum((x[:1, :, None] - w[None]) ** 2, 1) / 2
    counts = rng.poisson(bright[0], (4000, 24)) - rng.poisson(bright[1], (4000, 24))
    per_product = counts / (2 * n) - x[:1] @ w
    predicted = (np.sum(x[0] ** 2) + np.sum(w**2, 0)) / (4 * n)
    assert per_product.var(0).mean() == pytest.approx(predicted.mean(), rel=0.03)


def test_shot_noise_falls_as_the_root_of_the_laser_s_power():
    x, w = operands(100, 12, 24)
    powers = [1e-4, 1e-3, 1e-2]
    receiver = dataclasses.replace(QUIET.receiver, shot_noise=True)
    tiles = [dataclasses.replace(QUIET, receiver=receiver, laser=Laser(p, 0.2, 1550e-9)) for p in powers]
    spreads = [error(tile, x, w).std() for tile in tiles]
    assert np.polyfit(np.log(powers), np.log(spreads), 1)[0] == pytest.approx(-0.5, abs=1e-3)


def test_accumulating_before_the_converter_rounds_less_often():
    """Error of an 8-bit converter over the partial sums of each reading: T readings of full scale R add T (R/L)²/12."""
    x, w = operands(300, 72, 24)
    variance = []
    for accumulation in (1, 3):
        tile = dataclasses.replace(QUIET, accumulation=accumulation, adc=Adc(8, 0.0))
        variance.append((error(tile, x, w) ** 2).mean())
        readings, span = 6 // accumulation, 12 * accumulation
        assert variance[-1] == pytest.approx(readings * (span / 127) ** 2 / 12, rel=0.06)
    assert variance[1] == pytest.approx(3 * variance[0], rel=0.1)  # but coarser: a code is worth three times as much
