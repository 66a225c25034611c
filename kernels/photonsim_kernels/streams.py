"""The product of one row of codes by levels as they are stored.

Packing the levels for few rows would cost more than the product. They are streamed: int8 levels by codes of at most 8
bits as bytes, eight rows side by side along all columns, so that memory is read as it lies (a quarter of the bytes that
a float32 matrix would take); others column after column, as pairs of int16 or one after another as float32.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from photonsim_kernels import simd
from photonsim_kernels.compiled import emitted
from photonsim_kernels.noise import GROUPS
from photonsim_kernels.packing import bytes_of, four_rows_in_turn, load_levels, rows_of_step
from photonsim_kernels.products import INT8, INT16, PANEL, byte_pairs, emit_product, pairwise_products

STRIP_ROWS = 8  # of levels that are read side by side: as many streams as a processor follows


def _streamed_product(kind, side, panels):
    """One row of codes by levels as they are stored, 16 columns per panel: see the header of this module.

    `multiply(q, levels, row_bytes, last, steps, out, out_magnitudes, accumulate, with_magnitudes)`:
    levels of row `last` are the last that may be read. With magnitudes, the same for |q| and |levels| beside it, half
    of the panels at a time, so that all sums stay in registers.
    """
    number, word = (simd.PAIRS, simd.INT) if side == 2 else (simd.FLOATS, simd.FLOAT)
    total = simd.INTS if side == 2 else simd.FLOATS
    level_bytes = PANEL * bytes_of(kind)

    def emit_loop(context, builder, span, q, outs, levels, row_bytes, last, steps, accumulate):
        def step(sums, i):
            vectors = []
            for p in span:
                start = builder.add(levels, simd.LONG(p * level_bytes))
                vectors += load_levels(builder, kind, side, start, row_bytes, last, i)
            pair = simd.splat(builder, simd.load(builder, q, word, builder.mul(i, simd.LONG(4))))
            code = builder.bitcast(pair, number)
            operands = [(code, v) for v in vectors]
            if len(outs) == 2:
                operands += [(simd.absolute(builder, code), simd.absolute(builder, v)) for v in vectors]
            if side == 1:
                return [simd.multiply_add(builder, q, v, held) for (q, v), held in zip(operands, sums, strict=True)]
            products = [pairwise_products(context, builder, q, v) for q, v in operands]
            return [builder.add(held, product) for held, product in zip(sums, products, strict=True)]

        places = [(out, 64 * p + 32 * half) for out in outs for p in span for half in range(2)]
        emit_product(builder, places, total, step, steps, accumulate)

    @emitted
    def multiply(
        typing_context, q, levels, row_bytes, last, steps, out, out_magnitudes, accumulate, with_magnitudes
    ):  # fmt: skip
        def codegen(context, builder, signature, arguments):
            q, levels, row_bytes, last, steps, out, out_magnitudes, accumulate, both = arguments
            rest = (levels, row_bytes, last, steps, accumulate)
            half = (panels + 1) // 2
            with builder.if_else(both) as (with_both, with_one):
                with with_both:
                    for first in range(0, panels, half):
                        span = range(first, first + half)
                        emit_loop(context, builder, span, q, (out, out_magnitudes), *rest)
                with with_one:
                    emit_loop(context, builder, range(panels), q, (out,), *rest)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 7, types.boolean, types.boolean), codegen

    return multiply


def _with_signs(context, builder, values, signs):
    """Bytes, negated where those of `signs` are negative; where these are zero it may be zero, too."""
    if "+avx2" in context.codegen()._tm_features:
        return simd.call(builder, "llvm.x86.avx2.psign.b", simd.BYTES, values, signs)
    zeros = ir.Constant(simd.BYTES, [0] * simd.BYTES.count)
    return builder.select(builder.icmp_signed("<", signs, zeros), builder.neg(values), values)


def _in_turn(builder, a, b, which, bits):
    """Numbers of two vectors in turn, as AVX2 does it: of each 16 bytes of them the first eight, or the second."""
    each = 128 // bits
    starts = [each * half + n + each // 2 * which for half in range(a.type.count // each) for n in range(each // 2)]
    order = [start + a.type.count * row for start in starts for row in (0, 1)]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(simd.INT, len(order)), order))


def _by_fours(builder, rows):
    """The bytes of four rows of 32 columns, column by column: four vectors of eight columns.

    In this order: columns 0 to 3 and 16 to 19, 4 to 7 and 20 to 23, and so on.
    """
    vectors = []
    for which in (0, 1):
        twos = [builder.bitcast(_in_turn(builder, a, b, which, 8), simd.PAIRS) for a, b in (rows[:2], rows[2:])]
        vectors += [builder.bitcast(_in_turn(builder, twos[0], twos[1], n, 16), simd.BYTES) for n in (0, 1)]
    return vectors


def _in_order(builder, sums):
    """Sums of eight columns each, of vectors as `_by_fours` gives them, in the order of the columns."""
    halves = [ir.Constant(simd.INTS, [n + 4 * (n // 4) + 4 * which for n in range(8)]) for which in (0, 1)]
    arranged = []
    for first in range(0, len(sums), 4):
        pairs = [sums[first : first + 2], sums[first + 2 : first + 4]]
        arranged += [builder.shuffle_vector(*pair, half) for half in halves for pair in pairs]
    return arranged


def _panel_by_fours(builder, rows):
    """The bytes of four rows of 16 columns, column by column: two vectors of eight columns."""
    fours = four_rows_in_turn(builder, rows)
    halves = [ir.Constant(ir.VectorType(simd.INT, PANEL), [*range(n, n + PANEL)]) for n in (0, PANEL)]
    return [builder.bitcast(builder.shuffle_vector(fours, fours, half), simd.BYTES) for half in halves]


def _products_of_fours(context, builder, codes, vectors, magnitudes):
    """Vectors of products of four codes with four rows of levels, column by column; then those of their magnitudes.

    A product of bytes takes an unsigned one: |level| by the code with the level's sign, or by |code|. Two fit in 16
    bits (2 · 128 · 127).
    """
    ones = ir.Constant(simd.PAIRS, [1] * 2 * simd.LANES)
    sizes = [simd.absolute(builder, vector) for vector in vectors]
    pairs = [
        byte_pairs(context, builder, size, _with_signs(context, builder, codes, vector))
        for size, vector in zip(sizes, vectors, strict=True)
    ]
    if magnitudes:
        pairs += [byte_pairs(context, builder, size, simd.absolute(builder, codes)) for size in sizes]
    return [pairwise_products(context, builder, pair, ones) for pair in pairs]


@emitted
def streamed_bytes_panel(typing_context, q, levels, row_bytes, last, steps, out, out_magnitudes, with_magnitudes):
    """One row of codes as bytes by int8 levels of 16 columns as they are stored, four rows of them in a step."""

    def emit_loop(context, builder, outs, q, levels, row_bytes, last, steps):
        def step(sums, i):
            offsets = [builder.mul(n, row_bytes) for n in rows_of_step(builder, i, 4, last)]
            rows = [simd.load(builder, levels, ir.VectorType(INT8, PANEL), offset) for offset in offsets]
            word = simd.splat(builder, simd.load(builder, q, simd.INT, builder.mul(i, simd.LONG(4))))
            codes = builder.bitcast(word, simd.BYTES)
            added = _products_of_fours(context, builder, codes, _panel_by_fours(builder, rows), len(outs) == 2)
            return [builder.add(held, four) for held, four in zip(sums, added, strict=True)]

        emit_product(builder, [(out, 32 * v) for out in outs for v in range(2)], simd.INTS, step, steps)

    def codegen(context, builder, signature, arguments):
        *given, out, out_magnitudes, both = arguments
        with builder.if_else(both) as (with_both, with_one):
            with with_both:
                emit_loop(context, builder, (out, out_magnitudes), *given)
            with with_one:
                emit_loop(context, builder, (out,), *given)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7, types.boolean), codegen


@emitted
def add_strip(typing_context, q, levels, row_bytes, last, groups, out, out_magnitudes, stride, more, with_magnitudes):
    """Add the products of `STRIP_ROWS` codes, as bytes, with as many rows of int8 levels as they are stored.

    `groups` times 64 columns. Their sums, and those of the magnitudes, lie `stride` bytes apart: as int32, in the order
    of `_by_fours`, until `finish_strip` is called. Unless there are `more`, they begin. Rows beyond the `last` are the
    last again; the next ones are asked for, and need not be there.
    """

    def emit_loop(context, builder, outs, q, levels, row_bytes, last, groups, stride, more):
        words = [simd.splat(builder, simd.load(builder, q, simd.INT, 4 * n)) for n in range(STRIP_ROWS // 4)]
        rows = rows_of_step(builder, simd.LONG(0), STRIP_ROWS, last)
        starts = [builder.add(levels, builder.mul(row, row_bytes)) for row in rows]
        ahead = builder.mul(row_bytes, simd.LONG(STRIP_ROWS))
        with cgutils.for_range(builder, groups, intp=simd.LONG) as loop:
            column, place = [builder.mul(loop.index, width) for width in (simd.LONG(GROUPS * PANEL), stride)]
            here = [builder.add(start, column) for start in starts]
            for start in here:
                simd.prefetch(builder, builder.add(start, ahead))
            for half in range(2):
                places = [(out, builder.add(place, simd.LONG(128 * half + 32 * v))) for out in outs for v in range(4)]
                sums = [simd.load(builder, out, simd.INTS, offset) for out, offset in places] if more else []
                for n, word in enumerate(words):
                    four = [simd.load(builder, start, simd.BYTES, 32 * half) for start in here[4 * n : 4 * n + 4]]
                    codes, vectors = builder.bitcast(word, simd.BYTES), _by_fours(builder, four)
                    added = _products_of_fours(context, builder, codes, vectors, len(outs) == 2)
                    sums = [builder.add(*two) for two in zip(sums, added, strict=True)] if sums else added
                for (out, offset), total in zip(places, sums, strict=True):
                    simd.store(builder, total, out, offset)

    def codegen(context, builder, signature, arguments):
        q, levels, row_bytes, last, groups, out, out_magnitudes, stride, more, both = arguments
        with builder.if_else(both) as branches:
            for outs, branch in zip(((out, out_magnitudes), (out,)), branches, strict=True):
                with branch, builder.if_else(more) as beginnings:
                    for has_more, beginning in zip((True, False), beginnings, strict=True):
                        with beginning:
                            emit_loop(context, builder, outs, q, levels, row_bytes, last, groups, stride, has_more)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 8, *[types.boolean] * 2), codegen


@emitted
def finish_strip(typing_context, groups, out, stride):
    """Sums of `groups` times 64 columns, as `add_strip` leaves them, as float32 in the order of the columns."""

    def codegen(context, builder, signature, arguments):
        groups, out, stride = arguments
        with cgutils.for_range(builder, groups, intp=simd.LONG) as loop:
            here = builder.add(out, builder.mul(loop.index, stride))
            sums = _in_order(builder, [simd.load(builder, here, simd.INTS, 32 * v) for v in range(2 * GROUPS)])
            for v, total in enumerate(sums):
                simd.store(builder, builder.sitofp(total, simd.FLOATS), here, 32 * v)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), codegen


streamed_int8, streamed_int16 = _streamed_product(INT8, 2, 4), _streamed_product(INT16, 2, 4)
streamed_int8_panel, streamed_int16_panel = _streamed_product(INT8, 2, 1), _streamed_product(INT16, 2, 1)
streamed_int8_floats, streamed_int16_floats = _streamed_product(INT8, 1, 1), _streamed_product(INT16, 1, 1)
streamed_floats, streamed_floats_panel = _streamed_product(simd.FLOAT, 1, 4), _streamed_product(simd.FLOAT, 1, 1)
