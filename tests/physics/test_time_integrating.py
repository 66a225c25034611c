"""The time-integrating receiver: shot noise of all the light, amplifier noise of all the time."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.converters import Adc, Bend, Dac
from photonsim.devices import Laser, LinearModulator, Modulator, Receiver
from photonsim.tiles import TimeIntegrating

TILE = TimeIntegrating(
    rows=1,
    columns=16,
    integration_steps=1000,
    clock_hz=1e9,
    insertion_loss_db=20.0,
    laser=Laser(power_w=1e-4, wall_plug_efficiency=0.2, wavelength_m=1550e-9),
    input_dac=Dac(None, 0.0),
    weight_dac=Dac(None, 0.0),
    modulator=Modulator(0.0),
    weight_modulator=Modulator(0.0),
    receiver=Receiver(responsivity_a_per_w=1.2501635, energy_j=0.0),  # one electron per photon
    adc=Adc(None, 0.0),
)


def error(tile, x, w):
    key_data = jax.random.key_data(jax.random.key(0))
    product = tile.matmul(jnp.asarray(x), tile.program(jnp.asarray(w), 1), key_data, "jax")
    return np.asarray(product) - x.astype(float) @ w


def operands(k):
    rng = np.random.default_rng(0)
    x, w = rng.uniform(0, 1, (300, k)).astype(np.float32), rng.uniform(-1, 1, (k, 16)).astype(np.float32)
    x[:, 0], w[0] = 1.0, 1.0  # the scales are 1
    return x, w


def test_shot_noise_is_that_of_all_the_light_of_the_integration():
    """Var y = Σ |x w| / n, n photons of a full-scale product: Poisson counts of two rails, subtracted."""
    x, w = operands(200)
    photons = float(TILE.photons_per_mac)
    normalised = error(TILE, x, w) / np.sqrt(np.abs(x) @ np.abs(w) / photons)
    assert normalised.std() == pytest.approx(1.0, rel=0.03)  # 4,800 outputs: 1 %


def test_photons_follow_from_the_laser_the_fibre_and_the_wavelengths():
    energy_j = 1e-4 / 100 / 16 / 1e9  # 20 dB of loss, 16 wavelengths, 1 ns
    assert float(TILE.photons_per_mac) == pytest.approx(energy_j / 1.28157e-19, rel=1e-4)


@pytest.mark.parametrize("k", [100, 1500])
def test_amplifier_noise_grows_with_the_time_that_was_integrated(k):
    """Charge of i_n in k symbols: i_n² k / (2 f), whether read once or, after 1000 symbols, twice."""
    x, w = operands(k)
    if k > 1000:
        x[:, 1000], w[1000] = 1.0, 1.0  # the second stretch's scales too
    receiver = Receiver(1.0, 0.0, tia_noise_a_per_sqrt_hz=5e-12, shot_noise=False)
    tile = dataclasses.replace(TILE, receiver=receiver)
    expected = np.sqrt((5e-12) ** 2 * k / 2e9) / (float(tile.power_per_mac_w) / 1e9)
    assert error(tile, x, w).std() == pytest.approx(expected, rel=0.04)


def test_a_client_s_modulator_loses_leaks_and_bends_as_in_front_of_any_cell():
    """Its loss is the path's; its light at zero is shot noise of every weight; its curve bends what it writes."""
    lossy = LinearModulator(1e-14, insertion_loss_db=3.0, extinction_ratio_db=10.0)
    dimmed = dataclasses.replace(TILE, modulator=lossy)
    assert float(TILE.photons_per_mac / dimmed.photons_per_mac) == pytest.approx(10**0.3, rel=1e-5)
    x, w = operands(200)
    x[:] = 0.0
    x[:, 0], w[0] = 1.0, 0.0  # light at zero alone
    found = error(dimmed, x, w).std(0)
    leaked = 2 * 0.1 / 0.9 * np.abs(w).sum(0) / float(dimmed.electrons_per_mac)
    scale = np.abs(w).max(0)  # the columns' own, in bfloat16: 0.4 %
    # 300 readings know a spread to 4.1 %
    np.testing.assert_allclose(found, np.sqrt(leaked * scale), rtol=4 * 0.041 + 0.01)
    quiet = dataclasses.replace(TILE, receiver=dataclasses.replace(TILE.receiver, shot_noise=False))
    bent = dataclasses.replace(quiet, input_bend=Bend(cubic=-0.2))
    x, w = operands(200)
    expected = (x - 0.2 * x.astype(float) ** 3) @ w - x.astype(float) @ w
    np.testing.assert_allclose(error(bent, x, w), expected, atol=200 * 2**-22)
