"""The parts of a mesh: splitters over a comb of wavelengths, phase shifters and their heat, the 2 × 2 cell."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.devices.directional_coupler import DirectionalCoupler, splitter_dispersion, wdm_offsets_m
from photonsim.devices.mach_zehnder_interferometer import (
    cell_matrix,
    fit_cell,
    phase_noise_mean,
    phase_noise_standard_deviation,
)
from photonsim.devices.phase_shifter import ELECTRO_OPTIC, MEMS, THERMO_OPTIC, PhaseShifter
from photonsim.errors import PhotonsimError

angles = st.floats(-7, 7)
small = st.floats(-0.2, 0.2)


def test_a_coupler_of_a_quarter_turn_divides_equally_and_any_keeps_power():
    coupler = DirectionalCoupler()
    assert float(coupler.cross_coupling) == pytest.approx(0.5)
    for angle in (0.0, 0.3, math.pi / 4, 2.0):
        matrix = np.asarray(DirectionalCoupler(angle).matrix())
        assert matrix @ matrix.conj().T == pytest.approx(np.eye(2), abs=1e-6)


def test_splitters_of_a_comb_err_as_published():
    """Lightening-Transformer, 12 channels 0.4 nm apart: 2κ − 1 is −0.008883 at the first and +0.008936 at the last."""
    imbalance = 2 * splitter_dispersion(wdm_offsets_m(12, 0.4e-9)) - 1
    assert imbalance[[0, -1]] == pytest.approx([-0.008883, 0.008936], abs=1e-6)
    assert (np.diff(imbalance) > 0).all()
    assert splitter_dispersion(np.array(0.0)) == pytest.approx(0.5)
    assert wdm_offsets_m(3, 1e-9) == pytest.approx([-1e-9, 0.0, 1e-9])


@given(angles, angles, small, small)
def test_a_cell_is_unitary_whatever_its_phases_and_splitters(theta, phi, alpha, beta):
    matrix = cell_matrix(*(np.array(v) for v in (theta, phi, alpha, beta)))
    assert np.abs(matrix @ matrix.conj().T - np.eye(2)).max() < 1e-14


def test_equal_splitters_give_the_cell_of_the_textbook():
    theta, phi = 0.7, 1.9
    half = theta / 2
    textbook = (
        1j
        * np.exp(1j * half)
        * np.array([[np.exp(1j * phi) * np.sin(half), np.cos(half)], [np.exp(1j * phi) * np.cos(half), -np.sin(half)]])
    )
    assert np.abs(cell_matrix(np.array(theta), np.array(phi), np.array(0.0), np.array(0.0)) - textbook).max() < 1e-15


@given(angles, angles, angles, angles, small, small)
def test_unequal_splitters_are_made_up_for_exactly_within_their_reach(theta, phi, d0, d1, alpha, beta):
    alpha, beta = np.array(alpha), np.array(beta)
    zero = np.array(0.0)
    target = np.exp(1j * np.array([d0, d1]))[:, None] * cell_matrix(np.array(theta), np.array(phi), zero, zero)
    fit = fit_cell(target, alpha, beta)
    made = np.exp(1j * fit[2])[:, None] * cell_matrix(fit[0], fit[1], alpha, beta)
    through, crossed = abs(target[0, 0]), abs(target[0, 1])
    short = max(abs(math.sin(alpha + beta)) - through, abs(math.sin(alpha - beta)) - crossed, 0.0)
    # just inside the reach the division goes as the root of what is left of it: rounding of 1e-16 becomes 1e-8
    assert np.abs(made - target).max() <= 2 * short + 1e-7


def test_phase_noise_leaves_the_published_share_of_an_interference():
    for degrees, mean, spread in ((2, 0.999391, 0.000861), (7, 0.992565, 0.010476)):
        sigma = math.radians(degrees)
        assert phase_noise_mean(sigma) == pytest.approx(mean, abs=5e-7)
        assert phase_noise_standard_deviation(sigma) == pytest.approx(spread, abs=5e-7)
        cosines = np.cos(np.random.default_rng(0).normal(0, sigma, 200_000))
        assert cosines.mean() == pytest.approx(mean, abs=4 * spread / math.sqrt(2e5))
        assert cosines.std() == pytest.approx(spread, rel=0.02)  # kurtosis 15: relative standard error 0.4 %


def test_heaters_pay_for_holding_and_the_others_do_not():
    assert float(THERMO_OPTIC.hold_power_w(-math.pi)) == pytest.approx(30e-3)
    phases = np.random.default_rng(0).uniform(-math.pi, math.pi, 20_000)
    assert np.asarray(THERMO_OPTIC.hold_power_w(phases)).mean() == pytest.approx(
        THERMO_OPTIC.mean_hold_power_w, rel=0.02
    )
    assert MEMS.mean_hold_power_w < 1e-6 * THERMO_OPTIC.mean_hold_power_w
    assert ELECTRO_OPTIC.mean_hold_power_w == 0.0
    assert ELECTRO_OPTIC.response_time_s < MEMS.response_time_s < THERMO_OPTIC.response_time_s


def test_heat_reaches_neighbours_and_dies_out_with_distance():
    row = jnp.array([0.0, 0.0, -1.0, 0.0], jnp.float32)
    warmed = PhaseShifter(30e-3, 1e-5, crosstalk=0.1).heat_neighbours(row)
    assert np.asarray(warmed) == pytest.approx([0.01, 0.1, -1.0, 0.1], abs=1e-6)
    assert np.array_equal(PhaseShifter(30e-3, 1e-5).heat_neighbours(row), row)


def test_a_phase_is_set_modulo_a_turn_to_the_nearest_step():
    shifter = PhaseShifter(0.0, 0.0, bits=4)
    step = 2 * math.pi / 16
    wanted = jnp.array([0.0, 2 * math.pi + 0.6 * step, -3 * math.pi / 2])
    assert np.asarray(shifter.set_phases(wanted, jnp.zeros(3))) == pytest.approx([0, step, math.pi / 2], abs=1e-5)
    noisy = PhaseShifter(0.0, 0.0, phase_sigma_rad=0.02).set_phases(jnp.zeros(3), jnp.array([-1.0, 0.0, 2.0]))
    assert np.asarray(noisy) == pytest.approx([-0.02, 0.0, 0.04], abs=1e-6)


@pytest.mark.parametrize("wrong", [{"pi_power_w": -1.0}, {"bits": 0}, {"crosstalk": 1.0}, {"response_time_s": -1e-6}])
def test_a_shifter_that_cannot_be_is_refused(wrong):
    with pytest.raises(PhotonsimError, match=next(iter(wrong))):
        PhaseShifter(**({"pi_power_w": 0.0, "response_time_s": 0.0} | wrong))
