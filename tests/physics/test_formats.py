"""Number formats: exact against the reference implementation of each, and lawful where there is none."""

import jax
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import numpy as jnp

from photonsim.converters import (
    FORMATS,
    FP4_E2M1,
    FP8_E4M3,
    FP8_E5M2,
    BlockFloatingPoint,
    Integer,
    Microscaling,
    SmallFloat,
    full_scale_code,
    number_format,
)
from photonsim.errors import PhotonsimError
from photonsim.tiles.partial_sums import block_scales, encode, split_blocks

FLOATS = st.floats(-1000, 1000, width=32, allow_subnormal=False).filter(lambda value: value == 0 or abs(value) > 1e-4)
VECTORS = arrays(np.float32, 40, elements=FLOATS)
held = jax.jit(lambda form, x: form.quantize(x))  # one compilation per format and shape
each_format = pytest.mark.parametrize("name", sorted(FORMATS))


def reference(values, dtype):
    return values.astype(dtype).astype(np.float32)


def all_values(dtype, bits):
    """Every finite value that a small float can hold."""
    values = np.arange(2**bits, dtype=np.uint8).view(dtype).astype(np.float32)
    return np.unique(values[np.isfinite(values)])


@pytest.mark.parametrize(
    ("form", "dtype", "bits"),
    [
        (FP4_E2M1, ml_dtypes.float4_e2m1fn, 4),
        (FP8_E4M3, ml_dtypes.float8_e4m3fn, 8),
        (FP8_E5M2, ml_dtypes.float8_e5m2, 8),
    ],
)
def test_small_floats_round_as_ml_dtypes_does(form, dtype, bits):
    """All values, all midpoints between neighbours (ties to even), and random ones, up to the largest."""
    values = all_values(dtype, bits)
    assert values.max() == form.largest
    drawn = np.random.default_rng(0).normal(0, form.largest / 8, 20_000).astype(np.float32)
    fine = (form.largest * np.exp2(np.random.default_rng(1).uniform(-25, 0, 20_000))).astype(np.float32)
    inputs = np.concatenate([values, (values[1:] + values[:-1]) / 2, drawn[np.abs(drawn) <= form.largest], fine, -fine])
    np.testing.assert_array_equal(held(form, jnp.asarray(inputs)), reference(inputs, dtype))


def test_small_floats_saturate():
    big = jnp.array([7.0, -1e30, jnp.inf], jnp.float32)
    np.testing.assert_array_equal(FP4_E2M1.quantize(big), [6, -6, 6])
    np.testing.assert_array_equal(FP8_E4M3.quantize(100 * big), [448, -448, 448])
    assert np.isnan(FP8_E4M3.quantize(jnp.asarray(jnp.nan)))


def test_fp4_has_eight_magnitudes():
    values = np.unique(held(FP4_E2M1, jnp.linspace(0, 8, 2001)))
    np.testing.assert_array_equal(values, [0, 0.5, 1, 1.5, 2, 3, 4, 6])


def microscaled_by_hand(block, dtype, largest_exponent, largest):
    scale = 2.0 ** (np.floor(np.log2(np.abs(block).max())) - largest_exponent)
    return reference(np.clip(block / scale, -largest, largest).astype(np.float32), dtype) * scale


@pytest.mark.parametrize(
    ("name", "dtype", "largest_exponent"),
    [
        ("mxfp4", ml_dtypes.float4_e2m1fn, 2),
        ("mxfp8_e4m3", ml_dtypes.float8_e4m3fn, 8),
        ("mxfp8_e5m2", ml_dtypes.float8_e5m2, 15),
    ],
)
def test_microscaling_is_the_standards_recipe(name, dtype, largest_exponent):
    form = number_format(name)
    assert isinstance(form, Microscaling)
    x = np.random.default_rng(0).normal(0, 1, (40, 3 * 32)).astype(np.float32)
    x *= np.exp2(np.random.default_rng(1).integers(-20, 20, (40, 1))).astype(np.float32)
    expected = [microscaled_by_hand(b, dtype, largest_exponent, form.element.largest) for b in x.reshape(-1, 32)]
    np.testing.assert_array_equal(held(form, jnp.asarray(x)), np.reshape(expected, x.shape))


def test_bits_per_value_hold_the_share_of_a_scale():
    assert number_format("mxfp4").bits_per_value == 4.25
    assert number_format("mxfp8_e4m3").bits_per_value == 8.25
    assert BlockFloatingPoint(8, 128).bits_per_value == 8.125


def test_w8a8_absmax_matmul_is_the_published_row():
    """google/aqt README, row 1: both operands seeded alike, int8 codes, a scale per row of a and per column of w."""
    np.random.seed(0)  # noqa: NPY002  (the published recipe)
    a = jnp.asarray(np.random.normal(size=(3, 4)), jnp.float32)  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    w = jnp.asarray(np.random.normal(size=(4, 5)), jnp.float32)  # noqa: NPY002
    product = Integer(8, axis=-1).quantize(a) @ Integer(8, axis=0).quantize(w)
    published = [3.5998788, 5.8562713, 1.9385538, 4.7426414, 1.9792401]
    np.testing.assert_allclose(product[0], published, rtol=1e-6)


def test_block_floating_point_is_the_encoding_of_a_tile():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(7, 300)), jnp.float32)
    blocks = split_blocks(x, 128, axis=-1)
    scales = block_scales(blocks, axis=-1)
    values = encode(blocks, scales, 6) * scales / full_scale_code(6)
    expected = values.reshape(7, -1)[:, :300]
    np.testing.assert_allclose(BlockFloatingPoint(6, 128).quantize(x), expected, rtol=3e-7)


@each_format
@settings(max_examples=15)
@given(values=VECTORS)
def test_a_value_held_once_is_held_again(name, values):
    """Idempotent; a bfloat16 scale is an absmax rounded, so its blocks repeat only to the scale's own rounding."""
    form = FORMATS[name]
    once = held(form, jnp.asarray(values))
    tolerance = 2.0**-7 if name.startswith("abfp") else 1e-6
    np.testing.assert_allclose(held(form, once), once, rtol=tolerance, atol=tolerance * float(jnp.abs(once).max()))


@each_format
@settings(max_examples=15)
@given(values=VECTORS)
def test_larger_values_do_not_become_smaller_ones(name, values):
    quantized = np.asarray(held(FORMATS[name], jnp.asarray(np.sort(values))))
    by_block = [quantized[i : i + 16] for i in range(0, quantized.size, 16)]  # every block is a multiple of 16 long
    assert all((np.diff(block) >= 0).all() for block in by_block)


def test_an_unsigned_integer_holds_twice_as_many_positive_codes():
    x = jnp.linspace(-1, 1, 201)
    unsigned = np.asarray(Integer(4, signed=False).codes(x))
    assert unsigned.min() == 0
    assert unsigned.max() == 15
    assert np.asarray(Integer(4).codes(x)).max() == 7


def test_all_zeros_stay_zero():
    for form in FORMATS.values():
        np.testing.assert_array_equal(held(form, jnp.zeros(40, jnp.float32)), np.zeros(40))


def signal_to_error_db(form, x):
    return 10 * np.log10(float(jnp.mean(x**2) / jnp.mean((held(form, x) - x) ** 2)))


def test_a_bit_is_six_decibels_and_a_block_keeps_an_outlier_to_itself():
    x = np.random.default_rng(0).normal(size=(64, 512)).astype(np.float32)
    gains = [signal_to_error_db(BlockFloatingPoint(bits), jnp.asarray(x)) for bits in (5, 6, 7, 8)]
    # a bit takes L from 2^(b-1) - 1 to 2^b - 1: 20 log10(31/15, 63/31, 127/63)
    np.testing.assert_allclose(np.diff(gains), 20 * np.log10([31 / 15, 63 / 31, 127 / 63]), atol=0.1)
    x[:, 0] = 100.0
    usual = jnp.asarray(x[:, 128:])
    whole, blocked = (held(form, jnp.asarray(x))[:, 128:] for form in (Integer(8), BlockFloatingPoint(8)))
    assert float(jnp.mean((blocked - usual) ** 2)) < 1e-3 * float(jnp.mean((whole - usual) ** 2))


def test_a_small_float_has_the_same_relative_error_at_every_magnitude():
    x = jnp.asarray(np.random.default_rng(0).normal(size=4096), jnp.float32)
    errors = [signal_to_error_db(FP8_E4M3, 2.0**shift * x) for shift in (-2, 0, 2, 4)]
    assert np.ptp(errors) < 0.3


@each_format
def test_gradients_pass_straight_through(name):
    x = jnp.asarray(np.random.default_rng(0).uniform(0.1, 1.0, 64), jnp.float32).at[::32].set(1.0)  # nothing saturates
    gradient = np.asarray(jax.grad(lambda x: held(FORMATS[name], x).sum())(x))
    assert np.isfinite(gradient).all()
    assert np.mean(np.abs(gradient - 1) < 1e-5) > 0.9  # all but what sits on the edge of its range


def test_an_unknown_or_impossible_format_is_refused():
    with pytest.raises(PhotonsimError, match="mxfp4"):
        number_format("mxpf4")
    with pytest.raises(PhotonsimError, match="largest"):
        SmallFloat(4, 3, 1000.0)
    with pytest.raises(PhotonsimError, match=r"format\.scale"):
        BlockFloatingPoint(8, 32, "float32")
