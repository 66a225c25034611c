"""Residue numbers: the Chinese remainder theorem holds, and a dot product is exact while it fits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.converters import ResidueNumbers, full_scale_code
from photonsim.errors import PhotonsimError

MIRAGE = ResidueNumbers(5)
K = st.integers(2, 10)


@given(K)
def test_the_moduli_are_pairwise_coprime_and_their_product_is_the_range(k):
    numbers = ResidueNumbers(k)
    a, b, c = numbers.moduli
    assert math.gcd(a, b) == math.gcd(b, c) == math.gcd(a, c) == 1
    assert a * b * c == numbers.range


@settings(max_examples=30)
@given(K, st.integers(0, 2**16))
def test_every_number_in_range_is_known_from_its_remainders(k, seed):
    numbers = ResidueNumbers(k)
    ends = [-numbers.largest, -1, 0, 1, numbers.largest]
    drawn = np.random.default_rng(seed).integers(-numbers.largest, numbers.largest + 1, 95)
    values = jnp.asarray([*ends, *drawn], jnp.int32)
    np.testing.assert_array_equal(numbers.decode(numbers.encode(values)), values)


@settings(max_examples=20)
@given(st.integers(4, 10), st.integers(2, 8), st.integers(2, 8), st.integers(0, 2**16))
def test_a_dot_product_is_exact_while_it_fits(k, input_bits, weight_bits, seed):
    numbers = ResidueNumbers(k)
    length = min(numbers.longest_dot(input_bits, weight_bits), 64)
    rng, (largest_x, largest_w) = np.random.default_rng(seed), map(full_scale_code, (input_bits, weight_bits))
    x = np.full((3, 64), largest_x, np.int32) if seed % 2 else rng.integers(-largest_x, largest_x + 1, (3, 64))
    w = np.full((64, 2), -largest_w, np.int32) if seed % 2 else rng.integers(-largest_w, largest_w + 1, (64, 2))
    x[:, length:] = 0
    remainders = numbers.matmul(numbers.encode(jnp.asarray(x, jnp.int32)), numbers.encode(jnp.asarray(w, jnp.int32)))
    np.testing.assert_array_equal(numbers.decode(remainders), x @ w)


def test_mirage_sums_72_products_of_five_bit_codes_in_moduli_of_five_bits():
    assert MIRAGE.moduli == (31, 32, 33)
    assert MIRAGE.range == 32736
    assert MIRAGE.longest_dot(5, 5) == 72
    MIRAGE.check_fits(5, 5, 16)
    with pytest.raises(PhotonsimError, match="at most 72"):
        MIRAGE.check_fits(5, 5, 73)


def test_one_product_too_many_comes_out_wrong():
    length = MIRAGE.longest_dot(5, 5) + 1
    x, w = jnp.full((1, length), 15, jnp.int32), jnp.full((length, 1), 15, jnp.int32)
    found = MIRAGE.decode(MIRAGE.matmul(MIRAGE.encode(x), MIRAGE.encode(w)))
    assert int(found[0, 0]) == 225 * length - MIRAGE.range


def test_one_step_of_noise_in_a_remainder_is_a_large_error():
    remainders = np.asarray(MIRAGE.encode(jnp.asarray([100], jnp.int32)))
    for plane, modulus in enumerate(MIRAGE.moduli):
        moved = remainders.copy()
        moved[plane] = (moved[plane] + 1) % modulus
        error = int(MIRAGE.decode(jnp.asarray(moved))[0]) - 100
        assert error % (MIRAGE.range // modulus) == 0
        assert abs(error) >= MIRAGE.range // modulus


@pytest.mark.parametrize("k", [0, 1, 11])
def test_moduli_that_do_not_work_are_refused(k):
    with pytest.raises(PhotonsimError, match=r"residues\.k"):
        ResidueNumbers(k)
