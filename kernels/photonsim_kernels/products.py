"""Register-tiled products: 6 rows of codes by 16 columns of levels, and the layout of the levels they want.

Sixteen int16 fill a vector register; one instruction multiplies two registers and adds neighbouring products, so
levels are stored as pairs of inputs: (k, k+1) of column 0, of column 1 … A pair of codes is broadcast to all lanes. Per
pair of inputs, 6 × 16 sums take 12 multiplications, 12 additions and 8 loads, which is what a core with 4 vector units
does in 6 cycles: 32 multiply-accumulates a cycle, against 16 of float32 FMA.

Magnitudes of at most 7 bits are multiplied as bytes, for the light on both rails. `vpmaddubsw` adds two products of an
unsigned and a signed byte into 16 bits: so with weights less 64, which are at most 64 in magnitude, the sums of four
products still fit (4 · 127 · 64 = 32512), and are widened once. The 64 · Σ |q| that are missing is where a row's sums
start. Per four inputs 6 × 16 sums take 30 vector instructions, where as many products of 16 bits take 48.

A row alone is multiplied otherwise: packing the levels for it would cost more than the product. They are streamed as
they are stored, two rows of 16 bytes at a time, which is a quarter of the bytes that a float32 matrix would take.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from photonsim_kernels import simd
from photonsim_kernels.compiled import emitted
from photonsim_kernels.noise import GROUP, GROUPS

BYTE_STEP = 8  # inputs of a step of the byte product: two times four neighbouring bytes in a lane of 32 bits
BYTE_BIAS = 64  # what is taken off the magnitudes of the levels
ROWS = 6  # of a register block: 6 × 16 sums fill 12 of 16 vector registers; 4 rows were a quarter slower
PANEL = GROUP  # columns of a register block
INT8, INT16 = ir.IntType(8), ir.IntType(16)


def _emit_product(builder, places, kind, step, steps, accumulate=None, start=None, arrange=lambda sums: sums):
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


def _pairwise_products(context, builder, a, b):
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
                        product = _pairwise_products(context, builder, pair, levels[h])
                        results.append(builder.add(sums[2 * m + h], product))
                return results

            _emit_product(builder, _rows_of(out, rows), simd.INTS, step, steps, accumulate)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5, types.boolean), codegen

    return multiply


def _byte_pairs(context, builder, a, b):
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
                both = [_byte_pairs(context, builder, codes[g], levels[2 * g + half]) for g in range(2)]
                four = _pairwise_products(context, builder, builder.add(*both), ones)
                results.append(builder.add(sums[len(results)], four))
        return results

    missing = [simd.load(builder, totals, simd.INT, builder.mul(totals_stride, m)) for m in rows]
    start = [simd.splat(builder, builder.mul(total, simd.INT(BYTE_BIAS))) for total in missing]
    both_halves = [vector for vector in start for _ in range(2)]
    _emit_product(builder, _rows_of(out, count, first), simd.INTS, step, steps, start=both_halves)


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

            _emit_product(builder, _rows_of(out, rows), simd.FLOATS, step, steps, accumulate)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5, types.boolean), codegen

    return multiply


integer_product_rows, integer_product_row = _integer_product(ROWS), _integer_product(1)
byte_product_rows, byte_product_row = _byte_product(ROWS), _byte_product(1)
float_product_rows, float_product_row = _float_product(ROWS), _float_product(1)
integer_light_rows, integer_light_row = _integer_product(ROWS, True), _integer_product(1, True)
float_light_rows, float_light_row = _float_product(ROWS, True), _float_product(1, True)


def _streamed_product(kind, side, panels):
    """One row of codes by levels as they are stored, 16 columns per panel: see the module's header.

    `multiply(q, levels, row_bytes, last, steps, out, out_magnitudes, accumulate, with_magnitudes)`:
    levels of row `last` are the last that may be read. With magnitudes, the same for |q| and |levels| beside it, half
    of the panels at a time, so that all sums stay in registers.
    """
    number, word = (simd.PAIRS, simd.INT) if side == 2 else (simd.FLOATS, simd.FLOAT)
    total = simd.INTS if side == 2 else simd.FLOATS
    level_bytes = PANEL * _bytes_of(kind)

    def emit_loop(context, builder, span, q, outs, levels, row_bytes, last, steps, accumulate):
        def step(sums, i):
            vectors = []
            for p in span:
                start = builder.add(levels, simd.LONG(p * level_bytes))
                vectors += _load_levels(builder, kind, side, start, row_bytes, last, i)
            pair = simd.splat(builder, simd.load(builder, q, word, builder.mul(i, simd.LONG(4))))
            code = builder.bitcast(pair, number)
            operands = [(code, v) for v in vectors]
            if len(outs) == 2:
                operands += [(simd.absolute(builder, code), simd.absolute(builder, v)) for v in vectors]
            if side == 1:
                return [simd.multiply_add(builder, q, v, held) for (q, v), held in zip(operands, sums, strict=True)]
            products = [_pairwise_products(context, builder, q, v) for q, v in operands]
            return [builder.add(held, product) for held, product in zip(sums, products, strict=True)]

        places = [(out, 64 * p + 32 * half) for out in outs for p in span for half in range(2)]
        _emit_product(builder, places, total, step, steps, accumulate)

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
        vectors += [builder.bitcast(_in_turn(builder, *twos, n, 16), simd.BYTES) for n in (0, 1)]
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
    """The bytes of four rows of 16 columns, column by column: two vectors."""
    pairs = [builder.bitcast(_alternating(builder, *rows[n : n + 2]), ir.VectorType(INT16, PANEL)) for n in (0, 2)]
    fours = _alternating(builder, *pairs)
    halves = [ir.Constant(ir.VectorType(simd.INT, PANEL), [*range(n, n + PANEL)]) for n in (0, PANEL)]
    return [builder.bitcast(builder.shuffle_vector(fours, fours, half), simd.BYTES) for half in halves]


def _streamed_bytes(panels):
    """`multiply(q, levels, row_bytes, last, steps, out, out_magnitudes, with_magnitudes)`, four or one panel at once.

    One row of codes as bytes by int8 levels as they are stored, four rows of them in a step. A product of bytes takes
    an unsigned one: |level| by the code with the level's sign, or by |code|. Two fit in 16 bits (2 · 128 · 127).
    """
    ones = ir.Constant(simd.PAIRS, [1] * 2 * simd.LANES)
    row = simd.BYTES if panels == GROUPS else ir.VectorType(INT8, PANEL)
    by_fours, arrange = (_by_fours, _in_order) if panels == GROUPS else (_panel_by_fours, lambda builder, sums: sums)
    parts = range(0, PANEL * panels, row.count)

    def emit_loop(context, builder, outs, q, levels, row_bytes, last, steps):
        def step(sums, i):
            numbers = [builder.add(builder.mul(i, simd.LONG(4)), simd.LONG(n)) for n in range(4)]
            numbers[1:] = [builder.select(builder.icmp_signed("<", n, last), n, last) for n in numbers[1:]]
            starts = [builder.add(levels, builder.mul(n, row_bytes)) for n in numbers]
            word = simd.splat(builder, simd.load(builder, q, simd.INT, builder.mul(i, simd.LONG(4))))
            codes, signed, light = builder.bitcast(word, simd.BYTES), [], []
            for first in parts:
                for vector in by_fours(builder, [simd.load(builder, start, row, first) for start in starts]):
                    size = simd.absolute(builder, vector)
                    signed.append(_byte_pairs(context, builder, size, _with_signs(context, builder, codes, vector)))
                    if len(outs) == 2:
                        light.append(_byte_pairs(context, builder, size, simd.absolute(builder, codes)))
            fours = [_pairwise_products(context, builder, pair, ones) for pair in signed + light]
            return [builder.add(held, four) for held, four in zip(sums, fours, strict=True)]

        places = [(out, 32 * v) for out in outs for v in range(2 * panels)]
        _emit_product(builder, places, simd.INTS, step, steps, arrange=lambda sums: arrange(builder, sums))

    @emitted
    def multiply(typing_context, q, levels, row_bytes, last, steps, out, out_magnitudes, with_magnitudes):
        def codegen(context, builder, signature, arguments):
            q, levels, row_bytes, last, steps, out, out_magnitudes, both = arguments
            with builder.if_else(both) as (with_both, with_one):
                with with_both:
                    emit_loop(context, builder, (out, out_magnitudes), q, levels, row_bytes, last, steps)
                with with_one:
                    emit_loop(context, builder, (out,), q, levels, row_bytes, last, steps)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 7, types.boolean), codegen

    return multiply


def _bytes_of(kind):
    return 4 if kind == simd.FLOAT else kind.width // 8


def _load_levels(builder, kind, side, levels, row_bytes, last, i):
    """The levels of step `i`, 16 columns of `side` rows, as two vectors; a row beyond the last is the last again."""
    rows = [builder.add(builder.mul(i, simd.LONG(side)), simd.LONG(n)) for n in range(side)]
    rows[1:] = [builder.select(builder.icmp_signed("<", row, last), row, last) for row in rows[1:]]
    offsets = [builder.mul(row, row_bytes) for row in rows]
    return _widened(builder, [simd.load(builder, levels, ir.VectorType(kind, PANEL), offset) for offset in offsets])


def _packing(kind, side):
    """`pack(levels, row_bytes, last, steps, to, magnitudes, panel_bytes, panels, keep)`: levels as products want them.

    Steps of `side` rows side by side, as int16 pairs or as float32; magnitudes beside them if these are to be kept.
    All of 16 · panels columns of a row at once, since the next row may lie a memory page away. `last` is the last row
    that may be read.
    """

    def emit_loop(builder, targets, levels, row_bytes, last, steps, panel_bytes, panels):
        with (
            cgutils.for_range(builder, steps, intp=simd.LONG) as loop,
            cgutils.for_range(builder, panels, intp=simd.LONG) as panel,
        ):
            start = builder.add(levels, builder.mul(panel.index, simd.LONG(PANEL * _bytes_of(kind))))
            vectors = _load_levels(builder, kind, side, start, row_bytes, last, loop.index)
            place = builder.add(builder.mul(loop.index, simd.LONG(64)), builder.mul(panel.index, panel_bytes))
            for which, target in enumerate(targets):
                for half, vector in enumerate(vectors):
                    values = simd.absolute(builder, vector) if which else vector
                    simd.store(builder, values, target, builder.add(place, simd.LONG(32 * half)))

    @emitted
    def pack(typing_context, levels, row_bytes, last, steps, to, magnitudes, panel_bytes, panels, keep):
        def codegen(context, builder, signature, arguments):
            *block, to, magnitudes, panel_bytes, panels, keep = arguments
            with builder.if_else(keep) as (with_magnitudes, without):
                with with_magnitudes:
                    emit_loop(builder, (to, magnitudes), *block, panel_bytes, panels)
                with without:
                    emit_loop(builder, (to,), *block, panel_bytes, panels)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 8, types.boolean), codegen

    return pack


@emitted
def pack_bytes(typing_context, levels, row_bytes, last, steps, to, panel_bytes, panels):
    """Magnitudes of 16 · panels columns of int8 levels, less `BYTE_BIAS`, as the byte product wants them."""

    def codegen(context, builder, signature, arguments):
        levels, row_bytes, last, steps, to, panel_bytes, panels = arguments
        row = ir.VectorType(INT8, PANEL)
        bias = ir.Constant(row, [BYTE_BIAS] * PANEL)
        with cgutils.for_range(builder, steps, intp=simd.LONG) as loop:
            numbers = [
                builder.add(builder.mul(loop.index, simd.LONG(BYTE_STEP)), simd.LONG(n)) for n in range(BYTE_STEP)
            ]
            numbers = [builder.select(builder.icmp_signed("<", n, last), n, last) for n in numbers]
            offsets = [builder.mul(n, row_bytes) for n in numbers]
            with cgutils.for_range(builder, panels, intp=simd.LONG) as panel:
                start = builder.add(levels, builder.mul(panel.index, simd.LONG(PANEL)))
                rows = [simd.load(builder, start, row, offset) for offset in offsets]
                rows = [builder.sub(simd.absolute(builder, values), bias) for values in rows]
                place = builder.mul(loop.index, simd.LONG(PANEL * BYTE_STEP))
                place = builder.add(place, builder.mul(panel.index, panel_bytes))
                for group in range(2):
                    pairs = [_alternating(builder, *rows[n : n + 2]) for n in (4 * group, 4 * group + 2)]
                    twos = [builder.bitcast(pair, ir.VectorType(INT16, PANEL)) for pair in pairs]
                    simd.store(builder, _alternating(builder, *twos), to, builder.add(place, simd.LONG(64 * group)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), codegen


def _alternating(builder, a, b):
    """One vector of the numbers of two, in turn."""
    order = [n + a.type.count * odd for n in range(a.type.count) for odd in range(2)]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(simd.INT, len(order)), order))


def _widened(builder, rows):
    """Two vectors of 32 bytes: the numbers of one row as float32, or those of two rows as alternating int16."""
    half = PANEL // (3 - len(rows))
    order = [n + PANEL * odd for n in range(PANEL) for odd in range(len(rows))]
    picks = [ir.Constant(ir.VectorType(simd.INT, half), part) for part in (order[:half], order[half:])]
    halves = [builder.shuffle_vector(rows[0], rows[-1], pick) for pick in picks]
    wanted = simd.PAIRS if len(rows) == 2 else simd.FLOATS
    if halves[0].type == wanted:
        return halves
    return [builder.sext(v, wanted) if len(rows) == 2 else builder.sitofp(v, wanted) for v in halves]


pack_int8, pack_int16 = _packing(INT8, 2), _packing(INT16, 2)
pack_int8_floats, pack_int16_floats, pack_floats = _packing(INT8, 1), _packing(INT16, 1), _packing(simd.FLOAT, 1)
streamed_int8, streamed_int16 = _streamed_product(INT8, 2, 4), _streamed_product(INT16, 2, 4)
streamed_int8_panel, streamed_int16_panel = _streamed_product(INT8, 2, 1), _streamed_product(INT16, 2, 1)
streamed_int8_floats, streamed_int16_floats = _streamed_product(INT8, 1, 1), _streamed_product(INT16, 1, 1)
streamed_floats, streamed_floats_panel = _streamed_product(simd.FLOAT, 1, 4), _streamed_product(simd.FLOAT, 1, 1)
streamed_bytes, streamed_bytes_panel = _streamed_bytes(GROUPS), _streamed_bytes(1)
