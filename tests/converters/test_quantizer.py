"""The one definition of "b bits": exact at the edges, lawful in between."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import numpy as jnp

from photonsim.converters import full_scale_code, quantize
from photonsim.converters.adc import Adc
from photonsim.converters.dac import Dac
from photonsim.errors import PhotonsimError

BITS = st.one_of(st.none(), st.integers(1, 16))
# XLA sorts subnormals as zeros, so they are left out
VALUES = arrays(np.float32, st.integers(1, 30), elements=st.floats(-40000, 40000, width=32, allow_subnormal=False))


@pytest.mark.parametrize(
    ("bits", "code"), [(None, 1), (1, 1), (2, 1), (3, 3), (4, 7), (8, 127), (10, 511), (16, 32767)]
)
def test_the_largest_code_is_symmetric_twos_complement(bits, code):
    assert full_scale_code(bits) == code


def test_rounding_is_to_the_nearest_code_and_ties_go_to_even():
    values = jnp.array([-127.5, -1.5, -0.5, 0.49, 0.5, 1.5, 2.5, 126.5, 129.0, jnp.inf, -jnp.inf], jnp.float32)
    expected = [-127, -2, 0, 0, 0, 2, 2, 126, 127, 127, -127]
    np.testing.assert_array_equal(quantize(values, 8), np.array(expected, np.float32))


def test_one_bit_is_the_sign():
    np.testing.assert_array_equal(quantize(jnp.array([-3.0, -0.1, 0.0, 7.0]), 1), [-1, -1, 1, 1])


@given(VALUES, BITS)
def test_quantising_is_idempotent(values, bits):
    once = quantize(jnp.asarray(values), bits)
    np.testing.assert_array_equal(quantize(once, bits), once)


@given(VALUES, BITS)
def test_quantising_is_monotone(values, bits):
    codes = np.asarray(quantize(jnp.sort(jnp.asarray(values)), bits))
    assert (np.diff(codes) >= 0).all()


@given(VALUES, st.integers(2, 16))
def test_codes_are_whole_numbers_in_range(values, bits):
    codes = np.asarray(quantize(jnp.asarray(values), bits))
    assert (codes == np.rint(codes)).all()
    assert np.abs(codes).max() <= full_scale_code(bits)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_a_full_scale_sine_has_6_02_b_plus_1_76_db(bits):
    """With codes ±L the sine's amplitude is L, 2^(b-1)/L short of the textbook's: SQNR = 10 log10(L²/2 ÷ 1/12)."""
    limit = full_scale_code(bits)
    sine = limit * np.sin(2 * np.pi * np.arange(200_000) * 0.1234567).astype(np.float32)
    error = np.asarray(quantize(jnp.asarray(sine), bits)) - sine
    sqnr_db = 10 * np.log10((sine**2).mean() / (error**2).mean())
    textbook_db = 6.0206 * bits + 1.7609 + 20 * np.log10(limit / 2 ** (bits - 1))
    # a sine lingers at its peaks, where its error is not uniform: Var = 1/12 + Σ_k (-1)^k J₀(2πkL) / (π²k²), and with
    # |J₀(2πkL)| < 1 / (π √(kL)) the variance is within 0.52 / √L of a twelfth (Bennett's series)
    assert sqnr_db == pytest.approx(textbook_db, abs=10 * np.log10(1 + 0.52 / np.sqrt(limit)))


def test_the_error_of_a_uniform_signal_is_a_twelfth_of_a_code_squared():
    values = np.random.default_rng(0).uniform(-100, 100, 400_000).astype(np.float32)
    error = np.asarray(quantize(jnp.asarray(values), 8)) - values
    # the mean square of n uniform errors has a relative standard error sqrt(4/5 / n) = 0.14 %; five of them
    assert (error**2).mean() == pytest.approx(1 / 12, rel=0.007)


def test_gradients_pass_through_rounding_and_stop_at_the_clip():
    gradient = jax.vmap(jax.grad(lambda value: quantize(value, 4)))(jnp.array([0.3, -6.8, 7.5, -9.0]))
    np.testing.assert_array_equal(gradient, [1, 1, 0, 0])


@pytest.mark.parametrize("bits", [0, -3, 17, 8.0, "8", True])
def test_impossible_bits_are_refused(bits):
    with pytest.raises(PhotonsimError, match="from 1 to 16"):
        Dac(bits=bits, energy_j=0.0)
    with pytest.raises(PhotonsimError, match=r"adc\.bits"):
        Adc(bits=bits, energy_j=0.0)


@pytest.mark.parametrize(("bits", "noise_rms", "enob"), [(8, 0.0, 7.99), (11, 2.29 / 1023, 8.0), (None, 1e-3, 9.16)])
def test_effective_bits_follow_from_noise_and_rounding(bits, noise_rms, enob):
    """Envise: 2.29 codes on ±1023 are 8.0 bits. A noise of 1e-3 alone: (10 log10(0.5e6) - 1.76) / 6.02."""
    assert Adc(bits=bits, energy_j=0.0, noise_rms=noise_rms).noise_limited_enob == pytest.approx(enob, abs=0.03)
