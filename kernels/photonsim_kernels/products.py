"""Register-tiled products: 6 rows of codes by 16 columns of levels, and the layout of the levels they want.

Sixteen int16 fill a vector register; one instruction multiplies two registers and adds neighbouring products, so
levels are stored as pairs of inputs: (k, k+1) of column 0, of column 1 … A pair of codes is broadcast to all lanes. Per
pair of inputs, 6 × 16 sums take 12 multiplications, 12 additions and 8 loads, which is what a core with 4 vector units
does in 6 cycles: 32 multiply-accumulates a cycle, against 16 of float32 FMA.

Magnitudes of at most 7 bits are multiplied as bytes, for the light on both rails. `vpmaddubsw` adds two products of an
unsigned and a signed byte into 16 bits: so with weights less 64, which are at most 64 in magnitude, the sums of four
products still fit (4 · 127 · 64 = 32512), and are widened once. The 64 · Σ |q| that are missing is where a row's sums
start. Per four inputs 6 × 16 sums take 30 vector instructions, where as many products of 16 bits take 48.

Few rows are multiplied otherwise, by levels as they are stored: `streams.py`.
"""

from llvmlite import ir
from numba import types

from photonsim_kernels import simd
from photonsim_kernels.compiled import emitted
from photonsim_kernels.noise import GROUP

BYTE_STEP = 8  # inputs of a step of the byte product: two times four neighbouring bytes in a lane of 32 bits
BYTE_BIAS = 64  # what is taken off the magnitudes of the levels
ROWS = 6  # of a register block: 6 × 16 sums fill 12 of 16 vector registers; 4 rows were a quarter slower
PANEL = GROUP  # columns of a register block
INT8, INT16 = ir.IntType(8), ir.IntType(16)


def emit_product(builder, places, kind, step, steps, accumulate=None, start=None, arrange=lambda sums: sums):
    """Loop over `steps` with vectors of sums of a kind; write each as floats to its place, an (address, offset).

    `step(sums, i)` emits one step. If `accumulate`, what the places hold is added. `start`: the sums before, else zero.
    `arrange(sums)`: the vectors as the places want them.
    """
    zeros = [ir.Constant(kind, [0] * simd.LANES)] * len(places)
    before, loop = builder.block, builder.append_basic_block("product")
    after = builder.append_basic_block("product_end")
    builder.branch(loop)
    builder.position_at_end(loop)
    i = builder.phi(simd.LONG)
    sums = [builder.phi(kind) for _ in places]
    results = step(sums, i)
    following = builder.add(i, simd.LONG(1))
    builder.cbranch(builder.icmp_signed("<", following, steps), loop, after)
    i.add_incoming(simd.LONG(0), before)
    i.add_incoming(following, loop)
    for phi, result, first in zip(sums, results, start or zeros, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(result, loop)
    builder.position_at_end(after)
    for (address, offset), result in zip(places, arrange(results), strict=True):
        value = result if kind == simd.FLOATS else builder.sitofp(result, simd.FLOATS)
        if accumulate is not None:
            held = simd.load(builder, address, simd.FLOATS, offset)
            value = builder.fadd(value, builder.select(accumulate, held, simd.floats(0.0)))
        simd.store(builder, value, address, offset)


def _rows_of(out, rows, first=0):
    """The places of (rows, 16) sums, from row `first`."""
    return [(out, 64 * first + 32 * index) for index in range(2 * rows)]


def pairwise_products(context, builder, a, b):
    """Eight int32: the sums of neighbouring products of two vectors of sixteen int16."""
    if "+avx2" in context.codegen()._tm_features:
        return simd.call(builder, "llvm.x86.avx2.pmadd.wd", simd.INTS, a, b)
    wide = ir.VectorType(simd.INT, 2 * simd.LANES)
    products = builder.mul(builder.sext(a, wide), builder.sext(b, wide))
    picks = [ir.Constant(simd.INTS, [2 * lane + odd for lane in range(simd.LANES)]) for odd in (0, 1)]
    return builder.add(*[builder.shuffle_vector(products, products, pick) for pick in picks])


def _integer_product(rows, magnitudes=False):
    """`multiply(q, stride, panel, steps, out, accumulate)` for int16 codes and levels, two inputs in a step.

    Of the codes' `magnitudes` if asked for.
    """

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
                    pair = simd.absolute(builder, pair) if magnitudes else pair
                    for h in range(2):
                        product = pairwise_products(context, builder, pair, levels[h])
                        results.append(builder.add(sums[2 * m + h], product))
                return results

            emit_product(builder, _rows_of(out, rows), simd.INTS, step, steps, accumulate)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5, types.boolean), codegen

    return multiply


def byte_pairs(context, builder, a, b):
    """Sixteen int16: the sums of neighbouring products of unsigned and signed bytes, which must fit."""
    if "+avx2" in context.codegen()._tm_features:
        return simd.call(builder, "llvm.x86.avx2.pmadd.ub.sw", simd.PAIRS, a, b)
    wide = ir.VectorType(ir.IntType(16), 4 * simd.LANES)
    products = builder.mul(builder.zext(a, wide), builder.sext(b, wide))
    numbers = ir.VectorType(simd.INT, 2 * simd.LANES)
    picks = [ir.Constant(numbers, [2 * lane + odd for lane in range(2 * simd.LANES)]) for odd in (0, 1)]
    return builder.add(*[builder.shuffle_vector(products, products, pick) for pick in picks])


def _emit_byte_rows(context, builder, arguments, first, count):
    """The byte product of rows `first` to `first + count`."""
    q, stride, panel, steps, totals, totals_stride, out = arguments
    rows = [simd.LONG(m) for m in range(first, first + count)]
    ones = ir.Constant(simd.PAIRS, [1] * 2 * simd.LANES)

    def step(sums, i):
        base = builder.mul(i, simd.LONG(128))
        levels = [simd.load(builder, panel, simd.BYTES, builder.add(base, simd.LONG(32 * v))) for v in range(4)]
        results = []
        for m in rows:
            place = builder.add(builder.mul(stride, m), builder.mul(i, simd.LONG(BYTE_STEP)))
            words = [simd.load(builder, q, simd.INT, builder.add(place, simd.LONG(4 * g))) for g in range(2)]
            codes = [builder.bitcast(simd.splat(builder, word), simd.BYTES) for word in words]
            for half in range(2):
                both = [byte_pairs(context, builder, codes[g], levels[2 * g + half]) for g in range(2)]
                four = pairwise_products(context, builder, builder.add(*both), ones)
                results.append(builder.add(sums[len(results)], four))
        return results

    missing = [simd.load(builder, totals, simd.INT, builder.mul(totals_stride, m)) for m in rows]
    start = [simd.splat(builder, builder.mul(total, simd.INT(BYTE_BIAS))) for total in missing]
    both_halves = [vector for vector in start for _ in range(2)]
    emit_product(builder, _rows_of(out, count, first), simd.INTS, step, steps, start=both_halves)


def _byte_product(rows):
    """`multiply(q, stride, panel, steps, totals, totals_stride, out)` for magnitudes; `totals`, int32: Σ |q| of a row.

    Three rows at a time, whose sums stay in registers beside four vectors of levels.
    """

    @emitted
    def multiply(typing_context, q, stride, panel, steps, totals, totals_stride, out):
        def codegen(context, builder, signature, arguments):
            for first in range(0, rows, 3):
                _emit_byte_rows(context, builder, arguments, first, min(3, rows - first))
            return context.get_dummy_value()

        return types.void(*[types.intp] * 7), codegen

    return multiply


def _float_product(rows, magnitudes=False):
    """`multiply(q, stride, panel, steps, out, accumulate)` for float32 codes and levels, one input in a step.

    Of the codes' `magnitudes` if asked for.
    """

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
                    code = simd.absolute(builder, code) if magnitudes else code
                    for h in range(2):
                        results.append(simd.multiply_add(builder, code, levels[h], sums[2 * m + h]))
                return results

            emit_product(builder, _rows_of(out, rows), simd.FLOATS, step, steps, accumulate)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5, types.boolean), codegen

    return multiply


integer_product_rows, integer_product_row = _integer_product(ROWS), _integer_product(1)
byte_product_rows, byte_product_row = _byte_product(ROWS), _byte_product(1)
float_product_rows, float_product_row = _float_product(ROWS), _float_product(1)
integer_light_rows, integer_light_row = _integer_product(ROWS, True), _integer_product(1, True)
float_light_rows, float_light_row = _float_product(ROWS, True), _float_product(1, True)
