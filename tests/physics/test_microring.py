"""The microring against its textbook laws: width, drift, crosstalk, and the bits that it leaves."""

import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.devices.microring import Microring, channel_capacity, crosstalk, crosstalk_limited_bits
from photonsim.errors import PhotonsimError

RING = Microring(resonance_m=1550e-9, quality_factor=1e4)


def channels(count, spacing_m=0.8e-9):
    return 1550e-9 + spacing_m * np.arange(count)


@pytest.mark.parametrize("q", [5e3, 1e4, 2e4])
def test_half_of_the_light_is_dropped_half_a_width_away(q):
    ring = Microring(resonance_m=1550e-9, quality_factor=q)
    assert float(ring.drop(ring.fwhm_m / 2)) == pytest.approx(0.5, rel=1e-6)
    assert float(ring.drop(-ring.fwhm_m / 2)) == pytest.approx(0.5, rel=1e-6)
    assert float(ring.drop(0.0)) == 1.0
    assert ring.fwhm_m == pytest.approx(1550e-9 / q)


def test_the_width_in_hertz_and_the_lifetime_of_a_photon_are_one_number():
    """Δν = c FWHM / λ² = 1 / (2π τ)."""
    width_hz = 299_792_458.0 * RING.fwhm_m / RING.resonance_m**2
    assert 1 / (2 * math.pi * RING.photon_lifetime_s) == pytest.approx(width_hz)
    assert width_hz == pytest.approx(19.34e9, rel=1e-3)


@pytest.mark.parametrize("loss_db", [0.0, 0.93, 3.0])
def test_a_ring_gives_out_no_more_than_it_takes_in(loss_db):
    ring = Microring(resonance_m=1550e-9, quality_factor=1e4, insertion_loss_db=loss_db)
    detuning = jnp.linspace(-1e-9, 1e-9, 201)
    total = ring.drop(detuning) + ring.through(detuning)
    assert float(total.max()) <= 1 + 1e-6
    assert float(total[100]) == pytest.approx(10 ** (-loss_db / 10), rel=1e-6)


def test_a_weight_is_reached_by_the_detuning_that_is_computed_for_it():
    weights = jnp.linspace(-0.98, 1.0, 100)
    np.testing.assert_allclose(RING.weight(RING.detuning_for_weight_m(weights)), weights, atol=2e-6)


def test_crosstalk_of_far_channels_falls_as_the_square_of_spacing_and_quality():
    """A Lorentzian's skirt: four times the spacing is a sixteenth; the exponent is fitted over a decade."""
    spacings = np.geomspace(1e-9, 1e-8, 9)
    wide = Microring(resonance_m=1550e-9, quality_factor=1e4, free_spectral_range_m=50e-9)
    leak = [float(crosstalk(wide, channels(2, s))[0, 1]) for s in spacings]
    assert np.polyfit(np.log(spacings), np.log(leak), 1)[0] == pytest.approx(-2, abs=0.01)
    sharp = Microring(resonance_m=1550e-9, quality_factor=4e4, free_spectral_range_m=50e-9)
    assert float(crosstalk(sharp, channels(2, 4e-9))[0, 1]) == pytest.approx(
        float(crosstalk(wide, channels(2, 4e-9))[0, 1]) / 16, rel=0.01
    )


def test_crosstalk_is_symmetric_and_one_on_the_diagonal():
    matrix = crosstalk(RING, channels(8))
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-5)
    np.testing.assert_allclose(jnp.diagonal(matrix), 1.0, rtol=1e-6)


def test_a_quality_factor_twice_as_high_is_worth_two_bits():
    banks = [crosstalk(Microring(1550e-9, q, free_spectral_range_m=20e-9), channels(16)) for q in (2e4, 4e4)]
    low, high = (float(crosstalk_limited_bits(bank)) for bank in banks)
    assert high - low == pytest.approx(2.0, abs=0.02)


def test_the_rings_in_the_middle_of_a_bank_hold_fewest_bits():
    matrix = np.asarray(crosstalk(RING, channels(9)))
    leak = matrix.sum(1) - 1
    assert leak.argmax() == 4
    assert float(crosstalk_limited_bits(jnp.asarray(matrix))) == pytest.approx(-math.log2(leak[4]), rel=1e-5)


def test_one_kelvin_moves_an_unlocked_ring_by_half_its_width_and_ruins_its_weight():
    assert float(RING.drift_m(1.0)) == pytest.approx(75e-12)
    assert float(RING.weight(RING.drift_m(1.0))) < 0.1  # from +1


def test_a_ring_of_eight_bits_must_be_locked_to_a_fraction_of_a_picometre():
    """The steepest weight, found by automatic differentiation, moves by half a step over the tolerance."""
    slope = jax.vmap(jax.grad(RING.weight))(jnp.linspace(0.0, RING.fwhm_m, 2001))
    assert float(RING.lock_tolerance_m(8) * jnp.abs(slope).max()) == pytest.approx(1 / 256, rel=1e-3)
    assert float(RING.lock_tolerance_m(8)) == pytest.approx(0.233e-12, rel=0.01)


def test_channels_must_fit_between_two_resonances():
    assert channel_capacity(RING, 0.8e-9) == 12
    assert channel_capacity(RING, 0.4e-9) == 25
    with pytest.raises(PhotonsimError, match="repeat every 10 nm"):
        crosstalk(RING, channels(14))


def test_impossible_rings_are_refused():
    with pytest.raises(PhotonsimError, match="quality_factor"):
        Microring(resonance_m=1550e-9, quality_factor=0.0)
    with pytest.raises(PhotonsimError, match="insertion_loss_db = 0"):
        Microring(1550e-9, 1e4, insertion_loss_db=0.9).detuning_for_weight_m(0.5)
