"""Steps of unequal height: monotone, tied at the ends, and bent as a Brownian bridge."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.converters import Bend, Nonlinearity, full_scale_code, quantize
from photonsim.converters.nonlinearity import bridge, draw_bridges
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


def test_drawn_bridges_are_tied_at_their_ends_and_as_large_as_said():
    """Var(u) ∝ (1 − u²), and 1 in the mean: 3/2 (1 − u²), the variance of a bridge over −1 … 1."""
    lines = 2000
    u = jnp.linspace(-1.0, 1.0, 41)
    inl = np.asarray(bridge(u, draw_bridges(jax.random.key(0), (lines, 1), 0.02)))
    np.testing.assert_allclose(inl[:, [0, -1]], 0.0, atol=1e-6)
    np.testing.assert_allclose(bridge(jnp.array([-3.0, 3.0]), jnp.ones(4)), 0.0, atol=1e-5)
    # 16 waves hold 96 % of a bridge, most of the rest near the ends; a variance of 2,000 has a standard error of 3.2 %
    middle = np.abs(u) < 0.8
    expected = 0.02**2 * 1.5 * (1 - np.asarray(u) ** 2)
    np.testing.assert_allclose(inl.var(0)[middle], expected[middle], rtol=0.04 + 4 * 0.032)
    assert (inl**2).mean() == pytest.approx(0.02**2 * 40 / 41, rel=4 * 0.7 / lines**0.5)


def test_independent_steps_bend_a_line_by_what_the_die_says():
    """`σ √(N / 6)` LSB in root mean square, the figure that `die.inl_rms` takes."""
    inl = np.asarray(jax.vmap(lambda seed: Nonlinearity(8, 0.05, seed).inl)(jnp.arange(400)))
    assert np.sqrt((inl**2).mean()) == pytest.approx(0.05 * np.sqrt(254 / 6), rel=4 * 0.35 / 400**0.5)


def test_a_bend_is_its_polynomial_within_its_span_and_constant_beyond():
    bend = Bend(quadratic=0.1, cubic=-0.2, quartic=0.03, quintic=0.05, span=0.5)
    u = np.linspace(-1, 1, 21)
    expected = 0.5 * (0.1 * u**2 - 0.2 * u**3 + 0.03 * u**4 + 0.05 * u**5)
    np.testing.assert_allclose(bend.added(jnp.asarray(0.5 * u, jnp.float32)), expected, atol=1e-7)
    np.testing.assert_allclose(bend.added(jnp.array([0.9, -0.9])), expected[[-1, 0]], rtol=1e-6)
    with pytest.raises(PhotonsimError, match="into a falling one"):
        Bend(cubic=-0.4)
