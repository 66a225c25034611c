"""The reading of 6 rows by 16 columns of partial sums while they are still in registers or the first cache.

`read_partial_sums` of `photonsim.tiles.partial_sums`, operation by operation: gain, the fluctuation of the light and
offset, noise, the disturbance that a tile's columns share, the ADC, and the addition to the rows' totals. Each effect
that is off is jumped over.
"""

from numba import types
from numba.core import cgutils

from photonsim_kernels import simd
from photonsim_kernels.compiled import emitted
from photonsim_kernels.noise import GROUP, GROUPS
from photonsim_kernels.products import ROWS

TOGETHER = 3  # rows that are read in alternation: 6 vectors of values, and their operands, fit in 16 registers
GAIN, OFFSET, NOISE, SHOT, SCALE, SQUARE = range(6)  # the values of a column, in the order they are stored


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


class _Block:
    """The memory of some rows of 16 numbers a panel, from row `first`, and of the columns' values, six addresses."""

    def __init__(self, builder, first, rows, panels, columns):
        self.builder, self.rows, self.columns = builder, range(first, first + rows), columns
        self.vectors = range(2 * panels)  # of a row

    def numbers(self, address, row_bytes=4 * GROUP):
        places = [row_bytes * m + 32 * v for m in self.rows for v in self.vectors]
        return [simd.load(self.builder, address, simd.FLOATS, place) for place in places]

    def column(self, which):
        one_row = [simd.load(self.builder, self.columns[which], simd.FLOATS, 32 * v) for v in self.vectors]
        return one_row * len(self.rows)


def _multiply_add(builder, a, b, c):
    return [simd.multiply_add(builder, *operands) for operands in zip(a, b, c, strict=True)]


def _emit_signal(builder, block, values, light, intensity_rms, intensity_noise):
    """sums · gain + offset, or sums · gain · (1 + intensity_rms · deviate) + offset."""
    gain, offset = block.column(GAIN), block.column(OFFSET)
    with builder.if_else(intensity_noise) as (with_noise, without):
        with with_noise:
            rms = simd.splat(builder, intensity_rms)
            shares = [builder.fmul(rms, deviate) for deviate in block.numbers(light)]  # rounded, then added
            factors = [builder.fadd(share, simd.floats(1.0)) for share in shares]
            signals = [builder.fmul(v, g) for v, g in zip(values.get(), gain, strict=True)]
            values.set(_multiply_add(builder, signals, factors, offset))
        with without:
            values.set(_multiply_add(builder, values.get(), gain, offset))


def _emit_noise(builder, block, values, magnitudes, squares, stride, shot_noise, square_noise, deviates):
    """values += sqrt(variance) · deviates; the squares are one number of each row."""
    drawn = block.numbers(deviates, 4 * GROUP * GROUPS)
    with builder.if_else(builder.or_(shot_noise, square_noise)) as (of_the_signal, of_the_column):
        with of_the_signal:
            variances = _Values(builder, block.column(NOISE))
            with builder.if_then(shot_noise):
                light = block.numbers(magnitudes)
                variances.set(_multiply_add(builder, light, block.column(SHOT), variances.get()))
            with builder.if_then(square_noise):
                sums = _of_rows(builder, block, squares, stride)
                variances.set(_multiply_add(builder, sums, block.column(SQUARE), variances.get()))
            spread = [simd.square_root(builder, v) for v in variances.get()]
            values.set(_multiply_add(builder, spread, drawn, values.get()))
        with of_the_column:
            one_row = [simd.square_root(builder, v) for v in block.column(NOISE)[: len(block.vectors)]]
            spread = one_row * len(block.rows)
            values.set(_multiply_add(builder, spread, drawn, values.get()))


def _of_rows(builder, block, address, stride):
    """One number of each row, in every lane of its vectors."""
    places = [builder.mul(stride, simd.LONG(m)) for m in block.rows]
    numbers = [simd.splat(builder, simd.load(builder, address, simd.FLOAT, place)) for place in places]
    return [number for number in numbers for _ in block.vectors]


def _emit_conversion(builder, values, adc_bits):
    """The ADC's codes; 0 bits leave the values as they are."""
    with builder.if_then(builder.icmp_signed("==", adc_bits, simd.LONG(1))):
        positive = [builder.fcmp_ordered(">=", v, simd.floats(0.0)) for v in values.get()]
        values.set([builder.select(p, simd.floats(1.0), simd.floats(-1.0)) for p in positive])
    with builder.if_then(builder.icmp_signed(">", adc_bits, simd.LONG(1))):
        levels = builder.shl(simd.LONG(1), builder.sub(adc_bits, simd.LONG(1)))
        limit = simd.splat(builder, builder.sitofp(builder.sub(levels, simd.LONG(1)), simd.FLOAT))
        values.set([simd.round_to_even(builder, simd.clip(builder, v, limit)) for v in values.get()])


def _emit_reading(builder, block, memory, settings):
    """The readings of the rows of one block, added to the totals."""
    sums, magnitudes, common, light, totals, deviates, scales, squares, stride = memory
    common_codes, intensity_rms, adc_bits, noise, shot_noise, common_mode, intensity_noise, square_noise = settings
    values = _Values(builder, block.numbers(sums))
    _emit_signal(builder, block, values, light, intensity_rms, intensity_noise)
    with builder.if_then(noise):
        _emit_noise(builder, block, values, magnitudes, squares, stride, shot_noise, square_noise, deviates)
    with builder.if_then(common_mode):
        codes = simd.splat(builder, common_codes)
        shared = [builder.fmul(codes, deviate) for deviate in block.numbers(common)]  # rounded, then added
        values.set([builder.fadd(v, s) for v, s in zip(values.get(), shared, strict=True)])
    _emit_conversion(builder, values, adc_bits)
    row_scales = _of_rows(builder, block, scales, stride)
    scaled = [builder.fmul(v, s) for v, s in zip(values.get(), block.column(SCALE), strict=True)]
    sums_so_far = _multiply_add(builder, scaled, row_scales, block.numbers(totals))
    for index, total in enumerate(sums_so_far):
        simd.store(builder, total, totals, 64 * block.rows[0] + 32 * index)


def _reading(rows, panels=1):
    """`read(...)`: add the readings of (rows, panels, 16) sums to the totals; all but the settings are addresses.

    `stride`: bytes from row to row of the rows' scales and squares.
    """

    @emitted
    def read(
        typing_context, gain, offset, noise_variance, shot_variance, scale, square_variance,
        sums, magnitudes, common, light, totals, deviates, scales, squares, stride, common_codes, intensity_rms,
        adc_bits, noise, shot_noise, common_mode, intensity_noise, square_noise,
    ):  # fmt: skip
        def codegen(context, builder, signature, arguments):
            columns, memory, settings = arguments[:6], arguments[6:15], arguments[15:]
            for first in range(0, rows, TOGETHER):
                block = _Block(builder, first, min(TOGETHER, rows - first), panels, columns)
                _emit_reading(builder, block, memory, settings)
            return context.get_dummy_value()

        integers, numbers = [types.intp] * 15, [types.float32] * 2
        return types.void(*integers, *numbers, types.intp, *[types.boolean] * 5), codegen

    return read


read_rows, read_row, read_row_of_panels = _reading(ROWS), _reading(1), _reading(1, GROUPS)
