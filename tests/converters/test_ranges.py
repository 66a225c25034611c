"""Where a converter's range comes from, and what clipping and rounding cost under it."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import load_chip, override
from photonsim.converters import (
    Adc,
    absolute_max_range,
    full_scale_code,
    gaussian_clip_error,
    gaussian_clip_sigmas,
    percentile_range,
    quantize,
    sigma_range,
)
from photonsim.errors import PhotonsimError

SUMS = jnp.asarray(np.random.default_rng(0).normal(0, 3.0, 200_000), jnp.float32)


def converter_error(sums, half_span, bits):
    """Mean squared error of sums read over ±`half_span`."""
    code = half_span / full_scale_code(bits)
    return float(jnp.mean((quantize(sums / code, bits) * code - sums) ** 2))


def test_the_absolute_maximum_clips_nothing():
    assert float(absolute_max_range(SUMS)) == float(jnp.abs(SUMS).max())


@pytest.mark.parametrize(("percentile", "sigmas"), [(68.27, 1.0), (99.73, 3.0)])
def test_a_percentile_of_a_normal_variable_is_its_sigmas(percentile, sigmas):
    share = percentile / 100
    density = (
        2 * np.exp(-(sigmas**2) / 2) / np.sqrt(2 * np.pi) / 3.0
    )  # of |v|, whose quantile's standard error this sets
    standard_error = np.sqrt(share * (1 - share) / SUMS.size) / density
    assert float(percentile_range(SUMS, percentile)) == pytest.approx(3.0 * sigmas, abs=5 * standard_error)


def test_a_hundred_per_cent_is_the_absolute_maximum():
    assert float(percentile_range(SUMS, 100.0)) == float(absolute_max_range(SUMS))


def test_k_sigma_is_k_root_mean_squares():
    assert float(sigma_range(SUMS, 4.0)) == pytest.approx(12.0, rel=5 / np.sqrt(2 * SUMS.size))


@pytest.mark.parametrize("bits", [3, 4, 6, 8])
def test_the_closed_form_of_the_clipping_error_is_what_a_converter_makes(bits):
    for sigmas in (2.0, 3.0, 4.0):
        measured = converter_error(SUMS, 3.0 * sigmas, bits) / 9.0
        # rounding errors are uniform to well below this; the clipped tail, few and large, sets the spread
        assert measured == pytest.approx(gaussian_clip_error(sigmas, bits), rel=0.1)


@pytest.mark.parametrize("bits", [2, 4, 8, 12])
def test_the_best_range_is_a_minimum_and_widens_with_bits(bits):
    best = gaussian_clip_sigmas(bits)
    assert gaussian_clip_error(best, bits) < gaussian_clip_error(0.98 * best, bits)
    assert gaussian_clip_error(best, bits) < gaussian_clip_error(1.02 * best, bits)
    assert gaussian_clip_sigmas(bits + 1) > best


def test_a_calibrated_converter_holds_its_range_whatever_the_weights():
    adc = Adc(8, 0.0, range_policy="calibrated", full_scale_products=7.5)
    weights = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (2, 64, 5)), jnp.float32)
    for rows, scale in [(64, 1.0), (128, 0.1)]:
        np.testing.assert_array_equal(adc.full_scale(rows, scale * weights), np.full((2, 5), 7.5, np.float32))


def test_the_gain_policy_is_a_calibrated_range_of_rows_over_gain():
    weights = jnp.ones((1, 128, 3), jnp.float32)
    gain = Adc(8, 0.0, gain=4.0).full_scale(128, weights)
    held = Adc(8, 0.0, range_policy="calibrated", full_scale_products=32.0).full_scale(128, weights)
    np.testing.assert_array_equal(gain, held)


def test_a_calibrated_range_must_be_given():
    with pytest.raises(PhotonsimError, match="full_scale_products"):
        Adc(8, 0.0, range_policy="calibrated")


def test_a_chip_with_a_calibrated_range_multiplies_better_than_with_a_range_too_wide():
    chip = override(load_chip("ideal"), {"adc.bits": 8})
    rng = np.random.default_rng(2)
    x, w = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in [(16, 128), (128, 16)])

    def error(chip):
        y = chip.matmul(x, chip.program(w), jax.random.key(0), engine="jax")
        return float(jnp.sqrt(jnp.mean((y - x @ w) ** 2)))

    scaled = (x / jnp.abs(x).max(1, keepdims=True)) @ (w / jnp.abs(w).max(0, keepdims=True))
    span = float(absolute_max_range(scaled))
    calibrated = override(chip, {"adc.range_policy": "calibrated", "adc.full_scale_products": 1.01 * span})
    # the codes are 128 / (1.01 span) times finer, and so is the error of rounding
    assert error(chip) / error(calibrated) == pytest.approx(128 / (1.01 * span), rel=0.15)
