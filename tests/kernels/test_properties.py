"""Laws that hold for every product, on 200 problems each: shapes, bits, scales and number types drawn at random.

The kernel is called from NumPy, so that no shape has to be compiled; what it is compared with is float64 or itself.
"""

from unittest import mock

import hypothesis
import numpy as np
from hypothesis import strategies as st
from photonsim_kernels.crossbar import Crossbar, crossbar_matmul, settings
from photonsim_kernels.jobs import OPERANDS

ROUNDING = 2.0**-24  # of one float32 operation, relative
BFLOAT16_ROUNDING = 2.0**-8  # of a block's scale, relative

BITS = st.one_of(st.none(), st.integers(1, 16))
SIZES = {"m": st.integers(1, 14), "k": st.integers(1, 97), "n": st.integers(1, 150), "rows": st.integers(1, 67)}
SEEDS = st.integers(0, 2**32 - 1)
FACTORS = st.integers(-64, 64).map(lambda sixteenths: sixteenths / 16)
KINDS = st.sampled_from([np.int8, np.int16, np.float32])

many = hypothesis.settings(max_examples=200, deadline=None)

# Two matrices of 7 tasks each, shared out by strips of 6: the second strip begins with the narrow end of the first.
ENDS_WITH_A_NARROW_TASK = {
    "k": 97, "n": 400, "rows": 67, "seed": 0, "kind": np.int8, "input_bits": 8, "columns": 64
}  # fmt: skip


def limit_of(bits):
    """The largest code; 1 for an ideal converter."""
    return max(2 ** (bits - 1) - 1, 1) if bits else 1


def draw_operands(
    m, k, n, rows, seed, *, kind: type = np.int8, input_bits: int | None = 8, adc_bits: int | None = None,
    flags=(False,) * 5, columns=64,
):  # fmt: skip
    """Operands of `crossbar_matmul`: inputs and levels of either sign, columns that differ, an ADC that is filled."""
    random = np.random.default_rng(seed)
    blocks = -(-k // rows)
    largest = 128 if kind == np.int8 else 2047
    levels = random.integers(-largest, largest, (blocks * rows, n)).astype(kind)
    levels[k:] = 0
    fullest = limit_of(input_bits) * largest * np.sqrt(rows)
    gain, offset, noise, shot, scale, square = [random.uniform(0.5, 1.5, (blocks, n)) for _ in range(6)]
    values = (gain * limit_of(adc_bits) / fullest, offset, noise, shot / fullest, scale, square / fullest)
    x = random.standard_normal((m, k)).astype(np.float32)
    key = random.integers(0, 2**32, 2, dtype=np.uint32)
    return [
        x,
        levels.reshape(blocks, rows, n),
        *[value.astype(np.float32) for value in values],
        key,
        np.array([0.7, 0.02], np.float32),
        settings(input_bits, adc_bits, columns, *flags),
    ]


def with_inputs(operands, x):
    return [x, *operands[1:]]


def plain_operands(x, w, rows):
    """Ideal converters, gain 1 and no offset: the weights themselves in tiles."""
    k, n = w.shape
    blocks = -(-k // rows)
    levels = np.zeros((blocks * rows, n), np.float32)
    levels[:k] = w
    one, nought = np.ones((blocks, n), np.float32), np.zeros((blocks, n), np.float32)
    rest = [np.zeros(2, np.uint32), np.zeros(2, np.float32), settings(None, None, 64, False, False, False)]
    return [x, levels.reshape(blocks, rows, n), one, nought, nought, nought, one, nought, *rest]


def float64_product(x, levels, gain, offset, scale, bits):
    """The noise-free product with an ideal ADC, and the sum of the magnitudes of all its terms."""
    blocks, rows, n = levels.shape
    padded = np.zeros((x.shape[0], blocks * rows), np.float32)
    padded[:, : x.shape[1]] = x
    total, magnitude = np.zeros((2, x.shape[0], n))
    for t in range(blocks):
        part = padded[:, t * rows : (t + 1) * rows]
        bits_of_scale = np.abs(part).max(axis=1).view(np.uint32).astype(np.uint64)
        rounded = (bits_of_scale + 0x7FFF + (bits_of_scale >> np.uint64(16) & np.uint64(1))) & 0xFFFF0000
        s_x = rounded.astype(np.uint32).view(np.float32)[:, None]
        per_unit = np.divide(np.float32(limit_of(bits)), s_x, out=np.zeros_like(s_x), where=s_x > 0)
        q = part * per_unit
        if bits == 1:
            q = np.where(q >= 0, 1.0, -1.0)
        elif bits:
            q = np.rint(np.clip(q, -limit_of(bits), limit_of(bits)))
        wide, weight = q.astype(np.float64), levels[t].astype(np.float64)
        total += (wide @ weight * gain[t] + offset[t]) * scale[t] * s_x
        magnitude += (np.abs(wide) @ np.abs(weight) * gain[t] + np.abs(offset[t])) * np.abs(scale[t]) * s_x
    return total, magnitude


@many
@hypothesis.given(st.fixed_dictionaries(SIZES | {"seed": SEEDS, "kind": KINDS, "input_bits": BITS}))
def test_any_shape_bits_and_type_agree_with_float64(drawn):
    """Float32 sums of R terms, a gain, an offset, two scales, and T blocks: R + T + 4 roundings of the magnitudes."""
    operands = draw_operands(**drawn)
    x, levels, gain, offset, _, _, scale = operands[:7]
    expected, magnitude = float64_product(x, levels, gain, offset, scale, drawn["input_bits"])
    roundings = levels.shape[0] + levels.shape[1] + 4
    assert (np.abs(crossbar_matmul(*operands) - expected) <= roundings * ROUNDING * magnitude).all()


@many
@hypothesis.given(
    st.fixed_dictionaries(
        SIZES | {"seed": SEEDS, "kind": KINDS, "input_bits": BITS, "adc_bits": BITS, "columns": st.integers(1, 99)}
    ),
    st.tuples(*[st.booleans()] * 5),
)
def test_each_row_alone_is_its_row_of_the_batch(drawn, flags):
    """One row takes another way through the kernel (levels are streamed, not packed) to the same bits."""
    operands = draw_operands(**drawn, flags=flags)
    together = crossbar_matmul(*operands)
    for m in range(drawn["m"]):
        operands[10][-1] = m
        np.testing.assert_array_equal(crossbar_matmul(*with_inputs(operands, operands[0][m : m + 1]))[0], together[m])


@many
@hypothesis.given(
    st.fixed_dictionaries(
        {"k": st.integers(1, 97), "n": st.integers(1, 700), "rows": st.integers(1, 67), "seed": SEEDS, "kind": KINDS}
        | {"input_bits": BITS, "columns": st.integers(1, 99)}
    ),
    st.integers(1, 5),
    st.integers(1, 3),
    st.tuples(*[st.booleans()] * 5),
)
@hypothesis.example(ENDS_WITH_A_NARROW_TASK, 5, 2, (False,) * 5)
def test_a_few_rows_of_several_matrices_are_those_rows_among_many(drawn, few, matrices, flags):
    """Strips of a few rows' tasks go along the levels together: up to the end of a matrix, and not into the next."""
    problems = [draw_operands(8, **drawn | {"seed": drawn["seed"] + b}, flags=flags) for b in range(matrices)]
    stacked = [np.stack(values) for values in zip(*problems, strict=True)]
    found = crossbar_matmul(*with_inputs(stacked, stacked[0][:, :few]))
    for b, operands in enumerate(problems):
        np.testing.assert_array_equal(found[b], crossbar_matmul(*operands)[:few])


@many
@hypothesis.given(st.fixed_dictionaries(SIZES | {"seed": SEEDS, "kind": KINDS, "input_bits": BITS, "adc_bits": BITS}))
def test_permuted_rows_give_permuted_answers(drawn):
    operands = draw_operands(**drawn)
    order = np.random.default_rng(drawn["seed"]).permutation(drawn["m"])
    permuted = crossbar_matmul(*with_inputs(operands, operands[0][order]))
    np.testing.assert_array_equal(permuted, crossbar_matmul(*operands)[order])


@many
@hypothesis.given(
    st.fixed_dictionaries(SIZES | {"seed": SEEDS, "kind": KINDS, "input_bits": BITS, "adc_bits": BITS}),
    st.integers(-90, 110),
)
def test_scaling_by_a_power_of_two_scales_the_answer_exactly(drawn, exponent):
    """From 1e-27 to 1e33: the scale of a block takes the whole factor. Inputs near 0 are left out, as they may
    become denormal. An ADC's codes are taken for parts of its range, so that answers stay below 2^12 and fit."""
    operands = draw_operands(**drawn)
    operands[0] = np.where(np.abs(operands[0]) < 2.0**-6, np.float32(0.5), operands[0])
    operands[6] *= np.float32(2.0 ** -(drawn["adc_bits"] or 0))
    factor = np.float32(2.0**exponent)
    expected = crossbar_matmul(*operands) * factor
    assert (np.abs(expected) < 2.0**12 * factor).all()
    np.testing.assert_array_equal(crossbar_matmul(*with_inputs(operands, operands[0] * factor)), expected)


@many
@hypothesis.given(st.fixed_dictionaries(SIZES | {"seed": SEEDS, "adc_bits": BITS}), st.integers(-149, -102))
def test_inputs_too_small_for_any_converter_count_as_zero(drawn, exponent):
    operands = draw_operands(**drawn)
    tiny = np.clip(operands[0], -1, 1) * np.float32(2.0**exponent)
    np.testing.assert_array_equal(
        crossbar_matmul(*with_inputs(operands, tiny)), crossbar_matmul(*with_inputs(operands, 0 * tiny))
    )


@many
@hypothesis.given(
    st.fixed_dictionaries(SIZES | {"seed": SEEDS, "kind": KINDS, "adc_bits": BITS}),
    st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_what_is_not_finite_spoils_its_own_row_only(drawn, value):
    operands = draw_operands(**drawn, flags=(True,) * 5)
    clean = crossbar_matmul(*operands)
    random = np.random.default_rng(drawn["seed"])
    spoilt = random.integers(drawn["m"])
    operands[0][spoilt, random.integers(drawn["k"])] = value
    found = crossbar_matmul(*operands)
    others = np.arange(drawn["m"]) != spoilt
    np.testing.assert_array_equal(found[others], clean[others])
    assert np.isnan(found[spoilt]).all()


@many
@hypothesis.given(st.fixed_dictionaries(SIZES | {"seed": SEEDS, "kind": KINDS}), st.tuples(*[st.booleans()] * 5))
def test_a_crossbar_that_is_programmed_once_gives_each_product(drawn, flags):
    """Also of no rows, and of other rows and keys than it was first read with."""
    operands = dict(zip(OPERANDS, draw_operands(**drawn, flags=flags), strict=True))
    once = Crossbar(**{name: operand for name, operand in operands.items() if name not in ("x", "key")})
    for rows, seed in ((drawn["m"], 0), (1, 1), (0, 2)):
        operands |= {"x": operands["x"][:rows], "key": np.array([seed, 7], np.uint32)}
        np.testing.assert_array_equal(once(operands["x"], operands["key"]), crossbar_matmul(*operands.values()))


@many
@hypothesis.given(
    st.fixed_dictionaries(SIZES | {"seed": SEEDS, "kind": KINDS, "input_bits": BITS, "adc_bits": BITS}),
    st.tuples(*[st.booleans()] * 5),
)
def test_nothing_is_written_outside_the_result(drawn, flags):
    """The result lies between canaries."""
    operands = draw_operands(**drawn, flags=flags)
    expected = crossbar_matmul(*operands)
    guard = np.full(expected.size + 2048, 123.0, np.float32)
    result = guard[1024:-1024].reshape(expected.shape)
    with mock.patch("photonsim_kernels.crossbar._result", return_value=result):
        crossbar_matmul(*operands)
    np.testing.assert_array_equal(result, expected)
    assert (guard[:1024] == 123).all()
    assert (guard[-1024:] == 123).all()


def _random_matrices(m, k, n, seed, count):
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape).astype(np.float32) for shape in [(k, n)] + [(m, k)] * count]


@many
@hypothesis.given(st.fixed_dictionaries(SIZES | {"seed": SEEDS}))
def test_the_ideal_answer_is_the_matrix_product_for_every_tile_size(drawn):
    """K products and as many additions, the codes' scale and its inverse: K + T + 4 roundings of the magnitudes."""
    rows = drawn.pop("rows")
    w, x = _random_matrices(**drawn, count=1)
    expected = x.astype(np.float64) @ w
    slack = (drawn["k"] + -(-drawn["k"] // rows) + 4) * ROUNDING * (np.abs(x).astype(np.float64) @ np.abs(w))
    assert (np.abs(crossbar_matmul(*plain_operands(x, w, rows)) - expected) <= slack).all()


@many
@hypothesis.given(st.fixed_dictionaries(SIZES | {"seed": SEEDS}), FACTORS, FACTORS)
def test_the_ideal_path_is_linear(drawn, a, b):
    """f(a x + b z) = a f(x) + b f(z), up to the roundings of three products and of the combination."""
    rows = drawn.pop("rows")
    w, x, z = _random_matrices(**drawn, count=2)
    mixed = np.float32(a) * x + np.float32(b) * z
    f_x, f_z, f_mixed = [crossbar_matmul(*plain_operands(v, w, rows)).astype(np.float64) for v in (x, z, mixed)]
    magnitude = (abs(a) * np.abs(x).astype(np.float64) + abs(b) * np.abs(z)) @ np.abs(w)
    roundings = 2 * (drawn["k"] + -(-drawn["k"] // rows) + 6)
    assert (np.abs(f_mixed - a * f_x - b * f_z) <= roundings * ROUNDING * magnitude).all()


@many
@hypothesis.given(st.fixed_dictionaries(SIZES | {"seed": SEEDS}), st.integers(2, 14))
def test_the_error_of_the_inputs_falls_with_their_bits_as_half_a_step_does(drawn, bits):
    """|error of x| <= s/(2 L), or the clipping of what is beyond a scale that was rounded down, s · 2^-8 at most.

    More bits never allow more error, and two bits more give less of it, over all outputs.
    """
    operands = draw_operands(**drawn, kind=np.float32)
    ideal = draw_operands(**drawn, kind=np.float32, input_bits=None)
    x, levels, ideal[3][:] = operands[0], operands[1].astype(np.float64), 0
    weight = np.abs(levels * (ideal[2] * ideal[6])[:, None]).sum(axis=1).sum(axis=0)
    errors = []
    exact = crossbar_matmul(*ideal)
    for more in (0, 2):
        given = [*ideal[:10], settings(bits + more, None, 64, False, False, False)]
        given[2] = ideal[2] / np.float32(limit_of(bits + more))
        error = np.abs(crossbar_matmul(*given) - exact)
        largest = np.abs(x).max(axis=1, keepdims=True) * (1 + BFLOAT16_ROUNDING)
        bound = largest * (max(0.5 / limit_of(bits + more), BFLOAT16_ROUNDING) + 200 * ROUNDING) * weight
        assert (error <= bound).all()
        errors.append(np.square(error).mean())
    if bits <= 5 and drawn["rows"] >= 8 and min(drawn["m"] * drawn["n"], drawn["k"]) >= 30:
        assert errors[1] < errors[0]
