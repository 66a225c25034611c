"""Many bits from passes of few: exact recombination, and what it costs in passes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.converters import (
    digit_count,
    exact_sum_bits,
    full_scale_code,
    join_digits,
    pass_count,
    sliced_matmul,
    split_digits,
)


def codes(seed, bits, shape):
    limit = full_scale_code(bits)
    return jnp.asarray(np.random.default_rng(seed).integers(-limit, limit + 1, shape), jnp.int32)


@settings(max_examples=30)
@given(st.integers(2, 16), st.integers(1, 15), st.integers(0, 2**16))
def test_digits_recombine_exactly_and_fit_their_converter(bits, slice_bits, seed):
    numbers = codes(seed, bits, 50)
    digits = split_digits(numbers, bits, slice_bits)
    np.testing.assert_array_equal(join_digits(digits, slice_bits), numbers)
    assert int(jnp.abs(digits).max()) <= full_scale_code(slice_bits + 1)
    assert digits.shape[0] == digit_count(bits, slice_bits)


@settings(max_examples=15)
@given(st.integers(2, 8), st.integers(2, 8), st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**16))
def test_a_sliced_product_is_the_product(input_bits, weight_bits, input_slice, weight_slice, seed):
    x, w = codes(seed, input_bits, (3, 40)), codes(seed + 1, weight_bits, (40, 5))
    passes = []

    def product(x, w):
        passes.append((x, w))
        return x @ w

    found = sliced_matmul(x, w, input_bits, weight_bits, input_slice, weight_slice, product)
    np.testing.assert_array_equal(found, np.asarray(x) @ np.asarray(w))
    assert len(passes) == pass_count(input_bits, weight_bits, input_slice, weight_slice)


@pytest.mark.parametrize(
    ("input_bits", "weight_bits", "slice_bits", "passes"), [(8, 8, 7, 1), (8, 8, 4, 4), (8, 4, 3, 3), (16, 16, 3, 25)]
)
def test_passes_are_digits_times_digits(input_bits, weight_bits, slice_bits, passes):
    assert pass_count(input_bits, weight_bits, slice_bits, slice_bits) == passes


@pytest.mark.parametrize(("input_bits", "weight_bits", "length"), [(8, 8, 128), (4, 4, 1024), (5, 7, 64)])
def test_the_largest_dot_product_fits_its_exact_bits_and_one_fewer_does_not_hold_it(input_bits, weight_bits, length):
    largest = full_scale_code(input_bits) * full_scale_code(weight_bits) * length
    bits = exact_sum_bits(input_bits, weight_bits, length)
    assert 2 ** (bits - 2) <= largest < 2 ** (bits - 1)


def test_eight_bits_squared_over_128_rows_are_22_bits():
    assert exact_sum_bits(8, 8, 128) == 22
    assert exact_sum_bits(4, 4, 1024) == 17
