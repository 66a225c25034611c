"""Laws of the product in residue numbers, on 200 problems each: against whole numbers, itself, and its definition."""

from unittest import mock

import hypothesis
import numba
import numpy as np
import pytest
from hypothesis import strategies as st
from photonsim_kernels.residue_product import residue_matmul

from photonsim.tiles.twins import READINGS, define_residues, draw_residues

SIZES = {"m": st.integers(0, 15), "groups": st.integers(1, 5), "group": st.integers(1, 19), "n": st.integers(1, 140)}
CASES = st.fixed_dictionaries(SIZES | {"k": st.integers(2, 7), "seed": st.integers(0, 2**32 - 1)})

many = hypothesis.settings(max_examples=200, deadline=None)


def range_of(k):
    return 2**k * (4**k - 1)


def draw(m, groups, group, n, k, seed, *, overflow=False, bits=0, noise=False, phase_noise=False):
    """Codes whose sums fit the residues' range, or may be some times as large if they are to `overflow`."""
    random = np.random.default_rng(seed)
    largest = max(int((range_of(k) // 2 / group) ** 0.5), 1) if not overflow else min(2 ** (k + 2), 511)
    codes, weights = [random.integers(-largest, largest + 1, s) for s in ((m, groups, group), (groups, group, n))]
    if not overflow and largest == 1:
        codes[..., range_of(k) // 2 - 1 :] = 0
    units, scales = [2.0 ** random.integers(-3, 4, shape) for shape in ((m, groups), (groups, n))]
    spreads = np.array([0.1, *[0.2] * 3]) * [noise, *[phase_noise] * 3]
    settings = (k, bits, noise, phase_noise, random.integers(2**30))
    keys = random.integers(0, 2**32, (groups, 3, 3, 2), dtype=np.uint32)
    arrays = [values.astype(np.float32) for values in (codes, units, weights, scales)]
    return [*arrays, keys, spreads.astype(np.float32), np.array(settings, np.int32)]


def in_whole_numbers(operands, k):
    """The sums within ±M/2, in int64; times their units in float64."""
    codes, units, weights, scales = [values.astype(np.float64) for values in operands[:4]]
    sums = np.einsum("mtr,trn->mtn", codes, weights).astype(np.int64)
    half = range_of(k) // 2
    read = (sums + half) % range_of(k) - half
    terms = read * scales * units[:, :, None]
    return terms.sum(axis=1), np.abs(terms).sum(axis=1)


@many
@hypothesis.given(CASES)
def test_sums_are_known_up_to_turns_of_the_range(case):
    """Sums may be larger than the range; angles without noise tell every remainder. T rounded additions of products."""
    operands = draw(**case, overflow=True, noise=True)
    operands[5][:] = 0
    expected, magnitude = in_whole_numbers(operands, case["k"])
    slack = (case["groups"] + 1) * 2.0**-24 * magnitude
    assert (np.abs(residue_matmul(*operands) - expected) <= slack).all()


@many
@hypothesis.given(CASES)
def test_angles_read_without_noise_are_the_exact_product(case):
    """To the bit, also through converters of two bits more than the moduli have."""
    operands = draw(**case)
    exact = residue_matmul(*operands)
    operands[6][1] = case["k"] + 2
    np.testing.assert_array_equal(residue_matmul(*operands), exact)


@many
@hypothesis.given(CASES, st.integers(0, 8), st.booleans())
def test_each_row_alone_is_its_row_of_the_batch(case, bits, phase_noise):
    operands = draw(**case, bits=bits, noise=True, phase_noise=phase_noise)
    together, first = residue_matmul(*operands), operands[6][4]
    for m in range(case["m"]):
        operands[6][4] = first + m
        alone = residue_matmul(operands[0][m : m + 1], operands[1][m : m + 1], *operands[2:])
        np.testing.assert_array_equal(alone[0], together[m])


@many
@hypothesis.given(CASES, st.booleans())
def test_a_row_that_is_not_finite_becomes_nan_and_touches_no_other(case, noise):
    operands = draw(**{**case, "m": case["m"] + 1}, noise=noise)
    clean, spoilt = residue_matmul(*operands), case["seed"] % (case["m"] + 1)
    operands[0][spoilt, 0], operands[1][spoilt, 0] = np.nan, np.nan
    found = residue_matmul(*operands)
    others = np.arange(case["m"] + 1) != spoilt
    np.testing.assert_array_equal(found[others], clean[others])
    assert np.isnan(found[spoilt]).all()


@many
@hypothesis.given(CASES, st.booleans())
def test_nothing_is_written_outside_the_result(case, noise):
    operands = draw(**case, noise=noise)
    expected = residue_matmul(*operands)
    guard = np.full(expected.size + 2048, 123.0, np.float32)
    result = guard[1024:-1024].reshape(expected.shape)
    with mock.patch("photonsim_kernels.residue_product._zeros", return_value=result):
        residue_matmul(*operands)
    np.testing.assert_array_equal(result, expected)
    assert (guard[:1024] == 123).all()
    assert (guard[-1024:] == 123).all()


@pytest.mark.parametrize("name", READINGS)
@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.integers(0, 2**32 - 1), st.floats(0, 0.3), st.integers(1, 9), st.integers(1, 83))
def test_kernel_equals_definition_to_the_bit_on_many_problems(name, seed, spread, m, n):
    """One shape of each reading is compiled: of its rows and columns the kernel is given some. 240 examples in all."""
    operands = list(draw_residues(9, 40, 83, 16, READINGS[name]))
    random = np.random.default_rng(seed)
    operands[4] = random.integers(0, 2**32, operands[4].shape, dtype=np.uint32)
    operands[5] = operands[5] * np.float32(spread / 0.06)
    operands[0] = random.integers(-15, 16, operands[0].shape).astype(np.float32)
    expected = np.asarray(define_residues(*operands))
    codes, units, weights, scales, *rest = operands
    found = residue_matmul(codes[:m], units[:m], weights[..., :n], scales[:, :n], *rest)
    np.testing.assert_array_equal(found, expected[:m, :n])


def test_the_answer_does_not_depend_on_the_number_of_threads():
    operands = draw(300, 3, 16, 150, 5, 0, bits=5, noise=True, phase_noise=True)
    expected = residue_matmul(*operands)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        np.testing.assert_array_equal(residue_matmul(*operands), expected)
    finally:
        numba.set_num_threads(before)
