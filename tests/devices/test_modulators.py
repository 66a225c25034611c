"""Modulators: whatever bends the light, the table makes it straight, and the ends are what the data sheet says."""

import dataclasses

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.devices import ElectroAbsorptionModulator, MachZehnderModulator, MetasurfaceModulator, switching_energy_j
from photonsim.errors import PhotonsimError

LT_MZM = MachZehnderModulator(2.0, 40e-15, insertion_loss_db=1.2, extinction_ratio_db=10.0)
ABSORBER = ElectroAbsorptionModulator(2.0, 10e-15, insertion_loss_db=3.0, extinction_ratio_db=8.0, exponent=1.5)
PIXEL = MetasurfaceModulator(
    mirror_loss_db=0.5,
    resonance_depth_db=15.0,
    quality_factor=1000.0,
    tuning_m_per_v=1e-9,
    swing_v=4.0,
    capacitance_f=1e-15,
)
MODULATORS = [LT_MZM, ABSORBER, PIXEL]
NAMES = [type(modulator).__name__ for modulator in MODULATORS]
VALUES = jnp.linspace(0.0, 1.0, 33)
each_modulator = pytest.mark.parametrize("modulator", MODULATORS, ids=NAMES)


def with_field(module, field, value):
    return dataclasses.replace(module, **{field: float(value)})


def db(ratio):
    return 10 * np.log10(float(ratio))


@each_modulator
def test_the_table_undoes_the_bend(modulator):
    through_table = modulator.transfer(modulator.voltage_v(VALUES))
    np.testing.assert_allclose(through_table, modulator.transmission(VALUES), rtol=2e-5, atol=2e-6)


@each_modulator
def test_the_ends_are_insertion_loss_and_extinction_ratio(modulator):
    bright, dark = modulator.transmission(1.0), modulator.transmission(0.0)
    assert -db(bright) == pytest.approx(float(modulator.insertion_loss_db), abs=1e-4)
    assert db(bright / dark) == pytest.approx(float(modulator.extinction_ratio_db), abs=1e-4)


@each_modulator
def test_values_are_written_as_a_straight_line_above_a_constant(modulator):
    """A finite extinction ratio adds `T_min Σ w` to a dot product, and nothing that depends on the inputs."""
    rng = np.random.default_rng(0)
    u, w = jnp.asarray(rng.uniform(size=64), jnp.float32), jnp.asarray(rng.uniform(-1, 1, 64), jnp.float32)
    swing = modulator.brightest - modulator.darkest
    light = jnp.sum(w * modulator.transmission(u))
    assert float(light) == pytest.approx(float(swing * (w @ u) + modulator.darkest * w.sum()), abs=1e-4)


@each_modulator
def test_nothing_is_amplified_and_more_value_is_more_light(modulator):
    untabled = np.asarray(modulator.untabled_transmission(VALUES))
    assert (np.diff(untabled) > -1e-6).all()
    assert untabled.min() > 0
    assert untabled.max() < 1


@each_modulator
def test_drive_energy_grows_as_the_square_of_the_swing(modulator):
    field = "half_wave_voltage_v" if isinstance(modulator, MachZehnderModulator) else "swing_v"
    swings = np.array([0.5, 1.0, 2.0, 4.0])
    energies = [with_field(modulator, field, swing).energy_j for swing in swings]
    assert np.polyfit(np.log(swings), np.log(energies), 1)[0] == pytest.approx(2.0, abs=1e-9)


@each_modulator
def test_gradients_of_the_light_are_finite_and_equal_finite_differences(modulator):
    at, step = 0.4, 1e-2
    through_table = lambda u: modulator.transfer(modulator.voltage_v(u))  # noqa: E731
    gradient = float(jax.grad(through_table)(at))
    difference = float(through_table(at + step) - through_table(at - step)) / (2 * step)
    assert np.isfinite(gradient)
    assert gradient == pytest.approx(difference, rel=1e-3)


def test_an_undistorted_mach_zehnder_is_a_cosine_about_quadrature():
    modulator = MachZehnderModulator(3.0, 0.0, insertion_loss_db=0.0, extinction_ratio_db=60.0)
    np.testing.assert_allclose(
        modulator.untabled_transmission(VALUES), 0.5 - 0.5 * np.cos(np.pi * np.asarray(VALUES)), atol=3e-6
    )
    assert float(modulator.transfer(jnp.asarray(1.5))) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize(("levels", "activity"), [(2, 1 / 2), (1001, 1 / 6)])
def test_activity_is_the_mean_squared_step_over_the_squared_swing(levels, activity):
    drive = np.random.default_rng(1).integers(0, levels, 400_000) / (levels - 1)
    steps = np.diff(drive) ** 2
    # steps that share a level are correlated; twice the independent standard error bounds it
    assert steps.mean() == pytest.approx(activity, abs=5 * 2 * steps.std() / np.sqrt(steps.size))


def test_forty_femtofarad_and_two_volt_are_eighty_femtojoule_at_every_full_swing():
    assert switching_energy_j(40e-15, 2.0, 1.0) == pytest.approx(80e-15)
    assert LT_MZM.energy_j == pytest.approx(40e-15)


def test_absorption_is_a_straight_line_in_db_for_an_exponent_of_one():
    modulator = ElectroAbsorptionModulator(2.0, 10e-15, insertion_loss_db=3.0, extinction_ratio_db=8.0)
    voltages = jnp.array([0.0, 0.5, 1.0, 2.0])
    np.testing.assert_allclose(-10 * np.log10(modulator.transfer(voltages)), [3, 5, 7, 11], rtol=1e-5)


def test_the_photocurrent_heats_only_a_dark_modulator():
    assert float(ABSORBER.photocurrent_power_w(1.0, 1e-3, 1.0)) == pytest.approx(0.0, abs=1e-8)
    absorbed_w = 1e-3 * (10**-0.3 - 10**-1.1)
    assert float(ABSORBER.photocurrent_power_w(0.0, 1e-3, 0.8)) == pytest.approx(0.8 * absorbed_w * 2.0, rel=1e-4)


def test_a_pixel_of_quality_one_thousand_follows_193_gigahertz():
    assert PIXEL.bandwidth_hz == pytest.approx(193.4e9, rel=1e-3)
    assert PIXEL.half_width_v == pytest.approx(0.775)


@settings(max_examples=20)
@given(st.floats(0.5, 20.0))
def test_a_pixel_cannot_beat_the_depth_of_its_resonance(swing_v):
    pixel = with_field(PIXEL, "swing_v", swing_v)
    assert 0 < float(pixel.extinction_ratio_db) < PIXEL.resonance_depth_db
    assert float(pixel.insertion_loss_db) > PIXEL.mirror_loss_db


def test_more_swing_is_more_contrast_and_less_loss():
    pixels = [with_field(PIXEL, "swing_v", swing) for swing in (1.0, 2.0, 4.0, 8.0)]
    assert (np.diff([float(pixel.extinction_ratio_db) for pixel in pixels]) > 0).all()
    assert (np.diff([float(pixel.insertion_loss_db) for pixel in pixels]) < 0).all()


def test_an_impossible_modulator_is_refused():
    with pytest.raises(PhotonsimError, match="extinction_ratio_db"):
        MachZehnderModulator(2.0, 40e-15, insertion_loss_db=1.2, extinction_ratio_db=0.0)
    with pytest.raises(PhotonsimError, match="quality_factor"):
        with_field(PIXEL, "quality_factor", 0.0)
