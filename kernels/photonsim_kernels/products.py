"""Register-tiled products: 6 rows of codes by 16 columns of levels, and the layout of the levels they want.

Sixteen int16 fill a vector register; one instruction multiplies two registers and adds neighbouring products, so
levels are stored as pairs of inputs: (k, k+1) of column 0, of column 1 … A pair of codes is broadcast to all lanes. Per
pair of inputs, 6 × 16 sums take 12 multiplications, 12 additions and 8 loads, which is what a core with 4 vector units
does in 6 cycles: 32 multiply-accumulates a cycle, against 16 of float32 FMA.
"""

from llvmlite import ir
from numba import types

from photonsim_kernels import simd
from photonsim_kernels.compiled import emitted
from photonsim_kernels.noise import GROUP

ROWS = 6  # of a register block: 6 × 16 sums fill 12 of 16 vector registers; 4 rows were a quarter slower
PANEL = GROUP  # columns of a register block


def _emit_product(builder, rows, kind, step, steps, out, accumulate):
    """Loop over `steps` with 2 · rows vectors of sums of a kind; write them as floats to `out` (rows, 16).

    `step(sums, i)` emits one step. If `accumulate`, what `out` holds is added.
    """
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
    picks = [ir.Constant(simd.INTS, [2 * lane + odd for lane in range(simd.LANES)]) for odd in (0, 1)]
    return builder.add(*[builder.shuffle_vector(products, products, pick) for pick in picks])


def _integer_product(rows):
    """`multiply(q, stride, panel, steps, out, accumulate)` for int16 codes and levels, two inputs in a step."""

    @emitted
    def multiply(typing_context, q, stride, panel, steps, out, accumulate):
        def codegen(context, builder, signature, arguments):
            q, stride, panel, steps, out, accumulate = arguments

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

            _emit_product(builder, rows, simd.INTS, step, steps, out, accumulate)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5, types.boolean), codegen

    return multiply


def _float_product(rows):
    """`multiply(q, stride, panel, steps, out, accumulate)` for float32 codes and levels, one input in a step."""

    @emitted
    def multiply(typing_context, q, stride, panel, steps, out, accumulate):
        def codegen(context, builder, signature, arguments):
            q, stride, panel, steps, out, accumulate = arguments

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

            _emit_product(builder, rows, simd.FLOATS, step, steps, out, accumulate)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5, types.boolean), codegen

    return multiply


integer_product_rows, integer_product_row = _integer_product(ROWS), _integer_product(1)
float_product_rows, float_product_row = _float_product(ROWS), _float_product(1)


def _packing(kind, side):
    """`pack(rows, to, magnitudes, keep)`: 16 levels of `side` rows side by side, as int16 pairs or as float32."""

    @emitted
    def pack(typing_context, first, second, to, magnitudes, keep):
        def codegen(context, builder, signature, arguments):
            *rows, to, magnitudes, keep = arguments
            vectors = [simd.load(builder, row, ir.VectorType(kind, PANEL)) for row in rows[:side]]
            for half, values in enumerate(_widened(builder, vectors)):
                simd.store(builder, values, to, 32 * half)
                with builder.if_then(keep):
                    simd.store(builder, simd.absolute(builder, values), magnitudes, 32 * half)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 4, types.boolean), codegen

    return pack


def _widened(builder, rows):
    """Two vectors of 32 bytes: the numbers of one row as float32, or those of two rows as alternating int16."""
    if len(rows) == 1:
        numbers = rows[0] if rows[0].type.element == simd.FLOAT else builder.sitofp(rows[0], simd.WIDE_FLOATS)
        operands, order = (numbers, numbers), list(range(PANEL))
    else:
        operands = [row if row.type == simd.PAIRS else builder.sext(row, simd.PAIRS) for row in rows]
        order = [n + PANEL * odd for n in range(PANEL) for odd in (0, 1)]
    half = len(order) // 2
    picks = [ir.Constant(ir.VectorType(simd.INT, half), part) for part in (order[:half], order[half:])]
    return [builder.shuffle_vector(*operands, pick) for pick in picks]


pack_int8, pack_int16 = _packing(ir.IntType(8), 2), _packing(ir.IntType(16), 2)
pack_int8_floats, pack_int16_floats = (_packing(ir.IntType(8), 1), _packing(ir.IntType(16), 1))
pack_floats = _packing(simd.FLOAT, 1)
