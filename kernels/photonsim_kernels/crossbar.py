"""The product of a weight-stationary crossbar: DAC, tile products, noise, ADC and accumulation in one pass.

The same numbers as `analog_matmul` in `photonsim.tiles.partial_sums`, where the equations stand. No tensor of partial
sums exists: a block of 4 rows and 16 columns of them lives for as long as it takes to read it.

    encode     every row of x becomes integer codes and one scale per block, once                         M · K
    pack       the levels of a block, 64 columns wide, are laid out as the vector unit wants them         T · R · 64
    multiply   4 rows of codes × 16 columns of levels: 8 vector registers of sums                          registers
    read       gain, noise, rounding; added to the rows' totals                                           registers, L1

Operands of at most 16 bits are multiplied as integers, two products and their sum in one instruction (`pmaddwd` on x86):
exact, and twice as fast as float32 on a processor without integer dot products. Everything else is float32.

The work is cut into tasks of 64 columns and 256 rows. A task adds its tiles up in the order t = 0, 1 … and shares
nothing with other tasks, so the answer is the same bits on any number of threads.
"""

import numba
import numpy as np
from llvmlite import ir
from numba import float32, types, uint32
from numba.core import cgutils
from numba.extending import intrinsic

from photonsim_kernels import simd
from photonsim_kernels.compiled import compiled, threads_may_overlap
from photonsim_kernels.noise import GROUP, emit_deviates, emit_keys, fill_common_mode, tile_key

ROWS = 4  # of a register block: 4 × 16 sums fill 8 of 16 vector registers, enough to hide the latency of FMA
PANEL = GROUP  # columns of a register block
PANELS = 4  # packed at once, so that a cache line of 64 int8 levels is read once
ROW_BLOCK = 256  # rows of a task
SMALLEST_SCALE = float32(2.0**-100)

IDEAL = 0  # as a number of bits
COLUMN_ARRAYS = 5  # gain, offset, noise variance (or its root), shot variance, scale
SETTINGS = 7  # input bits, ADC bits, tile columns, noise, shot noise, common mode, row offset


# Products of 4 (or 1) rows by 16 columns


def _emit_product(builder, rows, q, stride, panel, steps, out, accumulate, step):
    """Loop over `steps` with 2 · rows vectors of sums; write them as floats to `out` (rows, 16).

    `step(sums, i)` emits one step. If `accumulate`, what `out` holds is added.
    """
    simd.keep_apart(builder)
    kind = step.kind
    before, loop = builder.block, builder.append_basic_block("product")
    after = builder.append_basic_block("product_end")
    builder.branch(loop)
    builder.position_at_end(loop)
    i = builder.phi(simd.LONG)
    sums = [builder.phi(kind) for _ in range(2 * rows)]
    results = step(sums, i)
    following = builder.add(i, simd.LONG(1))
    builder.cbranch(builder.icmp_signed("<", following, steps), loop, after)
    i.add_incoming(simd.LONG(0), before)
    i.add_incoming(following, loop)
    for phi, result in zip(sums, results, strict=True):
        phi.add_incoming(ir.Constant(kind, [0] * simd.LANES), before)
        phi.add_incoming(result, loop)
    builder.position_at_end(after)
    for index, result in enumerate(results):
        value = result if kind == simd.FLOATS else builder.sitofp(result, simd.FLOATS)
        held = simd.load(builder, out, simd.FLOATS, 32 * index)
        value = builder.fadd(value, builder.select(accumulate, held, simd.floats(0.0)))
        simd.store(builder, value, out, 32 * index)


def _pairwise_products(context, builder, a, b):
    """Eight int32: the sums of neighbouring products of two vectors of sixteen int16."""
    if "+avx2" in context.codegen()._tm_features:
        return simd.call(builder, "llvm.x86.avx2.pmadd.wd", simd.INTS, a, b)
    wide = ir.VectorType(simd.INT, 2 * simd.LANES)
    products = builder.mul(builder.sext(a, wide), builder.sext(b, wide))
    half = lambda odd: builder.shuffle_vector(  # noqa: E731
        products, products, ir.Constant(simd.INTS, [2 * i + odd for i in range(simd.LANES)])
    )
    return builder.add(half(0), half(1))


def _integer_product(rows):
    """`multiply(q, stride, panel, steps, out, accumulate)` for int16 codes and levels, two inputs in a step."""

    @intrinsic
    def multiply(typing_context, q, stride, panel, steps, out, accumulate):
        def codegen(context, builder, signature, arguments):
            q, stride, panel, *_ = arguments

            def step(sums, i):
                base = builder.mul(i, simd.LONG(64))
                levels = [simd.load(builder, panel, simd.PAIRS, builder.add(base, simd.LONG(h))) for h in (0, 32)]
                results = []
                for m in range(rows):
                    offset = builder.add(builder.mul(stride, simd.LONG(m)), builder.mul(i, simd.LONG(4)))
                    pair = builder.bitcast(simd.splat(builder, simd.load(builder, q, simd.INT, offset)), simd.PAIRS)
                    for h in range(2):
                        product = _pairwise_products(context, builder, pair, levels[h])
                        results.append(builder.add(sums[2 * m + h], product))
                return results

            step.kind = simd.INTS
            _emit_product(builder, rows, *arguments, step)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5, types.boolean), codegen

    return multiply


def _float_product(rows):
    """`multiply(q, stride, panel, steps, out, accumulate)` for float32 codes and levels, one input in a step."""

    @intrinsic
    def multiply(typing_context, q, stride, panel, steps, out, accumulate):
        def codegen(context, builder, signature, arguments):
            q, stride, panel, *_ = arguments

            def step(sums, i):
                base = builder.mul(i, simd.LONG(64))
                levels = [simd.load(builder, panel, simd.FLOATS, builder.add(base, simd.LONG(h))) for h in (0, 32)]
                results = []
                for m in range(rows):
                    offset = builder.add(builder.mul(stride, simd.LONG(m)), builder.mul(i, simd.LONG(4)))
                    code = simd.splat(builder, simd.load(builder, q, simd.FLOAT, offset))
                    for h in range(2):
                        results.append(simd.multiply_add(builder, code, levels[h], sums[2 * m + h]))
                return results

            step.kind = simd.FLOATS
            _emit_product(builder, rows, *arguments, step)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5, types.boolean), codegen

    return multiply


_integer_product_rows, _integer_product_row = _integer_product(ROWS), _integer_product(1)
_float_product_rows, _float_product_row = _float_product(ROWS), _float_product(1)


# The reading of 4 (or 1) rows by 16 columns


class _Values:
    """The vectors under work, two per row, as variables that branches may change."""

    def __init__(self, builder, values):
        self.builder = builder
        self.cells = [cgutils.alloca_once(builder, simd.FLOATS) for _ in values]
        self.set(values)

    def get(self):
        return [self.builder.load(cell, typ=simd.FLOATS) for cell in self.cells]

    def set(self, values):
        for cell, value in zip(self.cells, values, strict=True):
            self.builder.store(value, cell)


def _reading(rows):
    """`read(...)`: add the readings of (rows, 16) sums to the totals; the equations of `read_partial_sums`."""
    vectors = 2 * rows

    @intrinsic
    def read(
        typing_context, sums, magnitudes, columns, common, totals, scales, scales_stride,
        key0, key1, row, lane, common_codes, adc_bits, noise, shot_noise, common_mode,
    ):  # fmt: skip
        def codegen(context, builder, signature, arguments):
            (sums, magnitudes, columns, common, totals, scales, scales_stride, key0, key1, row, lane,
             common_codes, adc_bits, noise, shot_noise, common_mode) = arguments  # fmt: skip
            simd.keep_apart(builder)
            block = lambda base: [simd.load(builder, base, simd.FLOATS, 32 * v) for v in range(vectors)]  # noqa: E731
            column = lambda a: [simd.load(builder, columns, simd.FLOATS, 64 * a + 32 * h) for h in range(2)] * rows  # noqa: E731
            multiply_add = lambda *operands: [  # noqa: E731
                simd.multiply_add(builder, a, b, c) for a, b, c in zip(*operands, strict=True)
            ]
            values = _Values(builder, multiply_add(block(sums), column(0), column(1)))
            with builder.if_then(noise):
                spread = _Values(builder, column(2))
                with builder.if_then(shot_noise):
                    variances = multiply_add(block(magnitudes), column(3), column(2))
                    spread.set([simd.square_root(builder, v) for v in variances])
                row_counters = [simd.splat(builder, builder.add(row, simd.INT(m))) for m in range(rows)]
                lanes = builder.add(simd.splat(builder, lane), simd.lane_numbers())
                deviates = emit_deviates(builder, emit_keys(builder, key0, key1), row_counters, [lanes] * rows)
                interleaved = [half for pair in zip(*deviates, strict=True) for half in pair]
                values.set(multiply_add(spread.get(), interleaved, values.get()))
            with builder.if_then(common_mode):
                codes = [simd.splat(builder, common_codes)] * vectors
                values.set(multiply_add(codes, block(common), values.get()))
            with builder.if_then(builder.icmp_signed("==", adc_bits, simd.LONG(1))):
                positive = [builder.fcmp_ordered(">=", v, simd.floats(0.0)) for v in values.get()]
                values.set([builder.select(p, simd.floats(1.0), simd.floats(-1.0)) for p in positive])
            with builder.if_then(builder.icmp_signed(">", adc_bits, simd.LONG(1))):
                levels = builder.shl(simd.LONG(1), builder.sub(adc_bits, simd.LONG(1)))
                limit = simd.splat(builder, builder.sitofp(builder.sub(levels, simd.LONG(1)), simd.FLOAT))
                values.set([simd.round_to_even(builder, simd.clip(builder, v, limit)) for v in values.get()])
            offsets = [builder.mul(scales_stride, simd.LONG(m)) for m in range(rows)]
            row_scales = [simd.splat(builder, simd.load(builder, scales, simd.FLOAT, o)) for o in offsets for _ in "ab"]
            scaled = [builder.fmul(v, s) for v, s in zip(values.get(), column(4), strict=True)]
            for index, total in enumerate(multiply_add(scaled, row_scales, block(totals))):
                simd.store(builder, total, totals, 32 * index)
            return context.get_dummy_value()

        integers, words = [types.intp] * 7, [types.uint32] * 4
        return types.void(*integers, *words, types.float32, types.intp, *[types.boolean] * 3), codegen

    return read


_emit_read_rows, _emit_read_row = _reading(ROWS), _reading(1)


@compiled
def _read_rows(
    sums, magnitudes, columns, common, totals, scales, scales_stride, key0, key1, row, lane, common_codes, adc_bits,
    noise, shot_noise, common_mode,
):  # fmt: skip
    """The reading of 4 rows, as a function of its own."""
    _emit_read_rows(
        sums, magnitudes, columns, common, totals, scales, scales_stride, key0, key1, row, lane, common_codes, adc_bits,
        noise, shot_noise, common_mode,
    )  # fmt: skip


@compiled
def _read_row(
    sums, magnitudes, columns, common, totals, scales, scales_stride, key0, key1, row, lane, common_codes, adc_bits,
    noise, shot_noise, common_mode,
):  # fmt: skip
    """The reading of one row, as a function of its own."""
    _emit_read_row(
        sums, magnitudes, columns, common, totals, scales, scales_stride, key0, key1, row, lane, common_codes, adc_bits,
        noise, shot_noise, common_mode,
    )  # fmt: skip


# Input codes


@intrinsic
def _float_bits(typing_context, value):
    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], simd.INT)

    return types.uint32(types.float32), codegen


@intrinsic
def _bits_float(typing_context, bits):
    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], simd.FLOAT)

    return types.float32(types.uint32), codegen


@compiled
def block_scale(x):
    """Largest magnitude, rounded to bfloat16; 0 below `SMALLEST_SCALE`, NaN where the block is not finite."""
    largest = uint32(0)
    for k in range(x.shape[0]):
        largest = max(largest, uint32(_float_bits(x[k]) & uint32(0x7FFFFFFF)))  # ordered as the magnitudes are
    if largest >= uint32(0x7F800000):
        return float32(np.nan)
    rounded = uint32(largest + uint32(0x7FFF) + uint32(uint32(largest >> uint32(16)) & uint32(1)))
    scale = _bits_float(uint32(rounded & uint32(0xFFFF0000)))
    if scale < SMALLEST_SCALE:
        return float32(0)
    return scale if scale < np.inf else float32(np.nan)


@compiled
def full_scale_code(bits):
    """The largest code of `bits`; 1 for an ideal converter."""
    return max((1 << (bits - 1)) - 1, 1) if bits else 1


@compiled
def _encode_row(x, codes, magnitudes, scales, bits, tile_rows, keep_magnitudes):
    """Codes and scales of one row of x: codes (T, R'), scales (T,), the rest of each block zero."""
    limit = float32(full_scale_code(bits))
    for t in range(scales.shape[0]):
        block = x[t * tile_rows : min((t + 1) * tile_rows, x.shape[0])]
        scale = block_scale(block)
        scales[t] = scale
        codes[t, :] = 0
        if scale > 0:
            per_unit = float32(limit / scale)
            for k in range(block.shape[0]):
                value = float32(block[k] * per_unit)
                if bits == 1:
                    value = float32(1) if value >= 0 else float32(-1)
                elif bits != IDEAL:
                    value = np.rint(min(max(value, -limit), limit))
                codes[t, k] = value
        if keep_magnitudes:
            for k in range(codes.shape[1]):
                magnitudes[t, k] = abs(codes[t, k])


# One task


@compiled
def _pack(levels, panels, start, magnitudes):
    """Levels (R, N) from column `start` as panels (P, R'/s, 16, s), s inputs of a step side by side; zeros beyond."""
    rows, columns = levels.shape
    count, steps, _, side = panels.shape
    for p in range(count):
        first = start + p * PANEL
        width = min(PANEL, max(columns - first, 0))
        for i in range(steps):
            for s in range(side):
                k = i * side + s
                if k < rows and width == PANEL:
                    for n in range(PANEL):
                        panels[p, i, n, s] = levels[k, first + n]
                else:
                    for n in range(PANEL):
                        panels[p, i, n, s] = levels[k, first + n] if k < rows and n < width else 0
    if magnitudes.size:
        for p in range(count):
            for i in range(steps):
                for n in range(PANEL):
                    for s in range(side):
                        magnitudes[p, i, n, s] = abs(panels[p, i, n, s])


@compiled
def _copy_columns(into, arrays, t, start, root):
    """The five per-column values of a panel (5, 16), zero beyond the last column; the noise's root if `root`."""
    gain, offset, noise_variance, shot_variance, scale = arrays
    width = min(PANEL, gain.shape[1] - start)
    into[:] = 0
    for n in range(width):
        into[0, n] = gain[t, start + n]
        into[1, n] = offset[t, start + n]
        into[2, n] = np.sqrt(noise_variance[t, start + n]) if root else noise_variance[t, start + n]
        into[3, n] = shot_variance[t, start + n]
        into[4, n] = scale[t, start + n]


@compiled
def _multiply_rows(codes, m, t, panel, chunk, out):
    """Sums (4, 16) of the rows from m, in chunks of inputs whose integer sums fit in 32 bits."""
    steps, _, side = panel.shape
    width = codes.itemsize
    stride = codes.shape[1] * codes.shape[2] * width
    start = 0
    while start < steps:
        count = min(chunk, steps - start)
        q = codes[m, t, start * side :].ctypes.data
        levels = panel[start:].ctypes.data
        if width == 2:
            _integer_product_rows(q, stride, levels, count, out.ctypes.data, start > 0)
        else:
            _float_product_rows(q, stride, levels, count, out.ctypes.data, start > 0)
        start += count


@compiled
def _multiply_row(codes, m, t, panel, chunk, out):
    """Sums (1, 16) of row m."""
    steps, _, side = panel.shape
    start = 0
    while start < steps:
        count = min(chunk, steps - start)
        q = codes[m, t, start * side :].ctypes.data
        levels = panel[start:].ctypes.data
        if codes.itemsize == 2:
            _integer_product_row(q, 0, levels, count, out.ctypes.data, start > 0)
        else:
            _float_product_row(q, 0, levels, count, out.ctypes.data, start > 0)
        start += count


@compiled
def _run_task(
    codes, magnitudes, scales, levels, arrays, key, common_codes, settings, first_row, first_column, chunk, y
):
    """Rows and columns of y from (first_row, first_column): codes (M, T, R'), levels (T, R, N), y (M, N)."""
    adc_bits, tile_columns = settings[1], settings[2]
    noise, shot_noise, common_mode = settings[3] != 0 or settings[4] != 0, settings[4] != 0, settings[5] != 0
    rows = min(ROW_BLOCK, y.shape[0] - first_row)
    count = min(PANELS, (y.shape[1] - first_column + PANEL - 1) // PANEL)
    side = 4 // codes.itemsize
    shape = (count, codes.shape[2] // side, PANEL, side)
    panels = np.empty(shape, codes.dtype)
    panel_magnitudes = np.empty(shape if shot_noise else (0, 0, 0, 0), codes.dtype)
    columns = np.empty((COLUMN_ARRAYS, PANEL), np.float32)
    common = np.empty((rows if common_mode else 0, PANEL), np.float32)
    totals = np.zeros((count, rows, PANEL), np.float32)
    sums, magnitude_sums = np.empty((ROWS, PANEL), np.float32), np.empty((ROWS, PANEL), np.float32)
    for t in range(levels.shape[0]):
        key0, key1 = tile_key(key[0], key[1], t)
        _pack(levels[t], panels, first_column, panel_magnitudes)
        for p in range(count):
            column = first_column + p * PANEL
            _copy_columns(columns, arrays, t, column, not shot_noise)
            if common_mode:
                row = uint32(uint32(settings[6]) + uint32(first_row))
                fill_common_mode(common, key0, key1, row, column, tile_columns)
            m = 0
            while m < rows:
                number = uint32(uint32(settings[6]) + uint32(first_row + m))
                lane = uint32(column // 2)
                addresses = common[m:].ctypes.data if common_mode else 0
                row_scales = scales[first_row + m, t:].ctypes.data
                if m + ROWS <= rows:
                    _multiply_rows(codes, first_row + m, t, panels[p], chunk, sums)
                    if shot_noise:
                        _multiply_rows(magnitudes, first_row + m, t, panel_magnitudes[p], chunk, magnitude_sums)
                    _read_rows(
                        sums.ctypes.data, magnitude_sums.ctypes.data, columns.ctypes.data, addresses,
                        totals[p, m].ctypes.data, row_scales, 4 * scales.shape[1], key0, key1, number, lane,
                        common_codes, adc_bits, noise, shot_noise, common_mode,
                    )  # fmt: skip
                    m += ROWS
                else:
                    _multiply_row(codes, first_row + m, t, panels[p], chunk, sums)
                    if shot_noise:
                        _multiply_row(magnitudes, first_row + m, t, panel_magnitudes[p], chunk, magnitude_sums)
                    _read_row(
                        sums.ctypes.data, magnitude_sums.ctypes.data, columns.ctypes.data, addresses,
                        totals[p, m].ctypes.data, row_scales, 0, key0, key1, number, lane,
                        common_codes, adc_bits, noise, shot_noise, common_mode,
                    )  # fmt: skip
                    m += 1
    for p in range(count):
        start = first_column + p * PANEL
        stop = min(start + PANEL, y.shape[1])
        for m in range(rows):
            y[first_row + m, start:stop] = totals[p, m, : stop - start]


# All tasks


@compiled
def _code_rows(rows, itemsize):
    """Inputs of a block as its codes are stored: an even number of int16."""
    return rows + rows % 2 if itemsize == 2 else rows


def _crossbar(parallel):
    loop = numba.prange if parallel else range

    @compiled(parallel=parallel)
    def run(x, levels, arrays, key, common_codes, settings, source, code_type, y):
        blocks, tile_rows, columns = levels.shape[1:]
        batches, rows = y.shape[:2]
        gain, offset, noise_variance, shot_variance, scale = arrays
        input_bits, shot_noise = settings[0, 0], settings[0, 4] != 0
        shape = (batches, rows, blocks, _code_rows(tile_rows, code_type.itemsize))
        codes = np.empty(shape, code_type.dtype)
        magnitudes = np.empty(shape if shot_noise else (1, 1, 1, 1), code_type.dtype)
        scales = np.empty((batches, rows, blocks), np.float32)
        for i in loop(batches * rows):
            b, m = i // rows, i % rows
            kept = magnitudes[b, m] if shot_noise else magnitudes[0, 0]
            _encode_row(x[source[0, b], m], codes[b, m], kept, scales[b, m], input_bits, tile_rows, shot_noise)
        chunk = shape[3]
        if code_type.itemsize == 2:
            largest_level = 32767 if levels.itemsize == 2 else 128
            chunk = max(((1 << 31) - 1) // (full_scale_code(input_bits) * largest_level) // 2, 1)
        row_blocks = (rows + ROW_BLOCK - 1) // ROW_BLOCK
        column_blocks = (columns + PANELS * PANEL - 1) // (PANELS * PANEL)
        for i in loop(batches * row_blocks * column_blocks):
            b, rest = i // (row_blocks * column_blocks), i % (row_blocks * column_blocks)
            own = source[:, b]
            column_arrays = (
                gain[own[2]], offset[own[3]], noise_variance[own[4]], shot_variance[own[5]], scale[own[6]]
            )  # fmt: skip
            _run_task(
                codes[b], magnitudes[b if shot_noise else 0], scales[b], levels[own[1]], column_arrays,
                key[own[7]], common_codes[own[8], 0], settings[own[9]],
                rest % row_blocks * ROW_BLOCK, rest // row_blocks * PANELS * PANEL, chunk, y[b],
            )  # fmt: skip

    return run


crossbar = _crossbar(parallel=threads_may_overlap())


@compiled
def crossbar_of_integers(x, levels, arrays, key, common_codes, settings, source, y):
    """The product where the levels are integers and, unless the DAC is ideal, the codes are as well."""
    if settings[0, 0] == IDEAL:
        crossbar(x, levels, arrays, key, common_codes, settings, source, np.empty(0, np.float32), y)
    else:
        crossbar(x, levels, arrays, key, common_codes, settings, source, np.empty(0, np.int16), y)


@compiled
def crossbar_of_floats(x, levels, arrays, key, common_codes, settings, source, y):
    """The product where the levels are real numbers."""
    crossbar(x, levels, arrays, key, common_codes, settings, source, np.empty(0, np.float32), y)


OPERAND_RANKS = (2, 3, 2, 2, 2, 2, 2, 1, 1, 1)  # x, levels, the five column arrays, key, common-mode codes, settings


def crossbar_matmul(*operands):
    """The product from NumPy: operands as `OPERAND_RANKS` lists them, each with leading batch axes or 1 in their place.

    x (…, M, K), levels (…, T, R, N) int8, int16 or float32, gain, offset, noise variance, shot variance and scale
    (…, T, N), key (…, 2) uint32, the common-mode standard deviation in codes (…, 1), settings (…, 7): see `settings`.
    Returns (…, M, N) float32. Numbers of any other type are cast first.
    """
    operands = [_at_the_door(i, operand) for i, operand in enumerate(operands)]
    leading = [a.shape[: a.ndim - rank] for a, rank in zip(operands, OPERAND_RANKS, strict=True)]
    batch = np.broadcast_shapes(*leading)
    number = int(np.prod(batch))
    source = np.stack(
        [np.broadcast_to(np.arange(np.prod(own, dtype=int)).reshape(own), batch).reshape(number) for own in leading]
    ).astype(np.int64)
    flat = [a.reshape(-1, *a.shape[a.ndim - rank :]) for a, rank in zip(operands, OPERAND_RANKS, strict=True)]
    x, levels, *arrays, key, common_codes, settings = flat
    y = np.zeros((number, x.shape[-2], levels.shape[-1]), np.float32)
    product = crossbar_of_floats if levels.dtype == np.float32 else crossbar_of_integers
    product(x, levels, tuple(arrays), key, common_codes, settings, source, y)
    return y.reshape(*batch, *y.shape[1:])


def _at_the_door(index: int, operand):
    operand = np.asarray(operand)
    if index == 1:
        kind = operand.dtype if operand.dtype in (np.int8, np.int16) else np.float32
    else:
        kind = {7: np.uint32, 9: np.int32}.get(index, np.float32)
    return np.ascontiguousarray(operand, kind)


def settings(
    input_bits: int | None, adc_bits: int | None, columns: int, noise: bool, shot_noise: bool, common_mode: bool,
    row_offset: int = 0,
):  # fmt: skip
    """The settings of a product as the kernel takes them (7,) int32; the row offset keeps its 32 bits."""
    offset = int(np.uint32(row_offset).view(np.int32))
    flags = [int(noise), int(shot_noise), int(common_mode)]
    return np.array([input_bits or IDEAL, adc_bits or IDEAL, columns, *flags, offset], np.int32)
