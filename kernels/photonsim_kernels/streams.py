"""The product of one row of codes by levels as they are stored.

Packing the levels for few rows would cost more than the product. They are streamed: two rows of 64 columns at a time,
as pairs of int16 or one after another as float32; and int8 levels by codes of at most 8 bits, four rows at a time, as
bytes. That is a quarter of the bytes that a float32 matrix would take, so time goes to instructions, and to waiting for
cache lines that lie a row apart, which no processor foresees: those are asked for in good time.
"""

from llvmlite import ir
from numba import types

from photonsim_kernels import simd
from photonsim_kernels.compiled import emitted
from photonsim_kernels.noise import GROUPS
from photonsim_kernels.packing import bytes_of, four_rows_in_turn, load_levels, rows_of_step
from photonsim_kernels.products import INT8, INT16, PANEL, byte_pairs, emit_product, pairwise_products


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


def _streamed_bytes(panels):
    """`multiply(q, levels, row_bytes, last, ahead, steps, out, out_magnitudes, with_magnitudes)`, for 4 or 1 panels.

    One row of codes as bytes by int8 levels as they are stored, four rows of them in a step. A product of bytes takes
    an unsigned one: |level| by the code with the level's sign, or by |code|. Two fit in 16 bits (2 · 128 · 127). What
    lies `ahead`, so many bytes on, is asked for: rows of the same columns. (It need not be there.)
    """
    ones = ir.Constant(simd.PAIRS, [1] * 2 * simd.LANES)
    row = simd.BYTES if panels == GROUPS else ir.VectorType(INT8, PANEL)
    by_fours, arrange = (_by_fours, _in_order) if panels == GROUPS else (_panel_by_fours, lambda builder, sums: sums)
    parts = range(0, PANEL * panels, row.count)

    def emit_loop(context, builder, outs, q, levels, row_bytes, last, ahead, steps):
        def step(sums, i):
            starts = [builder.add(levels, builder.mul(n, row_bytes)) for n in rows_of_step(builder, i, 4, last)]
            for start in starts:
                simd.prefetch(builder, builder.add(start, ahead))
            word = simd.splat(builder, simd.load(builder, q, simd.INT, builder.mul(i, simd.LONG(4))))
            codes, signed, light = builder.bitcast(word, simd.BYTES), [], []
            for first in parts:
                for vector in by_fours(builder, [simd.load(builder, start, row, first) for start in starts]):
                    size = simd.absolute(builder, vector)
                    signed.append(byte_pairs(context, builder, size, _with_signs(context, builder, codes, vector)))
                    if len(outs) == 2:
                        light.append(byte_pairs(context, builder, size, simd.absolute(builder, codes)))
            fours = [pairwise_products(context, builder, pair, ones) for pair in signed + light]
            return [builder.add(held, four) for held, four in zip(sums, fours, strict=True)]

        places = [(out, 32 * v) for out in outs for v in range(2 * panels)]
        emit_product(builder, places, simd.INTS, step, steps, arrange=lambda sums: arrange(builder, sums))

    @emitted
    def multiply(typing_context, q, levels, row_bytes, last, ahead, steps, out, out_magnitudes, with_magnitudes):
        def codegen(context, builder, signature, arguments):
            *given, out, out_magnitudes, both = arguments
            with builder.if_else(both) as (with_both, with_one):
                with with_both:
                    emit_loop(context, builder, (out, out_magnitudes), *given)
                with with_one:
                    emit_loop(context, builder, (out,), *given)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 8, types.boolean), codegen

    return multiply


streamed_int8, streamed_int16 = _streamed_product(INT8, 2, 4), _streamed_product(INT16, 2, 4)
streamed_int8_panel, streamed_int16_panel = _streamed_product(INT8, 2, 1), _streamed_product(INT16, 2, 1)
streamed_int8_floats, streamed_int16_floats = _streamed_product(INT8, 1, 1), _streamed_product(INT16, 1, 1)
streamed_floats, streamed_floats_panel = _streamed_product(simd.FLOAT, 1, 4), _streamed_product(simd.FLOAT, 1, 1)
streamed_bytes, streamed_bytes_panel = _streamed_bytes(GROUPS), _streamed_bytes(1)
