"""An incoherent crossbar against its own parts: its noise is the receiver's, its light the link budget's, and the
gradients of its error are the exponents of those laws."""

import dataclasses
import math

import equinox as eqx
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import Chip, load_chip
from photonsim.devices import LinkBudget, Loss, Receiver, SplitterTree
from photonsim.tiles import Crossbar

ROWS, COLUMNS = 64, 16
RECEIVER = Receiver(responsivity_a_per_w=1.0, energy_j=0.0, dark_current_a=35e-9, tia_noise_a_per_sqrt_hz=5e-12)
SHOT_LIMITED = Receiver(responsivity_a_per_w=1.0, energy_j=0.0)
LINK = LinkBudget((Loss("coupler", 2.0), Loss("modulator", 1.2), SplitterTree(ROWS, 0.1)), fan_out=COLUMNS)


def crossbar(chip: Chip) -> Crossbar:
    """The chip's tile, known to be a crossbar."""
    assert isinstance(chip.tile, Crossbar)
    return chip.tile


def crossbar_chip(receiver, power_w=1e-3):
    """The ideal chip with light, losses and a receiver, its converters unlimited."""
    chip = load_chip("ideal")
    ideal = crossbar(chip)
    tile = dataclasses.replace(
        ideal,
        rows=ROWS,
        columns=COLUMNS,
        insertion_loss_db=LINK.excess_loss_db,
        laser=dataclasses.replace(ideal.laser, power_w=power_w),
        receiver=receiver,
    )
    return dataclasses.replace(chip, tile=tile)


def answers(chip, x, w, seed=0):
    return chip.matmul(x, chip.program(w), jax.random.key(seed), "jax")


def test_the_tiles_light_is_that_of_its_link_budget():
    tile = crossbar(crossbar_chip(RECEIVER))
    assert float(tile.power_per_mac_w) == pytest.approx(float(LINK.detected_power_w(tile.laser.power_w)), rel=1e-5)
    photons = LINK.photons_per_symbol(tile.laser, tile.clock_hz)
    assert float(tile.photons_per_mac) == pytest.approx(float(photons), rel=1e-5)


@pytest.mark.parametrize("bright_rows", [1, 8, 64])
def test_the_bits_of_a_column_are_those_of_its_receivers_noise_budget(bright_rows):
    """With n rows at full scale and the others dark, a column's diodes see n times the light of one product."""
    chip, readings = crossbar_chip(RECEIVER), 4000
    x = jnp.zeros((readings, ROWS), jnp.float32).at[:, :bright_rows].set(1.0)
    y = np.asarray(answers(chip, x, jnp.ones((ROWS, COLUMNS), jnp.float32)), dtype=np.float64)
    tile = crossbar(chip)
    budget = tile.receiver.noise_budget(bright_rows * float(tile.power_per_mac_w), tile.clock_hz / 2)
    # the variance of n draws has a relative standard error √(2/n), and the SNR takes half of it in bits of 6.02 dB
    tolerance = 5 * math.sqrt(2 / y.size) * 10 / math.log(10) / 6.02
    bits = (20 * math.log10(y.mean() / y.std()) - 1.76) / 6.02
    assert bits == pytest.approx(float(budget.enob), abs=tolerance + 1e-3)


def squared_error(setting, value, chip):
    """Mean squared error of a fixed product under fixed noise, with one number of the chip set to `value`."""
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.uniform(-1, 1, shape), jnp.float32) for shape in [(32, ROWS), (ROWS, COLUMNS)])
    changed = eqx.tree_at(setting, chip, jnp.asarray(value, jnp.float32))
    exact = jnp.matmul(x, w, precision=jax.lax.Precision.HIGHEST)
    return jnp.mean((answers(changed, x, w) - exact) ** 2)


def noisy_converter(gain):
    chip = crossbar_chip(Receiver(1.0, 0.0, shot_noise=False))
    tile = crossbar(chip)
    adc = dataclasses.replace(tile.adc, noise_rms=1e-2, gain=gain)
    return dataclasses.replace(chip, tile=dataclasses.replace(tile, adc=adc))


@pytest.mark.parametrize(
    ("setting", "at", "step", "chip", "slope"),
    [
        (lambda chip: chip.tile.laser.power_w, 1e-3, 1e-4, crossbar_chip(SHOT_LIMITED), lambda e, p: -e / p),
        (
            lambda chip: chip.tile.insertion_loss_db,
            3.0,
            0.1,
            crossbar_chip(SHOT_LIMITED),
            lambda e, _: e * math.log(10) / 10,
        ),
        (lambda chip: chip.tile.adc.gain, 4.0, 0.1, noisy_converter(4.0), lambda e, gain: -2 * e / gain),
    ],
    ids=["laser power", "loss", "gain"],
)
def test_the_error_falls_with_light_and_gain_as_its_law_says(setting, at, step, chip, slope):
    """Shot noise: E ∝ 1/P, so dE/dP = -E/P and dE/dloss = E ln 10 / 10; a converter's own noise: E ∝ 1/gain²."""
    error = lambda value: squared_error(setting, value, chip)  # noqa: E731
    gradient = float(jax.grad(error)(at))
    difference = float(error(at + step) - error(at - step)) / (2 * step)
    assert np.isfinite(gradient)
    assert gradient == pytest.approx(slope(float(error(at)), at), rel=1e-3)
    # a central difference of x^-n over ±h is off by n (n + 1) (h/x)² / 6 … of its slope: 1 % at h = x/10
    assert gradient == pytest.approx(difference, rel=0.015)
