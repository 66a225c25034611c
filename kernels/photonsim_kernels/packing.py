"""The layout of levels that register-tiled products want (`products.py`), made of levels as they are stored."""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from photonsim_kernels import simd
from photonsim_kernels.compiled import emitted
from photonsim_kernels.products import BYTE_BIAS, BYTE_STEP, INT8, INT16, PANEL


def bytes_of(kind):
    return 4 if kind == simd.FLOAT else kind.width // 8


def rows_of_step(builder, i, side, last):
    """Numbers of the `side` rows of step `i`; a row beyond the last is the last again."""
    rows = [builder.add(builder.mul(i, simd.LONG(side)), simd.LONG(n)) for n in range(side)]
    return [rows[0], *[builder.select(builder.icmp_signed("<", row, last), row, last) for row in rows[1:]]]


def load_levels(builder, kind, side, levels, row_bytes, last, i):
    """The levels of step `i`, 16 columns of `side` rows, as two vectors."""
    offsets = [builder.mul(row, row_bytes) for row in rows_of_step(builder, i, side, last)]
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
            start = builder.add(levels, builder.mul(panel.index, simd.LONG(PANEL * bytes_of(kind))))
            vectors = load_levels(builder, kind, side, start, row_bytes, last, loop.index)
            place = builder.add(builder.mul(loop.index, simd.LONG(64)), builder.mul(panel.index, panel_bytes))
            for which, target in enumerate(targets):
                for half, vector in enumerate(vectors):
                    values = simd.absolute(builder, vector) if which else vector
                    simd.store(builder, values, target, builder.add(place, simd.LONG(32 * half)))

    @emitted
    def pack(typing_context, levels, row_bytes, last, steps, to, magnitudes, panel_bytes, panels, keep):
        def codegen(context, builder, signature, arguments):
            levels, row_bytes, last, steps, to, magnitudes, panel_bytes, panels, keep = arguments
            rest = (levels, row_bytes, last, steps, panel_bytes, panels)
            with builder.if_else(keep) as (with_magnitudes, without):
                with with_magnitudes:
                    emit_loop(builder, (to, magnitudes), *rest)
                with without:
                    emit_loop(builder, (to,), *rest)
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
            offsets = [builder.mul(n, row_bytes) for n in rows_of_step(builder, loop.index, BYTE_STEP, last)]
            with cgutils.for_range(builder, panels, intp=simd.LONG) as panel:
                start = builder.add(levels, builder.mul(panel.index, simd.LONG(PANEL)))
                rows = [simd.load(builder, start, row, offset) for offset in offsets]
                rows = [builder.sub(simd.absolute(builder, values), bias) for values in rows]
                place = builder.mul(loop.index, simd.LONG(PANEL * BYTE_STEP))
                place = builder.add(place, builder.mul(panel.index, panel_bytes))
                for group in range(2):
                    fours = four_rows_in_turn(builder, rows[4 * group : 4 * group + 4])
                    simd.store(builder, fours, to, builder.add(place, simd.LONG(64 * group)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), codegen


def four_rows_in_turn(builder, rows):
    """The bytes of four rows of 16 columns, column by column: one vector, of pairs of them."""
    pairs = [builder.bitcast(_alternating(builder, *rows[n : n + 2]), ir.VectorType(INT16, PANEL)) for n in (0, 2)]
    return _alternating(builder, *pairs)


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


@emitted
def ask_for(typing_context, address, size):
    """Ask for so many bytes, which are to be read soon."""

    def codegen(context, builder, signature, arguments):
        address, size = arguments
        lines = builder.lshr(builder.add(size, simd.LONG(63)), simd.LONG(6))
        with cgutils.for_range(builder, lines, intp=simd.LONG) as loop:
            simd.prefetch(builder, builder.add(address, builder.mul(loop.index, simd.LONG(64))))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen
