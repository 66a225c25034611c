"""Error and energy against laser power, loss and gain: gradients are finite and equal finite differences, whatever
way signs travel and whatever drives the modulators."""

import math

import equinox as eqx
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import load_chip, override
from photonsim.cost.energy import price

ROWS, COLUMNS = 16, 8
NOISY = {
    "tile.rows": ROWS,
    "tile.columns": COLUMNS,
    "laser.power_w": 1e-4,
    "laser.wall_plug_efficiency": 0.2,
    "tile.insertion_loss_db": 3.0,
    "receiver.shot_noise": True,
    "receiver.tia_noise_a_per_sqrt_hz": 1e-11,
    "laser.rin_db_per_hz": -140.0,
    "adc.noise_rms": 1e-3,
}
MODULATOR = {"kind": "linear", "energy_j": 1e-13, "insertion_loss_db": 1.2, "extinction_ratio_db": 10.0}
CHIPS = {
    name: override(load_chip("ideal"), NOISY | changes)
    for name, changes in {
        "differential": {},
        "offset": {"tile.encoding": "offset"},
        "two-pass, leaking": {"tile.encoding": "two-pass", "tile.modulator": MODULATOR},
    }.items()
}
SETTINGS = {
    "laser power": (lambda chip: chip.tile.laser.power_w, 1e-4),
    "loss": (lambda chip: chip.tile.insertion_loss_db, 3.0),
    "gain": (lambda chip: chip.tile.adc.gain, 1.0),
}


def squared_error(chip):
    """Mean squared error of a fixed product under fixed noise."""
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.uniform(-1, 1, shape), jnp.float32) for shape in [(32, ROWS), (ROWS, COLUMNS)])
    exact = jnp.matmul(x, w, precision="highest")
    return jnp.mean((chip.matmul(x, chip.program(w), jax.random.key(0), "jax") - exact) ** 2)


@pytest.mark.parametrize("name", ["offset", "two-pass, leaking"])  # the differential one: test_incoherent_crossbar.py
def test_the_error_has_the_gradient_of_its_finite_differences(name):
    @jax.jit
    def error(values):
        chip = eqx.tree_at(lambda chip: [find(chip) for find, _ in SETTINGS.values()], CHIPS[name], list(values))
        return squared_error(chip)

    at = jnp.asarray([value for _, value in SETTINGS.values()], jnp.float32)
    gradient = np.asarray(jax.grad(error)(at)) * np.asarray(at)  # per relative change
    assert np.isfinite(gradient).all()
    for n, slope in enumerate(gradient):
        step = 0.05
        ends = [float(error(at.at[n].multiply(1 + sign * step))) for sign in (1, -1)]
        difference = (ends[0] - ends[1]) / (2 * step)
        # a central difference of x^-2 is off by 2 h² of its slope; float32 sums of squares by some 1e-6 of the error
        assert slope == pytest.approx(difference, rel=0.02, abs=2e-4 * float(error(at)))
    assert gradient[0] < 0 < gradient[1]  # more light helps, more loss hurts
    assert gradient[2] < 0  # so does amplification, against the converter's own noise


@pytest.mark.parametrize("name", ["laser power", "loss", "gain"])
def test_energy_has_the_gradient_of_its_finite_differences(name):
    """Energy of a product whose detected light is held: `P = P_d / T`, so dE/dloss is that of the laser, ln 10/10 E."""
    chip = CHIPS["differential"]
    find, at = SETTINGS[name]
    detected_w = float(chip.tile.power_per_mac_w)  # pyright: ignore[reportAttributeAccessIssue]

    def energy_j(value):
        changed = eqx.tree_at(find, chip, value)
        if name == "loss":
            laser_w = changed.tile.link.laser_power_w(detected_w)
            changed = eqx.tree_at(lambda chip: chip.tile.laser.power_w, changed, laser_w)
        return price(changed, changed.events(1, 100, ROWS, COLUMNS), 1e-6).total_j

    gradient, energy = float(jax.grad(energy_j)(at)), float(energy_j(at))
    difference = float(energy_j(1.02 * at) - energy_j(0.98 * at)) / (0.04 * at)
    assert np.isfinite(gradient)
    assert gradient == pytest.approx(difference, rel=1e-3, abs=1e-12 * energy)
    laser_j = 4 * 1e-6 * 1e-4 / 0.2  # four cores, for a microsecond
    expected = {"laser power": laser_j / 1e-4, "loss": math.log(10) / 10 * laser_j, "gain": 0.0}[name]
    assert gradient == pytest.approx(expected, rel=1e-3)
