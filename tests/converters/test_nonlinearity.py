"""Steps of unequal height: monotone, tied at the ends, and bent as a Brownian bridge."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.converters import Nonlinearity, full_scale_code, quantize
from photonsim.errors import PhotonsimError

VALUES = jnp.linspace(-140.0, 140.0, 4001)


def test_equal_steps_are_the_ideal_quantiser():
    values = VALUES + 0.013  # off the ties
    np.testing.assert_array_equal(Nonlinearity(8, 0.0).quantize(values), quantize(values, 8))


@settings(max_examples=20)
@given(st.integers(2, 10), st.floats(0, 2.0), st.integers(0, 2**31 - 1))
def test_codes_are_monotone_whole_and_in_range(bits, dnl_rms, seed):
    limit = full_scale_code(bits)
    codes = np.asarray(Nonlinearity(bits, dnl_rms, seed).quantize(VALUES * limit / 127))
    assert (np.diff(codes) >= 0).all()
    assert (codes == np.rint(codes)).all()
    assert codes[0] == -limit
    assert codes[-1] == limit


def test_the_ends_are_trimmed_and_the_steps_sum_to_the_bend():
    converter = Nonlinearity(8, 0.05, seed=4)
    inl, dnl = np.asarray(converter.inl), np.asarray(converter.dnl)
    np.testing.assert_allclose(inl[[0, -1]], 0.0, atol=1e-4)
    np.testing.assert_allclose(np.cumsum(dnl), inl[1:], atol=1e-3)
    assert dnl.std() == pytest.approx(0.05, rel=5 / np.sqrt(2 * dnl.size))


def test_the_bend_is_a_brownian_bridge():
    """Var[INL_i] = σ² i (N - i) / N over many dies."""
    dies = 600
    inl = np.asarray(jax.vmap(lambda seed: Nonlinearity(6, 0.05, seed).inl)(jnp.arange(dies)))
    steps = 2 * full_scale_code(6)
    i = np.arange(steps + 1)
    expected = 0.05**2 * i * (steps - i) / steps
    inner = slice(1, -1)
    # each variance has a relative standard error sqrt(2 / dies) = 5.8 %; the codes of a die move together
    np.testing.assert_allclose(inl.var(0)[inner], expected[inner], rtol=5 * np.sqrt(2 / dies))


def test_a_die_is_a_seed():
    one, again, other = Nonlinearity(8, 0.1, 1), Nonlinearity(8, 0.1, 1), Nonlinearity(8, 0.1, 2)
    np.testing.assert_array_equal(one.levels, again.levels)
    assert np.abs(np.asarray(one.levels - other.levels)).max() > 0


def test_the_error_stays_when_readings_are_averaged():
    converter = Nonlinearity(8, 0.2, seed=3)
    noise = np.random.default_rng(0).normal(0, 1.0, (500, 1)).astype(np.float32)
    values = np.linspace(-100, 100, 41, dtype=np.float32)
    mean = np.asarray(converter.quantize(jnp.asarray(values + noise))).mean(0)
    bend = np.interp(values, np.asarray(converter.levels), np.arange(-127, 128)) - values
    # noise of one LSB dithers the steps away and leaves the bend: 500 readings resolve it to 1 / √500 LSB and the
    # smoothing over neighbouring codes to about one step's own error, 0.2 LSB
    np.testing.assert_allclose(mean - values, bend, atol=5 / np.sqrt(500) + 0.2)
    assert np.abs(bend).max() > 0.5


def test_gradients_pass_straight_through():
    gradient = jax.vmap(jax.grad(Nonlinearity(4, 0.1).quantize))(jnp.array([0.3, -3.3, 9.0]))
    np.testing.assert_array_equal(gradient, [1, 1, 0])


def test_a_curve_needs_two_bits():
    with pytest.raises(PhotonsimError, match="at least 2 bits"):
        Nonlinearity(1, 0.1)
