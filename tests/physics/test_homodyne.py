"""Time-multiplexed homodyne detection: the standard quantum limit, and that longer sums need less light."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.converters import Adc, Dac
from photonsim.devices import Laser, Modulator, Receiver
from photonsim.tiles import Homodyne
from photonsim.units import ELEMENTARY_CHARGE_C

TILE = Homodyne(
    rows=100,
    columns=50,
    integration_steps=4096,
    clock_hz=1e9,
    insertion_loss_db=3.0,
    laser=Laser(power_w=1e-6, wall_plug_efficiency=0.2, wavelength_m=1550e-9),
    input_dac=Dac(None, 0.0),
    weight_dac=Dac(None, 0.0),
    modulator=Modulator(0.0),
    receiver=Receiver(responsivity_a_per_w=1.2501635, energy_j=0.0),  # one electron per photon
    adc=Adc(None, 0.0),
)


def error(tile, x, w):
    key_data = jax.random.key_data(jax.random.key(0))
    return np.asarray(tile.matmul(jnp.asarray(x), tile.program(jnp.asarray(w), 1), key_data)) - x @ w


def signs(k, seed=0):
    """Operands of equal power: every value at full scale, so ||x||² = ||w||² = k."""
    rng = np.random.default_rng(seed)
    return rng.choice([-1.0, 1.0], (100, k)).astype(np.float32), rng.choice([-1.0, 1.0], (k, 50)).astype(np.float32)


@pytest.mark.parametrize("k", [16, 1024])
def test_equal_arms_reach_the_standard_quantum_limit(k):
    """y = Σ w x + ||w|| ||x|| / √(k n_mac) N(0, 1), n_mac photons of both arms per multiplication."""
    x, w = signs(k)
    photons = float(TILE.photons_per_mac)
    expected = np.sqrt(k) * np.sqrt(k) / np.sqrt(k * photons)
    assert error(TILE, x, w).std() == pytest.approx(expected, rel=0.03)  # 5,000 outputs: 1 %


def test_photons_per_multiplication_follow_from_the_laser():
    per_second = 1e-6 / 10**0.3 / (100 * 50) / 1.2815e-19  # all light, on one of 5,000 detectors
    assert float(TILE.photons_per_mac) == pytest.approx(per_second / 1e9, rel=1e-3)
    assert float(TILE.electrons_per_operand) == pytest.approx(float(TILE.photons_per_mac) / 2, rel=1e-4)


def test_longer_sums_need_fewer_photons_per_multiplication():
    """At a fixed relative error of the output, energy per MAC ∝ 1/K: relative to √K √K, the error goes as K^(−1/2)."""
    lengths = [16, 128, 1024]
    relative = [error(TILE, *signs(k)).std() / k for k in lengths]
    assert np.polyfit(np.log(lengths), np.log(relative), 1)[0] == pytest.approx(-0.5, abs=0.02)


def test_amplifier_noise_adds_up_over_the_integration():
    """Charge of i_n over k symbols of 1/f: variance i_n² k / (2 f); a product at full scale is 2 R P / f."""
    x, w = signs(256)
    noise = 5e-12
    receiver = Receiver(1.0, 0.0, tia_noise_a_per_sqrt_hz=noise, shot_noise=False)
    tile = dataclasses.replace(TILE, receiver=receiver, integration_steps=256, laser=Laser(1e-2, 0.2, 1550e-9))
    product_c = 2 * float(tile.operand_power_w) / 1e9
    expected = np.sqrt(noise**2 * 256 / 2e9) / product_c
    assert error(tile, x, w).std() == pytest.approx(expected, rel=0.03)
    assert product_c > ELEMENTARY_CHARGE_C


def test_a_phase_between_the_arms_shrinks_the_product():
    x, w = np.ones((100, 64), np.float32), np.ones((64, 50), np.float32)
    receiver = dataclasses.replace(TILE.receiver, shot_noise=False)
    tile = dataclasses.replace(TILE, receiver=receiver, phase_sigma_rad=0.3)
    mean, spread = np.exp(-(0.3**2) / 2), (1 - np.exp(-(0.3**2))) / np.sqrt(2)
    measured = error(tile, x, w)
    assert measured.mean() == pytest.approx(64 * (mean - 1), abs=4 * spread * 8 / np.sqrt(5000))
    assert measured.std() == pytest.approx(8 * spread, rel=0.04)  # 64 products: √64 of one; 5,000 outputs: 1 %
