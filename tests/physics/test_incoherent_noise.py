"""Noise at a receiver: exponents, ceilings, and the closed forms against photons counted one by one."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.devices import Laser, Receiver, ideal_responsivity_a_per_w, johnson_noise_a_per_sqrt_hz
from photonsim.errors import PhotonsimError
from photonsim.units import ELEMENTARY_CHARGE_C, db_from_ratio, photon_energy_j

TELECOM_M = 1550e-9
QUIET = Receiver(responsivity_a_per_w=1.0, energy_j=0.0)
REAL = Receiver(responsivity_a_per_w=1.0, energy_j=0.0, dark_current_a=35e-9, tia_noise_a_per_sqrt_hz=5e-12)
ORDINARY = Laser(power_w=0.01, wall_plug_efficiency=0.2, wavelength_m=TELECOM_M, rin_db_per_hz=-140.0)


def slope(x, y):
    """Exponent of a power law between two arrays."""
    return np.polyfit(np.log(np.asarray(x, float)), np.log(np.asarray(y, float)), 1)[0]


def test_photon_energy_and_ideal_responsivity_at_1550_nm():
    assert float(photon_energy_j(TELECOM_M)) == pytest.approx(1.2816e-19, rel=1e-4)
    assert float(ideal_responsivity_a_per_w(TELECOM_M)) == pytest.approx(1.25, rel=1e-3)
    assert float(ideal_responsivity_a_per_w(1310e-9)) == pytest.approx(1.056, rel=1e-3)


def test_johnson_noise_of_fifty_ohms():
    assert johnson_noise_a_per_sqrt_hz(50.0) == pytest.approx(18.2e-12, rel=1e-3)


@pytest.mark.parametrize(
    ("rin_db_per_hz", "bandwidth_hz", "bits"),
    [(-140, 1e9, 8.0), (-140, 5e9, 6.9), (-140, 10e9, 6.35), (-140, 28e9, 5.6), (-150, 1e9, 9.7), (-160, 10e9, 9.7)],
)
def test_intensity_noise_sets_a_ceiling_in_bits(rin_db_per_hz, bandwidth_hz, bits):
    laser = Laser(0.01, 0.2, TELECOM_M, rin_db_per_hz)
    assert float(laser.enob_ceiling(bandwidth_hz)) == pytest.approx(bits, abs=0.06)  # the source prints one decimal


def test_a_laser_is_noiseless_unless_its_noise_is_given():
    assert float(Laser(0.01, 0.2, TELECOM_M).enob_ceiling(100e9)) > 14


def test_noise_current_grows_as_the_root_of_power_then_as_power():
    power_w = np.logspace(-8, -3, 11)
    budget = REAL.noise_budget(power_w, 0.5e9, ORDINARY.rin_per_hz)
    assert slope(power_w, np.sqrt(budget.shot_variance_a2)) == pytest.approx(0.5, abs=1e-6)
    assert slope(power_w, np.sqrt(budget.intensity_variance_a2)) == pytest.approx(1.0, abs=1e-6)
    assert np.ptp(budget.amplifier_variance_a2 + budget.dark_variance_a2 + 0 * power_w) == 0


@pytest.mark.parametrize(("low_w", "high_w", "exponent"), [(1e-8, 1e-7, 2.0), (5e-3, 5e-2, 1.0)])
def test_snr_grows_as_power_squared_under_the_amplifier_and_as_power_under_shot_noise(low_w, high_w, exponent):
    power_w = np.geomspace(low_w, high_w, 5)
    assert slope(power_w, REAL.noise_budget(power_w, 0.5e9).snr) == pytest.approx(exponent, abs=0.02)


def test_bits_against_power_rise_and_fall_onto_the_ceiling():
    power_w = np.geomspace(1e-8, 10.0, 40)
    bits = np.asarray(REAL.noise_budget(power_w, 1e9, ORDINARY.rin_per_hz).enob)
    ceiling = float(ORDINARY.enob_ceiling(1e9))
    assert (np.diff(bits) > -1e-5).all()
    assert (bits < ceiling + 1e-5).all()
    assert bits[-1] == pytest.approx(ceiling, abs=1e-3)


def test_eight_bits_at_the_shot_limit_take_98_thousand_photons():
    receiver = Receiver(responsivity_a_per_w=float(ideal_responsivity_a_per_w(TELECOM_M)), energy_j=0.0)
    rate_hz = 1e9
    energy_j = float(receiver.power_for_enob_w(8, rate_hz / 2)) / rate_hz
    assert energy_j / 1.2816e-19 == pytest.approx(9.8e4, rel=5e-3)
    assert energy_j == pytest.approx(12.6e-15, rel=5e-3)


def test_eight_bits_under_an_amplifier_of_5_pa_take_49_fj():
    """The published figure takes 1 A/W and a noise bandwidth of the whole symbol rate, not its half."""
    receiver = Receiver(1.0, 0.0, tia_noise_a_per_sqrt_hz=5e-12, shot_noise=False)
    assert float(receiver.power_for_enob_w(8, 1e9)) / 1e9 == pytest.approx(49.5e-15, rel=5e-3)
    assert float(receiver.power_for_enob_w(8, 10e9)) / 10e9 == pytest.approx(15.7e-15, rel=5e-3)


@pytest.mark.parametrize("bits", [2, 4, 6, 7.5])
def test_power_for_bits_inverts_the_budget(bits):
    power_w = REAL.power_for_enob_w(bits, 0.5e9, ORDINARY.rin_per_hz)
    assert float(REAL.noise_budget(power_w, 0.5e9, ORDINARY.rin_per_hz).enob) == pytest.approx(bits, abs=1e-4)


def test_bits_above_the_ceiling_are_refused_as_physics():
    with pytest.raises(PhotonsimError, match="no optical power reaches"):
        REAL.power_for_enob_w(9, 1e9, ORDINARY.rin_per_hz)


def test_levels_told_apart_without_error_need_28_microwatts():
    assert QUIET.level_power_w(2e-6) == pytest.approx(28e-6)
    assert float(db_from_ratio(QUIET.level_power_w(2e-6) / 1e-3)) == pytest.approx(-15.5, abs=0.03)


def test_balanced_detection_cancels_the_tremor_that_the_rails_share():
    equal = QUIET.noise_budget(1e-3, 1e9, ORDINARY.rin_per_hz, minus_power_w=1e-3)
    assert float(equal.intensity_variance_a2) == 0.0
    assert float(equal.shot_variance_a2) == pytest.approx(2 * ELEMENTARY_CHARGE_C * 2e-3 * 1e9)
    unmatched = QUIET.noise_budget(1e-3, 1e9, ORDINARY.rin_per_hz, minus_power_w=1e-3, mismatch=0.02)
    assert float(unmatched.signal_a) == pytest.approx(0.02 * 1e-3, rel=1e-5)


def test_counted_photoelectrons_have_the_predicted_variance():
    """Photoelectrons of a trembling laser, counted, with an amplifier's noise: mean and variance of the current."""
    power_w, rate_hz, draws = 2e-6, 1e9, 200_000
    rng = np.random.default_rng(3)
    rin_per_hz = 1e-13  # -130 dB/Hz, so that all noises matter
    trembling_w = power_w * (1 + np.sqrt(rin_per_hz * rate_hz / 2) * rng.standard_normal(draws))
    light = rng.poisson(trembling_w / rate_hz / ELEMENTARY_CHARGE_C)
    dark = rng.poisson(35e-9 / rate_hz / ELEMENTARY_CHARGE_C, (2, draws))
    amplifier_a = 5e-12 * np.sqrt(rate_hz / 2) * rng.standard_normal(draws)
    current_a = (light + dark[0] - dark[1]) * ELEMENTARY_CHARGE_C * rate_hz + amplifier_a
    budget = REAL.noise_budget(power_w, rate_hz / 2, rin_per_hz)
    standard_error = np.sqrt(2 / draws)  # of the variance of a near-normal variable
    assert current_a.var() == pytest.approx(float(budget.variance_a2), rel=5 * standard_error)
    assert current_a.mean() == pytest.approx(float(budget.signal_a), abs=5 * current_a.std() / np.sqrt(draws))


@pytest.mark.parametrize("argument", ["power", "rin"])
def test_gradients_of_bits_are_finite_and_equal_finite_differences(argument):
    def bits(log_value):
        power_w = jnp.exp(log_value) if argument == "power" else 1e-4
        rin_per_hz = jnp.exp(log_value) if argument == "rin" else 1e-14
        return REAL.noise_budget(power_w, 0.5e9, rin_per_hz).enob

    at, step = float(np.log(1e-5 if argument == "power" else 1e-14)), 0.05
    gradient = float(jax.grad(bits)(at))
    difference = float(bits(at + step) - bits(at - step)) / (2 * step)
    assert np.isfinite(gradient)
    assert gradient == pytest.approx(difference, rel=5e-3)
