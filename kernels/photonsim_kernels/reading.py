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
    """The memory of some rows of 16 numbers a panel, from row `first`."""

    def __init__(self, builder, first, rows, panels):
        self.builder, self.rows = builder, range(first, first + rows)
        self.vectors = range(2 * panels)  # of a row

    def numbers(self, address, row_bytes=4 * GROUP):
        places = [row_bytes * m + 32 * v for m in self.rows for v in self.vectors]
        return [simd.load(self.builder, address, simd.FLOATS, place) for place in places]

    def numbers_apart(self, address, row_bytes):
        """As `numbers`, of rows as many bytes apart as a variable says."""
        starts = [self.builder.add(address, self.builder.mul(row_bytes, simd.LONG(m))) for m in self.rows]
        return [simd.load(self.builder, start, simd.FLOATS, 32 * v) for start in starts for v in self.vectors]

    def columns(self, address):
        """Numbers of the columns, the same for all rows."""
        one_row = [simd.load(self.builder, address, simd.FLOATS, 32 * v) for v in self.vectors]
        return one_row * len(self.rows)

    def of_rows(self, address, stride):
        """One number of each row, in every lane of its vectors."""
        places = [self.builder.mul(stride, simd.LONG(m)) for m in self.rows]
        numbers = [simd.splat(self.builder, simd.load(self.builder, address, simd.FLOAT, place)) for place in places]
        return [number for number in numbers for _ in self.vectors]


def _multiply_add(builder, a, b, c):
    return [simd.multiply_add(builder, *operands) for operands in zip(a, b, c, strict=True)]


def _emit_signal(builder, block, values, gain, offset, light, intensity_rms, intensity_noise):
    """sums · gain + offset, or sums · gain · (1 + intensity_rms · deviate) + offset."""
    with builder.if_else(intensity_noise) as (with_noise, without):
        with with_noise:
            rms = simd.splat(builder, intensity_rms)
            shares = [builder.fmul(rms, deviate) for deviate in block.numbers(light)]  # rounded, then added
            factors = [builder.fadd(share, simd.floats(1.0)) for share in shares]
            signals = [builder.fmul(v, g) for v, g in zip(values.get(), block.columns(gain), strict=True)]
            values.set(_multiply_add(builder, signals, factors, block.columns(offset)))
        with without:
            values.set(_multiply_add(builder, values.get(), block.columns(gain), block.columns(offset)))


def _emit_conversion(builder, values, adc_bits):
    """The ADC's codes; 0 bits leave the values as they are."""
    with builder.if_then(builder.icmp_signed("==", adc_bits, simd.LONG(1))):
        positive = [builder.fcmp_ordered(">=", v, simd.floats(0.0)) for v in values.get()]
        values.set([builder.select(p, simd.floats(1.0), simd.floats(-1.0)) for p in positive])
    with builder.if_then(builder.icmp_signed(">", adc_bits, simd.LONG(1))):
        levels = builder.shl(simd.LONG(1), builder.sub(adc_bits, simd.LONG(1)))
        limit = simd.splat(builder, builder.sitofp(builder.sub(levels, simd.LONG(1)), simd.FLOAT))
        values.set([simd.round_to_even(builder, simd.clip(builder, v, limit)) for v in values.get()])


def _emit_reading(builder, block, columns, memory, settings):
    """The readings of the rows of one block, added to the totals."""
    gain, offset, scale = columns
    sums, spreads, spread_stride, deviates, common, light, totals, scales, stride = memory
    common_codes, intensity_rms, adc_bits, noise, common_mode, intensity_noise = settings
    values = _Values(builder, block.numbers(sums))
    _emit_signal(builder, block, values, gain, offset, light, intensity_rms, intensity_noise)
    with builder.if_then(noise):
        drawn = block.numbers(deviates, 4 * GROUP * GROUPS)
        values.set(_multiply_add(builder, block.numbers_apart(spreads, spread_stride), drawn, values.get()))
    with builder.if_then(common_mode):
        codes = simd.splat(builder, common_codes)
        shared = [builder.fmul(codes, deviate) for deviate in block.numbers(common)]  # rounded, then added
        values.set([builder.fadd(v, s) for v, s in zip(values.get(), shared, strict=True)])
    _emit_conversion(builder, values, adc_bits)
    scaled = [builder.fmul(v, s) for v, s in zip(values.get(), block.columns(scale), strict=True)]
    sums_so_far = _multiply_add(builder, scaled, block.of_rows(scales, stride), block.numbers(totals))
    for index, total in enumerate(sums_so_far):
        simd.store(builder, total, totals, 64 * block.rows[0] + 32 * index)


def _reading(rows, panels=1):
    """`read(...)`: add the readings of (rows, panels, 16) sums to the totals; all but the settings are addresses.

    `spread_stride`, `stride`: bytes from row to row of the noise's standard deviations, and of the rows' scales.
    """

    @emitted
    def read(
        typing_context, gain, offset, scale, sums, spreads, spread_stride, deviates, common, light, totals,
        scales, stride, common_codes, intensity_rms, adc_bits, noise, common_mode, intensity_noise,
    ):  # fmt: skip
        def codegen(context, builder, signature, arguments):
            columns, memory, settings = arguments[:3], arguments[3:12], arguments[12:]
            for first in range(0, rows, TOGETHER):
                block = _Block(builder, first, min(TOGETHER, rows - first), panels)
                _emit_reading(builder, block, columns, memory, settings)
            return context.get_dummy_value()

        integers, numbers = [types.intp] * 12, [types.float32] * 2
        return types.void(*integers, *numbers, types.intp, *[types.boolean] * 3), codegen

    return read


def _spreading(panels):
    """`spread(out, panel_bytes, noise, shot, square, row_square, shot_noise, square_noise)`: what noise of one row is.

    The standard deviations sqrt(noise + shot · magnitudes + square · row_square) of (panels, 16) partial sums, written
    to `out`, where their sums of magnitudes are; from panel to panel are so many bytes. The others are addresses.
    """

    @emitted
    def spread(typing_context, out, panel_bytes, noise, shot, square, row_square, shot_noise, square_noise):
        def codegen(context, builder, signature, arguments):
            out, panel_bytes, noise, shot, square, row_square, shot_noise, square_noise = arguments
            block = _Block(builder, 0, 1, panels)
            starts = [builder.add(out, builder.mul(panel_bytes, simd.LONG(p))) for p in range(panels)]
            places = [(start, offset) for start in starts for offset in (0, 32)]
            variances = _Values(builder, block.columns(noise))
            with builder.if_then(shot_noise):
                light = [simd.load(builder, start, simd.FLOATS, offset) for start, offset in places]
                variances.set(_multiply_add(builder, light, block.columns(shot), variances.get()))
            with builder.if_then(square_noise):
                squares = block.of_rows(row_square, simd.LONG(0))
                variances.set(_multiply_add(builder, squares, block.columns(square), variances.get()))
            for (start, offset), variance in zip(places, variances.get(), strict=True):
                simd.store(builder, simd.square_root(builder, variance), start, offset)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 6, *[types.boolean] * 2), codegen

    return spread


read_rows, read_row, read_row_of_panels = _reading(ROWS), _reading(1), _reading(1, GROUPS)
spread_panel, spread_panels = _spreading(1), _spreading(GROUPS)
