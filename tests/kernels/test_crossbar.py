"""The kernel gives the numbers of the definition.

Integer sums below 2^24 are exact in both engines, and every later operation is the same one, so the results are
equal to the bit. Only where sums are not exact (ideal converters, 16 × 16 bits) do the engines round differently.
"""

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st
from jax import numpy as jnp
from photonsim_kernels.crossbar import crossbar_matmul, settings
from photonsim_kernels.jobs import SETTINGS

from photonsim.tiles.fast import analog_matmul_fast
from photonsim.tiles.partial_sums import Readout, Shared

fast = jax.jit(analog_matmul_fast, static_argnums=2)
SHARED = Shared(0.5, 0.03)  # common mode in codes, fluctuation of the light


def _draw_cases(count):
    """Products of many shapes and settings, a fixed list, since each is a definition to compile: see `_part`."""
    random = np.random.default_rng(20251)
    choices = {
        "m": [6, 7, 13], "k": [31, 64, 67, 97], "n": [17, 64, 67, 131], "rows": [1, 2, 7, 16, 33, 64],
        "input_bits": list(range(1, 10)), "weight_bits": list(range(1, 9)), "adc_bits": [None, *range(1, 17)],
        "columns": [1, 2, 7, 16, 64], "noise": [False, True], "shot_noise": [False, True],
        "common_mode": [False, True], "intensity_noise": [False, True], "square_noise": [False, True],
        "level_type": [np.int8, np.int16, np.float32],
    }  # fmt: skip
    orders = {name: _balanced(values, count, random) for name, values in choices.items()}
    return [{name: order[i] for name, order in orders.items()} for i in range(count)]


def _balanced(values, count, random):
    """Each value as often as any other, in random order."""
    return [values[i] for i in random.permutation(np.arange(count) % len(values))]


CASES = _draw_cases(18)


def operands(x, programmed, readout, shared, key, row_offset=0):
    """The kernel's operands for NumPy."""
    flags = (readout.noise, readout.shot_noise, readout.common_mode, readout.intensity_noise, readout.square_noise)
    values = settings(readout.input_bits, readout.adc_bits, readout.columns, *flags, row_offset)
    arrays = [programmed.levels, programmed.gain, programmed.offset, programmed.noise_variance]
    spreads = np.array([shared.common_mode_codes, shared.intensity_rms], np.float32)
    arrays += [programmed.shot_variance, programmed.scale, programmed.square_variance, key, spreads, values]
    return [np.asarray(array) for array in (x, *arrays)]


def _part(given, m, k, n):
    """The operands of the first m rows, k inputs and n columns of a product."""
    x, levels, *columns = given[:8]
    blocks = -(-k // levels.shape[1])
    return [x[:m, :k], levels[:blocks, :, :n], *[values[:blocks, :n] for values in columns], *given[8:]]


@pytest.mark.parametrize("case", CASES[:5])
def test_kernel_equals_definition_to_the_bit(problem, definition, case, key):
    x, programmed, readout = problem(**case)
    row_offset = jnp.uint32(2**32 - 1)
    expected = np.asarray(definition(x, programmed, readout, SHARED, key, row_offset))
    np.testing.assert_array_equal(fast(x, programmed, readout, SHARED, key, row_offset), expected)


@pytest.mark.slow
@hypothesis.settings(max_examples=250, deadline=None)
@hypothesis.given(
    st.sampled_from(CASES), st.tuples(*[st.floats(0, 1)] * 3), st.integers(0, 2**31), st.integers(0, 2**32 - 1)
)
def test_kernel_equals_definition_to_the_bit_on_many_problems(problem, definition, case, shares, seed, row_offset):
    """Of any m rows, k inputs and n columns, which the definition answers among others: with zeros for other inputs.

    All inputs where they have 1 bit, which cannot say zero.
    """
    x, programmed, readout = problem(**case, seed=seed)
    m, k, n = [round(share * case[name]) for share, name in zip(shares, "mkn", strict=True)]
    k = case["k"] if case["input_bits"] == 1 else k
    x = np.where(np.arange(case["k"]) < k, x, np.float32(0))
    key = jax.random.key_data(jax.random.key(seed))
    expected = np.asarray(definition(x, programmed, readout, SHARED, key, jnp.uint32(row_offset)))
    given = _part(operands(x, programmed, readout, SHARED, key, row_offset), m, k, n)
    np.testing.assert_array_equal(crossbar_matmul(*given), expected[:m, :n])


def test_more_rows_and_columns_than_one_task_holds(problem, definition, key):
    x, programmed, readout = problem(521, 70, 131, 32, shot_noise=True, common_mode=True, intensity_noise=True)
    expected = definition(x, programmed, readout, SHARED, key, 0)
    np.testing.assert_array_equal(fast(x, programmed, readout, SHARED, key, 0), expected)


@pytest.mark.parametrize("weight_bits", [12, 16])
def test_sums_beyond_32_bits_are_added_up_from_exact_pairs(problem, key, weight_bits):
    """16-bit inputs: pairs of products are exact, and adding 250 of them in float32 rounds at most 250 times."""
    x, programmed, readout = problem(
        3, 500, 5, 500, input_bits=16, weight_bits=weight_bits, adc_bits=None, noise=False, level_type=np.int16
    )
    scale = np.asarray(jnp.abs(x).max(axis=1).astype(jnp.bfloat16).astype(jnp.float32))[:, None]
    codes = np.rint(np.clip(np.asarray(x) * (np.float32(32767) / scale), -32767, 32767)).astype(np.int64)
    levels = np.asarray(programmed.levels[0], np.int64)
    gain, offset, per_code = [np.asarray(a, np.float64) for a in (programmed.gain, programmed.offset, programmed.scale)]
    expected = ((codes @ levels) * gain + offset) * per_code * scale
    slack = (np.abs(codes) @ np.abs(levels) * gain + np.abs(offset)) * np.abs(per_code) * scale
    assert (np.abs(fast(x, programmed, readout, SHARED, key, 0) - expected) <= 254 * 2.0**-24 * slack).all()


@pytest.mark.parametrize("level_type", [np.int8, np.float32])
def test_ideal_converters_agree_to_the_rounding_of_the_sums(problem, definition, key, level_type):
    """Sums of R float products differ by at most R rounding errors of the sum of magnitudes."""
    x, programmed, readout = problem(9, 200, 33, 50, input_bits=None, adc_bits=None, noise=False, level_type=level_type)
    expected = np.asarray(definition(x, programmed, readout, SHARED, key, 0))
    magnitudes = np.abs(np.asarray(x)) @ np.abs(np.asarray(programmed.levels, np.float32).reshape(200, 33))
    slack = 50 * 2.0**-24 * magnitudes * np.abs(programmed.gain * programmed.scale).max() + 4 * 2.0**-24 * np.abs(
        expected
    )
    assert (np.abs(np.asarray(fast(x, programmed, readout, SHARED, key, 0)) - expected) <= 4 * slack).all()


def test_a_batch_cut_in_two_gives_the_same_rows(problem, key):
    x, programmed, readout = problem(23, 90, 40, 32, shot_noise=True, common_mode=True, intensity_noise=True)
    whole = fast(x, programmed, readout, SHARED, key, 0)
    parts = [fast(x[:9], programmed, readout, SHARED, key, 0), fast(x[9:], programmed, readout, SHARED, key, 9)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_rows_may_change_places_where_there_is_no_noise(problem, key):
    x, programmed, readout = problem(11, 90, 40, 32, noise=False)
    order = np.random.default_rng(0).permutation(11)
    moved = fast(x[order], programmed, readout, SHARED, key, 0)
    np.testing.assert_array_equal(moved, np.asarray(fast(x, programmed, readout, SHARED, key, 0))[order])


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 3.4e38])
@pytest.mark.parametrize("level_type", [np.int8, np.float32])
def test_a_row_that_is_not_finite_becomes_nan_and_touches_no_other(problem, definition, key, poison, level_type):
    x, programmed, readout = problem(
        9, 90, 40, 32, shot_noise=True, common_mode=True, intensity_noise=True, level_type=level_type
    )
    poisoned = x.at[4, 37].set(poison)
    result = np.asarray(fast(poisoned, programmed, readout, SHARED, key, 0))
    np.testing.assert_array_equal(result, definition(poisoned, programmed, readout, SHARED, key, 0))
    others = np.arange(9) != 4
    np.testing.assert_array_equal(result[others], np.asarray(fast(x, programmed, readout, SHARED, key, 0))[others])
    assert np.isnan(result[4]).all()


@pytest.mark.parametrize("scale", [0.0, 1e-38, 1e-20, 1e30])
def test_extreme_inputs_are_the_definitions(problem, definition, key, scale):
    x, programmed, readout = problem(5, 64, 20, 16)
    expected = definition(x * scale, programmed, readout, SHARED, key, 0)
    np.testing.assert_array_equal(fast(x * scale, programmed, readout, SHARED, key, 0), expected)


@pytest.mark.parametrize("shape", [(0, 5, 3), (4, 5, 0), (4, 0, 3)])
def test_empty_products_are_empty_or_zero(problem, key, shape):
    m, k, n = shape
    x, programmed, readout = problem(m, max(k, 1), n, 4)
    if k == 0:
        x, programmed = x[:, :0], jax.tree.map(lambda values: values[:0], programmed)
    result = fast(x, programmed, readout, SHARED, key, 0)
    assert result.shape == (m, n)
    assert not np.asarray(result).any()


@pytest.mark.parametrize("kind", [np.float16, jnp.bfloat16, np.float64])
def test_other_number_types_are_cast_at_the_door(problem, key, kind):
    x, programmed, readout = problem(5, 64, 20, 16)
    typed = np.asarray(x).astype(kind)
    given = operands(x, programmed, readout, SHARED, key)
    expected = crossbar_matmul(typed.astype(np.float32), *given[1:])
    np.testing.assert_array_equal(crossbar_matmul(typed, *given[1:]), expected)
    if kind != np.float64:
        np.testing.assert_array_equal(fast(jnp.asarray(typed), programmed, readout, SHARED, key, 0), expected)


def test_views_with_strides_are_read_as_what_they_show(problem, key):
    x, programmed, readout = problem(5, 64, 20, 16)
    given = operands(x, programmed, readout, SHARED, key)
    expected = crossbar_matmul(*given)
    wide = np.zeros((10, 128), np.float32)
    wide[::2, ::-2] = given[0]
    given[0], given[1] = wide[::2, ::-2], np.asfortranarray(given[1])
    np.testing.assert_array_equal(crossbar_matmul(*given), expected)


def test_batches_broadcast_as_numpy_does(problem, key):
    x, programmed, readout = problem(5, 64, 20, 16)
    given = operands(x, programmed, readout, SHARED, key)
    keys = np.stack([np.asarray(key) + np.array([i, 0], np.uint32) for i in range(6)]).reshape(2, 3, 2)
    inputs = np.stack([given[0], 2 * given[0]])[:, None]
    together = crossbar_matmul(inputs, *given[1:8], keys, *given[9:])
    assert together.shape == (2, 3, 5, 20)
    for i, j in np.ndindex(2, 3):
        alone = crossbar_matmul(inputs[i, 0], *given[1:8], keys[i, j], *given[9:])
        np.testing.assert_array_equal(together[i, j], alone)


def test_settings_stand_in_the_order_the_kernel_reads():
    values = settings(8, None, 64, True, False, True, False, True, 2**32 - 1)
    assert dict(zip(SETTINGS, values.tolist(), strict=True)) == {
        "input_bits": 8, "adc_bits": 0, "columns": 64, "noise": 1, "shot_noise": 0, "common_mode": 1,
        "intensity_noise": 0, "square_noise": 1, "row_offset": -1,
    }  # fmt: skip


def test_readout_flags_each_change_the_answer(problem, key):
    """An effect that is on and changes nothing would be the worst error."""
    x, programmed, _ = problem(5, 64, 20, 16)
    answers = [
        np.asarray(fast(x, programmed, Readout(8, 8, 16, *flags), Shared(2.0, 0.5), key, 0)).tobytes()
        for flags in [(False,) * 5, *np.eye(5, dtype=bool).tolist()]
    ]
    assert len(set(answers)) == 6
